namespace KvmSharp.Machine.Config;

/// <summary>What one place (a file, the command line) says about a machine, before defaults.</summary>
public sealed class MachineConfigSource
{
    private readonly Dictionary<MachineOption, List<OptionValues>> _said = [];

    /// <summary>Adds one occurrence. Throws <see cref="ConfigException"/> if the option may be given only once.</summary>
    public void Add(MachineOption option, OptionValues values)
    {
        if (!_said.TryGetValue(option, out List<OptionValues>? list))
            _said.Add(option, list = []);
        if (list.Count > 0 && option.Arity != OptionArity.Repeatable)
            throw new ConfigException($"{values.Where} is given twice");
        list.Add(values);
    }

    /// <summary>Says that the option is off or an empty list, so that what a weaker source says does not count.</summary>
    public void AddNone(MachineOption option) => _said.TryAdd(option, []);

    /// <summary>
    /// The machine that the sources describe together, weakest first: an option that a later source gives replaces all of what an
    /// earlier one says about it. Converts, but does not validate the whole.
    /// </summary>
    public static MachineConfig Resolve(params ReadOnlySpan<MachineConfigSource> sources)
    {
        var config = new MachineConfig();
        bool serialSaid = false;
        foreach (MachineOption option in MachineOptions.All)
        {
            List<OptionValues>? values = null;
            foreach (MachineConfigSource source in sources)
                values = source._said.GetValueOrDefault(option) ?? values;
            serialSaid |= values is not null && option.Name == "serial";
            if (values is { Count: > 0 })
                config = option.Apply(config, values);
        }

        // Standard input and output go to whoever names them, else to COM1.
        if (!serialSaid && config.Chars.All(c => c.Char.Kind != CharKind.Stdio))
            config = config with { Serials = [new SerialConfig(0, new CharConfig(CharKind.Stdio))] };
        return config;
    }
}

using System.Globalization;
using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.Events;
using KvmSharp.Machine.Config;

namespace KvmSharp.Machine.Modules;

/// <summary>A board's I/O threads by name. The board ends them after the devices on them: after the vCPUs and before memory.</summary>
internal sealed class IoThreads(BoardContext board)
{
    /// <summary>Threads one device gets without being asked.</summary>
    private const int MaxPerDevice = 8;

    private readonly Dictionary<string, EventLoop> _loops = [];

    /// <summary>A device's threads: those that it names, which devices may share, or new ones, one per queue within reason.</summary>
    /// <param name="pollsByWakeCost">
    /// New ones may poll for long where waking takes long, unless told how long. Good for devices that only the guest and the thread itself take part in:
    /// a network's other end needs a CPU meanwhile.
    /// </param>
    public IReadOnlyList<EventLoop> Get(VirtioSettings settings, int queues, bool pollsByWakeCost = false)
    {
        if (settings.IoThreads.Count > 0)
            return [.. settings.IoThreads.Select(name => _loops.GetValueOrDefault(name) ?? Start(Find(name)))];
        var loops = new EventLoop[Math.Clamp(queues, 1, Math.Min(Environment.ProcessorCount, MaxPerDevice))];
        for (int i = 0; i < loops.Length; i++)
            loops[i] = Start(new IoThreadConfig(FirstFreeNumber()) { Cpus = settings.Cpus, PollMaxNs = settings.PollMaxNs }, pollsByWakeCost);
        return loops;
    }

    /// <summary>A number needs no declaration.</summary>
    private IoThreadConfig Find(string name) => board.Config.IoThreads.FirstOrDefault(t => t.Id == name) ?? new IoThreadConfig(name);

    private EventLoop Start(IoThreadConfig config, bool pollsByWakeCost = false)
    {
        string name = $"iothread {config.Id}";
        var options = new EventLoopOptions { Name = name, Cpus = config.Cpus, OnFailure = e => board.Fail($"{name} failed: {e}") };
        if (config.PollMaxNs is not null || pollsByWakeCost)
            options = options with { PollMaxNs = config.PollMaxNs };
        EventLoop loop = board.Own(new EventLoop(options));
        try
        {
            loop.Start();
        }
        catch (LinuxException e) when (e.Errno == LibcConstants.EINVAL && config.Cpus.Count > 0)
        {
            throw new ConfigException($"{name} can run on none of the CPUs {string.Join(':', config.Cpus)}", "choose cpus that this host has and that this process may use");
        }

        _loops.Add(config.Id, loop);
        return loop;
    }

    /// <summary>Numbers that are declared or that any device asks for are left to it.</summary>
    private string FirstFreeNumber()
    {
        for (int number = 0; ; number++)
        {
            string id = number.ToString(CultureInfo.InvariantCulture);
            bool taken = _loops.ContainsKey(id) || board.Config.IoThreads.Any(t => t.Id == id) ||
                board.Config.Devices.Any(d => d is VirtioConfig device && device.Virtio.IoThreads.Contains(id));
            if (!taken)
                return id;
        }
    }
}

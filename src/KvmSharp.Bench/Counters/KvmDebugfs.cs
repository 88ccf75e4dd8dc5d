using System.Globalization;

namespace KvmSharp.Bench.Counters;

/// <summary>
/// The counters that KVM keeps of each machine, in a folder <c>ID-FD</c> of debugfs, ID being the thread that made it, as the initial PID namespace names it (Linux's
/// virt/kvm/kvm_main.c). Reading them costs the guest nothing.
/// </summary>
/// <param name="folder">Where they are.</param>
internal sealed class KvmDebugfs(string folder = KvmDebugfs.DefaultFolder)
{
    public const string DefaultFolder = "/sys/kernel/debug/kvm";

    public string Folder => folder;

    /// <summary>The sum over a process's machines up to now; null, and why in half a line, if the host does not say.</summary>
    public KvmCounts? TryRead(int process, out string problem)
    {
        problem = "";
        try
        {
            if (!Directory.Exists(folder))
            {
                problem = $"{folder} is not there: it takes root and debugfs (mount -t debugfs none /sys/kernel/debug)";
                return null;
            }

            KvmCounts? sum = null;
            foreach (string machine in Directory.EnumerateDirectories(folder))
            {
                if (IsOf(process, Path.GetFileName(machine)))
                    sum = (sum ?? default) + new KvmCounts(Read(machine, "exits"), Read(machine, "io_exits"), Read(machine, "mmio_exits"), Read(machine, "halt_exits"));
            }

            if (sum is null)
                problem = string.Create(CultureInfo.InvariantCulture, $"{folder} has no machine of process {process}");
            return sum;
        }
        catch (UnauthorizedAccessException)
        {
            problem = $"the host refuses to show what is in {folder}, as a kernel with lockdown does to root too";
        }
        catch (Exception e) when (e is IOException or FormatException or OverflowException)
        {
            problem = $"cannot read {folder}: {e.Message}";
        }

        return null;
    }

    /// <summary>Any thread of the process may have made the machine.</summary>
    private static bool IsOf(int process, string name)
    {
        int dash = name.IndexOf('-', StringComparison.Ordinal);
        return dash > 0 && int.TryParse(name.AsSpan(0, dash), NumberStyles.None, CultureInfo.InvariantCulture, out int maker)
            && (maker == process || Directory.Exists(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/task/{maker}")));
    }

    private static long Read(string machine, string counter) => long.Parse(File.ReadAllText(Path.Combine(machine, counter)).AsSpan().Trim(), NumberStyles.None, CultureInfo.InvariantCulture);
}

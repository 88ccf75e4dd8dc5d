using System.Globalization;

namespace KvmSharp.Bench;

/// <summary>
/// CPU time that a VMM's threads have used, in microseconds, as the host accounts for it (proc(5), <c>/proc/PID/task/TID/stat</c>: clock ticks of 10 ms). A vhost of the
/// host's kernel is counted where it is a thread of the VMM (Linux 6.4).
/// </summary>
/// <param name="Vmm">In the program itself.</param>
/// <param name="Kernel">In the host's kernel for it, KVM above all; with the guest's, where the host does not tell them apart.</param>
/// <param name="Guest">In the guest; 0 where the host does not tell it from the kernel's.</param>
internal readonly record struct CpuTimes(double Vmm, double Kernel, double Guest)
{
    private const double MicrosecondsPerTick = 10_000; // sysconf(_SC_CLK_TCK) is 100 on every Linux of x86-64

    // Counted from the field behind the name, which may itself hold spaces.
    private const int UserField = 11, SystemField = 12, GuestField = 40;

    public static CpuTimes operator -(CpuTimes a, CpuTimes b) => new(a.Vmm - b.Vmm, a.Kernel - b.Kernel, a.Guest - b.Guest);

    public static CpuTimes operator +(CpuTimes a, CpuTimes b) => new(a.Vmm + b.Vmm, a.Kernel + b.Kernel, a.Guest + b.Guest);

    /// <summary>The sum over a process's threads that live now; zero for one that has ended.</summary>
    /// <param name="counts">Whether the thread of this id and name is one of the VMM's.</param>
    public static CpuTimes Read(int process, Func<int, string, bool> counts)
    {
        CpuTimes sum = default;
        try
        {
            foreach (string task in Directory.EnumerateDirectories(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/task")))
            {
                if (TryReadStat(task) is { } stat && Parse(stat, out string name) is { } times && counts(int.Parse(Path.GetFileName(task), CultureInfo.InvariantCulture), name))
                    sum += times;
            }
        }
        catch (DirectoryNotFoundException)
        {
            // It has ended.
        }

        return sum;
    }

    /// <summary>A line of a thread's stat; null if it is none.</summary>
    internal static CpuTimes? Parse(string stat, out string name)
    {
        int open = stat.IndexOf('(', StringComparison.Ordinal), close = stat.LastIndexOf(')');
        name = open >= 0 && close > open ? stat[(open + 1)..close] : "";
        string[] fields = close < 0 ? [] : stat[(close + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (fields.Length <= GuestField)
            return null;
        double user = Ticks(fields[UserField]), guest = Ticks(fields[GuestField]);
        return new CpuTimes((user - guest) * MicrosecondsPerTick, Ticks(fields[SystemField]) * MicrosecondsPerTick, guest * MicrosecondsPerTick);

        static double Ticks(string text) => double.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out double ticks) ? ticks : 0;
    }

    private static string? TryReadStat(string task)
    {
        try
        {
            return File.ReadAllText(Path.Combine(task, "stat"));
        }
        catch (IOException)
        {
            return null; // this thread has ended
        }
    }
}

using System.Globalization;
using KvmSharp.Abi;

namespace KvmSharp.Core.Memory;

/// <summary>What the host says about its memory, for sizes and for messages. Each value is null where the host does not tell.</summary>
public static class HostMemoryInfo
{
    /// <summary>Size of a default huge page in bytes; 2 MiB where the host does not tell.</summary>
    public static ulong HugePageSize => ReadMeminfo("Hugepagesize") ?? 2UL << 20;

    /// <summary>Bytes that can be had without swapping.</summary>
    public static ulong? Available => ReadMeminfo("MemAvailable");

    public static ulong? SwapFree => ReadMeminfo("SwapFree");

    /// <summary>Default huge pages that are neither in use nor promised.</summary>
    public static ulong? FreeHugePages => ReadCount("HugePages_Free") is { } free ? free - Math.Min(free, ReadCount("HugePages_Rsvd") ?? 0) : null;

    /// <summary>NUMA nodes that are online, as the kernel writes them ("0-1").</summary>
    public static string NumaNodes
    {
        get
        {
            try
            {
                return File.ReadAllText("/sys/devices/system/node/online").Trim();
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                return "0";
            }
        }
    }

    /// <summary>The soft limit of locked memory in bytes; <see cref="ulong.MaxValue"/> for none.</summary>
    public static unsafe ulong LockedMemoryLimit
    {
        get
        {
            rlimit limit;
            return Libc.getrlimit(LibcConstants.RLIMIT_MEMLOCK, &limit) == 0 ? limit.rlim_cur : ulong.MaxValue;
        }
    }

    /// <summary>A size for people: whole MiB, or bytes below one.</summary>
    public static string Text(ulong bytes) =>
        bytes >= 1 << 20 ? string.Create(CultureInfo.InvariantCulture, $"{bytes >> 20} MiB") : string.Create(CultureInfo.InvariantCulture, $"{bytes} bytes");

    private static ulong? ReadMeminfo(string key) => ReadCount(key) is { } kibibytes ? kibibytes * 1024 : null;

    private static ulong? ReadCount(string key)
    {
        try
        {
            foreach (string line in File.ReadLines("/proc/meminfo"))
            {
                if (!line.StartsWith(key, StringComparison.Ordinal) || line[key.Length] != ':')
                    continue;
                string number = line[(key.Length + 1)..].Replace("kB", "", StringComparison.Ordinal).Trim();
                return ulong.TryParse(number, CultureInfo.InvariantCulture, out ulong value) ? value : null;
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // No /proc: the messages say less.
        }

        return null;
    }
}

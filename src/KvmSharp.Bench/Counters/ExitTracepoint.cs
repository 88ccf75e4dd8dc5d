using System.Globalization;
using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.Bench.Counters;

/// <summary>
/// Counts how often KVM leaves for a VMM, whoever that is: the kernel's tracepoint <c>kvm:kvm_userspace_exit</c>, which every return of KVM_RUN passes, by
/// perf_event_open(2). Each such exit costs the host a fraction of a microsecond more while it is counted.
/// </summary>
internal sealed unsafe class ExitTracepoint
{
    private const string EventFile = "events/kvm/kvm_userspace_exit/id";
    private const int AnyCpu = -1, NoGroup = -1;

    private static readonly string[] s_tracing = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

    private readonly ulong _id;

    private ExitTracepoint(ulong id) => _id = id;

    /// <summary>Null, and why in half a line, where the host has no such tracepoint or does not let this user count.</summary>
    public static ExitTracepoint? TryFind(out string problem) => TryFind(s_tracing, out problem);

    internal static ExitTracepoint? TryFind(IEnumerable<string> folders, out string problem)
    {
        foreach (string folder in folders)
        {
            try
            {
                var found = new ExitTracepoint(ulong.Parse(File.ReadAllText(Path.Combine(folder, EventFile)).AsSpan().Trim(), NumberStyles.None, CultureInfo.InvariantCulture));
                found.Open(Environment.ProcessId).Dispose();
                problem = "";
                return found;
            }
            catch (LinuxException e)
            {
                problem = $"it may not count kvm:kvm_userspace_exit ({e.Message})";
                return null;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException or OverflowException)
            {
                // The other folder may have it.
            }
        }

        problem = "it cannot read the host's tracepoints in /sys/kernel/tracing, which takes root and tracefs";
        return null;
    }

    /// <summary>Counts from now on in all threads of the process and in those that they make. Throws <see cref="LinuxException"/>.</summary>
    public Counter Watch(int process)
    {
        var counter = new Counter();
        try
        {
            foreach (string task in Directory.GetDirectories(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/task")))
            {
                try
                {
                    counter.Add(Open(int.Parse(Path.GetFileName(task), CultureInfo.InvariantCulture)));
                }
                catch (LinuxException e) when (e.Errno == LibcConstants.ESRCH)
                {
                    // This thread has ended.
                }
            }
        }
        catch (DirectoryNotFoundException)
        {
            // The process has: it is not left any more.
        }
        catch
        {
            counter.Dispose();
            throw;
        }

        return counter;
    }

    private FileDescriptor Open(int thread)
    {
        Attributes attributes = new() { Type = LibcConstants.PERF_TYPE_TRACEPOINT, Size = LibcConstants.PERF_ATTR_SIZE_VER0, Config = _id, Flags = Attributes.Inherit };
        // SAFETY: the kernel reads as many bytes as Size says, which is what the struct has.
        nint fd = Libc.syscall(LibcConstants.__NR_perf_event_open, (nint)(&attributes), thread, AnyCpu, NoGroup, (nint)LibcConstants.PERF_FLAG_FD_CLOEXEC, 0);
        return fd >= 0 ? new FileDescriptor((int)fd) : throw LinuxException.FromLastError("perf_event_open");
    }

    /// <summary>The exits of one process.</summary>
    public sealed class Counter : IDisposable
    {
        private readonly List<FileDescriptor> _threads = [];

        /// <summary>Since it was made.</summary>
        public long Read()
        {
            long sum = 0;
            foreach (FileDescriptor thread in _threads)
            {
                // Without a read format it is one number; that of a thread that has ended stays.
                long count;
                if (Libc.read(thread.Value, &count, sizeof(long)) == sizeof(long))
                    sum += count;
            }

            return sum;
        }

        public void Dispose()
        {
            foreach (FileDescriptor thread in _threads)
                thread.Dispose();
            _threads.Clear();
        }

        internal void Add(FileDescriptor thread) => _threads.Add(thread);
    }

    /// <summary>The first published form of <c>struct perf_event_attr</c> (linux/perf_event.h), which every kernel takes.</summary>
    [StructLayout(LayoutKind.Explicit, Size = (int)LibcConstants.PERF_ATTR_SIZE_VER0)]
    private struct Attributes
    {
        /// <summary>The bit field <c>inherit</c>.</summary>
        public const ulong Inherit = 1 << 1;

        [FieldOffset(0)]
        public uint Type;

        [FieldOffset(4)]
        public uint Size;

        [FieldOffset(8)]
        public ulong Config;

        [FieldOffset(40)]
        public ulong Flags;
    }
}

using System.Text;
using KvmSharp.Abi;

namespace KvmSharp.Core;

/// <summary>Makes threads whose name the host sees too (/proc/PID/task/TID/comm, top -H): the runtime keeps a name to itself.</summary>
public static class HostThread
{
    /// <summary>TASK_COMM_LEN (linux/sched.h) without the terminating zero.</summary>
    private const int MaxNameBytes = 15;

    /// <summary>A background thread, not started yet.</summary>
    /// <param name="name">The host cuts it to 15 bytes.</param>
    /// <param name="role">Decides what the thread may ask of the kernel in a confined program.</param>
    /// <param name="body">What it does; it must not throw.</param>
    /// <param name="maxStackSize">In bytes; 0: the default.</param>
    /// <param name="beforeRole">What it does first, with its creator's rights; it must not throw.</param>
    public static Thread Create(string name, ThreadRole role, ThreadStart body, int maxStackSize = 0, ThreadStart? beforeRole = null) =>
        new(() =>
        {
            SetHostName(name);
            beforeRole?.Invoke();
            TakeRole(role);
            body();
            Tracing.Tracer.Detach();
        }, maxStackSize)
        {
            Name = name,
            IsBackground = true,
        };

    /// <summary>Gives the calling thread its role, for good. The program cannot go on with a thread that has more rights than its role.</summary>
    public static void TakeRole(ThreadRole role)
    {
        int result = NativeShims.kvmsharp_sandbox_role((int)role);
        if (result < 0)
            Environment.FailFast(new LinuxException($"confine a thread as {role}", -result).Message);
    }

    private static unsafe void SetHostName(string name)
    {
        byte* text = stackalloc byte[MaxNameBytes + 1];
        Encoding.UTF8.GetEncoder().Convert(name, new Span<byte>(text, MaxNameBytes), flush: true, out _, out int length, out _);
        text[length] = 0;

        // A thread under another name works as well.
        _ = Libc.prctl(LibcConstants.PR_SET_NAME, (nuint)text, 0, 0, 0);
    }
}

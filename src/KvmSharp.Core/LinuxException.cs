using System.Runtime.InteropServices;

namespace KvmSharp.Core;

/// <summary>
/// A host system call failed at setup or control time. Never thrown on a data path or because of what a guest did.
/// </summary>
public sealed class LinuxException : Exception
{
    /// <param name="operation">The call and what it was applied to, e.g. "open /dev/kvm".</param>
    /// <param name="errno">A positive errno value.</param>
    public LinuxException(string operation, int errno)
        : base($"{operation}: {Marshal.GetPInvokeErrorMessage(errno)}")
    {
        Operation = operation;
        Errno = errno;
    }

    public string Operation { get; }

    /// <summary>Positive errno value.</summary>
    public int Errno { get; }

    /// <summary>The exception for the errno of the calling thread's last P/Invoke.</summary>
    public static LinuxException FromLastError(string operation) => new(operation, Marshal.GetLastPInvokeError());
}

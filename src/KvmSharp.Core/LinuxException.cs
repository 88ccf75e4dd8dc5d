using System.Runtime.InteropServices;

namespace KvmSharp.Core;

/// <summary>
/// A host system call failed at setup or control time. Never thrown on a data path or because of what a guest did.
/// </summary>
public sealed class LinuxException : Exception
{
    /// <param name="operation">The call and what it was applied to, e.g. "open /dev/kvm".</param>
    /// <param name="errno">A positive errno value.</param>
    /// <param name="advice">What the user can do about it; null: nothing particular.</param>
    public LinuxException(string operation, int errno, string? advice = null)
        : base($"{operation}: {Marshal.GetPInvokeErrorMessage(errno)}{(advice is null ? "" : "; " + advice)}")
    {
        Operation = operation;
        Errno = errno;
    }

    public string Operation { get; }

    /// <summary>Positive errno value.</summary>
    public int Errno { get; }

    /// <summary>The exception for the errno of the calling thread's last P/Invoke.</summary>
    public static LinuxException FromLastError(string operation) => new(operation, Marshal.GetLastPInvokeError());

    /// <inheritdoc cref="FromLastError(string)"/>
    public static LinuxException FromLastError(string operation, string? advice) => new(operation, Marshal.GetLastPInvokeError(), advice);
}

using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.Kvm;

/// <summary>ioctl on KVM descriptors, for set-up and control; the run loop calls <see cref="Libc.ioctl"/> itself.</summary>
internal static unsafe class KvmIoctl
{
    /// <summary>Returns the non-negative result or throws <see cref="LinuxException"/> naming <paramref name="name"/>.</summary>
    internal static int Call(FileDescriptor fd, uint request, void* argument, string name)
    {
        int result = Try(fd, request, (nint)argument);
        return result >= 0 ? result : throw new LinuxException(name, -result);
    }

    /// <inheritdoc cref="Call(FileDescriptor, uint, void*, string)"/>
    internal static int Call(FileDescriptor fd, uint request, ulong argument, string name)
    {
        int result = Try(fd, request, (nint)argument);
        return result >= 0 ? result : throw new LinuxException(name, -result);
    }

    /// <summary>The result, or -errno. Retries EINTR: a kick meant for KVM_RUN may hit any call.</summary>
    internal static int Try(FileDescriptor fd, uint request, nint argument)
    {
        while (true)
        {
            int result = Libc.ioctl(fd.Value, request, argument);
            if (result >= 0)
                return result;
            int errno = Marshal.GetLastPInvokeError();
            if (errno != LibcConstants.EINTR)
                return -errno;
        }
    }
}

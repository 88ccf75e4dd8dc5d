using System.Globalization;
using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.Sandbox;

/// <summary>A control group (cgroup v2) of the host, which limits what the program and its guest use.</summary>
public static unsafe class ControlGroup
{
    private const string Root = "/sys/fs/cgroup";

    /// <summary>
    /// Moves the program there, before it takes memory. A path that does not begin with a slash is below /sys/fs/cgroup. Throws <see cref="SandboxException"/>.
    /// </summary>
    public static void Join(string path)
    {
        string group = Path.Combine(Root, path);
        try
        {
            using FileDescriptor file = FileDescriptor.Open(Path.Combine(group, "cgroup.procs"), LibcConstants.O_WRONLY);
            byte[] text = System.Text.Encoding.ASCII.GetBytes(Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
            fixed (byte* p = text)
            {
                if (Libc.write(file.Value, p, (nuint)text.Length) < 0)
                    throw LinuxException.FromLastError($"write {group}/cgroup.procs");
            }
        }
        catch (LinuxException e)
        {
            string why = e.Errno switch
            {
                LibcConstants.ENOENT or LibcConstants.ENOTDIR => "there is no such control group of version 2",
                LibcConstants.EOPNOTSUPP or LibcConstants.EBUSY => "it has controllers for groups below it, so it may hold no process",
                _ => Marshal.GetPInvokeErrorMessage(e.Errno),
            };
            throw new SandboxException($"cannot join control group {group}: {why}", e) { IsBadInput = true };
        }
    }
}

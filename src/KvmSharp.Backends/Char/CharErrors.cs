using System.Runtime.InteropServices;
using KvmSharp.Core;

namespace KvmSharp.Backends.Char;

internal static class CharErrors
{
    /// <summary>The cause alone, for messages that already name the object.</summary>
    public static string Text(LinuxException e) => Marshal.GetPInvokeErrorMessage(e.Errno);
}

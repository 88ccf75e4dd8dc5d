using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using KvmSharp.Abi;

namespace KvmSharp.Sandbox;

/// <summary>A user of the host to become, and its group.</summary>
internal readonly record struct Account(string Name, int User, int Group)
{
    private const int NobodyNumber = 65534;

    /// <summary>By name or number; a number needs no entry. Throws <see cref="SandboxException"/> for one that is unknown, and for root.</summary>
    public static unsafe Account Find(string text)
    {
        bool isNumber = uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out uint number);
        passwd* entry;
        if (isNumber)
        {
            entry = Libc.getpwuid(number);
        }
        else
        {
            fixed (byte* name = Encoding.UTF8.GetBytes(text + '\0'))
                entry = Libc.getpwnam(name);
        }

        Account found = entry != null ? new(Marshal.PtrToStringUTF8((nint)entry->pw_name) ?? text, (int)entry->pw_uid, (int)entry->pw_gid)
            : isNumber && number <= int.MaxValue ? new(text, (int)number, (int)number)
            : text == SandboxOptions.DefaultUser ? new(text, NobodyNumber, NobodyNumber)
            : throw new SandboxException($"sandbox: this host has no user {text}") { IsBadInput = true };
        return found.User > 0 ? found : throw new SandboxException($"sandbox: the user {text} is root, who is not confined") { IsBadInput = true };
    }
}

using System.Text;

namespace KvmSharp.Machine.Boot;

/// <summary>Command lines as the bytes a kernel sees.</summary>
internal static class BootText
{
    /// <summary>UTF-8 with the terminating NUL. <paramref name="limit"/> counts bytes without it.</summary>
    internal static byte[] Encode(string what, string text, int limit)
    {
        if (text.Contains('\0', StringComparison.Ordinal))
            throw new BootException($"the {what} holds a NUL character; remove it");
        int length = Encoding.UTF8.GetByteCount(text);
        if (length > limit)
            throw new BootException($"the {what} is {length} bytes long but this kernel takes at most {limit}; shorten it");
        return Encoding.UTF8.GetBytes(text + '\0');
    }
}

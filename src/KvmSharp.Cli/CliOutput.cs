using System.Text;
using KvmSharp.Abi;

namespace KvmSharp.Cli;

/// <summary>Where commands print. System.Console is left out: it costs start-up time and has its own ideas about the terminal.</summary>
internal sealed class CliOutput(Action<string> writeOut, Action<string> writeError)
{
    public static CliOutput Standard { get; } = new(text => WriteTo(1, text), text => WriteTo(2, text));

    public void Out(string text) => writeOut(text);

    /// <summary>One line for the user, <c>kvmsharp: TEXT</c>, and the hint on a second one.</summary>
    public void Error(string text, string? hint = null) =>
        writeError(hint is null ? $"kvmsharp: {text}\n" : $"kvmsharp: {text}\nkvmsharp: hint: {hint}\n");

    private static unsafe void WriteTo(int fd, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        fixed (byte* p = bytes)
        {
            for (int done = 0; done < bytes.Length;)
            {
                // SAFETY: done stays below the array's length.
                nint written = Libc.write(fd, p + done, (nuint)(bytes.Length - done));
                if (written <= 0)
                {
                    if (written < 0 && System.Runtime.InteropServices.Marshal.GetLastPInvokeError() == LibcConstants.EINTR)
                        continue;
                    return;
                }

                done += (int)written;
            }
        }
    }
}

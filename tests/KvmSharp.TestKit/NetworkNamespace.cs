using System.Diagnostics;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using KvmSharp.Abi;

namespace KvmSharp.TestKit;

/// <summary>Runs test code on a thread of its own in a fresh network namespace, which is gone afterwards. Needs root.</summary>
public static class NetworkNamespace
{
    public static void Run(Action body)
    {
        ExceptionDispatchInfo? failure = null;
        Thread thread = new(() =>
        {
            try
            {
                if (Libc.unshare(LibcConstants.CLONE_NEWNET) != 0)
                    throw new InvalidOperationException($"unshare: {Marshal.GetLastPInvokeErrorMessage()}");
                body();
            }
            catch (Exception error)
            {
                failure = ExceptionDispatchInfo.Capture(error);
            }
        })
        {
            Name = "netns",
        };
        thread.Start();
        thread.Join();
        failure?.Throw();
    }

    /// <summary>Runs ip(8) in the namespace of the calling thread; its output.</summary>
    public static string Ip(string arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo("ip", arguments) { RedirectStandardOutput = true })!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"ip {arguments} failed");
    }
}

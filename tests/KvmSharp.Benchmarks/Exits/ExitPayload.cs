using System.Diagnostics;

namespace KvmSharp.Benchmarks.Exits;

/// <summary>The guest code of <c>native-shims/exit-payload.h</c>, which also says what it expects of registers and memory.</summary>
public static class ExitPayload
{
    public const ulong Address = 0x1000;
    public const ulong MemorySize = 0x1_0000;
    public const ushort Port = 0xE0;
    public const ulong Mmio = 0xA_0000;

    /// <summary>Asks the C program for the bytes it runs itself, so that both sides run the same.</summary>
    public static byte[] Load(string exitFloor, string kind) => Convert.FromHexString(Run(exitFloor, "payload", kind).Trim());

    /// <summary>Runs the C program and returns what it prints. Throws when it fails.</summary>
    public static string Run(string exitFloor, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(exitFloor, arguments) { RedirectStandardOutput = true })!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"{exitFloor} ended with {process.ExitCode}");
    }
}

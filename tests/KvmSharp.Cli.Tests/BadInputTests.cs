using KvmSharp.Cli.Tests.Support;

namespace KvmSharp.Cli.Tests;

/// <summary>Whatever is wrong: one line that says what, the documented status, nothing on standard output.</summary>
public sealed class BadInputTests : IDisposable
{
    private readonly ScratchFolder _scratch = new();
    private readonly string _kernel;

    public BadInputTests() => _kernel = _scratch.Write("kernel", TestKernel.Exit);

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void Run_NoKernel_IsBadUsage() => AssertError(CliProgram.Run("run"), 2, "no kernel given");

    [Fact]
    public void Run_KernelMissing_IsBadUsage() => AssertError(CliProgram.Run("run", "--kernel", _scratch["nothing"]), 2, "does not exist");

    [Fact]
    public void Run_KernelIsDirectory_IsBadUsage() => AssertError(CliProgram.Run("run", "--kernel", _scratch.Root), 2, "is a directory");

    [Fact]
    public void Run_KernelEmpty_IsBadUsage() => AssertError(CliProgram.Run("run", "--kernel", _scratch.Write("empty", "")), 2, "empty");

    [Fact]
    public void Run_KernelIsText_IsBadUsage() => AssertError(CliProgram.Run("run", "--kernel", _scratch.Write("text", new string('x', 9000))), 2, "kernel");

    [Fact]
    public void Run_InitrdMissing_IsBadUsage() => AssertError(CliProgram.Run("run", "--kernel", _kernel, "--initrd", _scratch["nothing"]), 2, "does not exist");

    [Fact]
    public void Run_MemoryZero_IsBadUsage() => AssertError(CliProgram.Run("run", "--kernel", _kernel, "--memory", "0"), 2, "memory must not be 0");

    [Fact]
    public void Run_MemoryAbsurd_IsBadUsage() => AssertError(CliProgram.Run("run", "--kernel", _kernel, "--memory", "100T"), 2, "100T is more than the limit of 4T");

    [Fact]
    public void Run_MemoryBeyondNumbers_IsBadUsage() => AssertError(CliProgram.Run("run", "--kernel", _kernel, "--memory", "99999999999999999999G"), 2, "is not a size");

    [Fact]
    public void Run_MemoryUnaligned_IsBadUsage() => AssertError(CliProgram.Run("run", "--kernel", _kernel, "--memory", "134217729"), 2, "not a multiple of 4K");

    [Fact]
    public void Run_MemoryWithoutSuffix_HintsAtSuffix() => AssertError(CliProgram.Run("run", "--kernel", _kernel, "--memory", "512"), 2, "say --memory 512M");

    [Fact]
    public void Run_MemoryHugeAndMergeable_IsBadUsage() => AssertError(CliProgram.Run("run", "--kernel", _kernel, "--memory", "64M,hugepages=on,mergeable=on"), 2, "merge");

    [Fact]
    public void Run_MemoryNegative_IsBadUsage() => AssertError(CliProgram.Run("run", "--kernel", _kernel, "--memory", "-1"), 2, "is not a size");

    [Fact]
    public void Run_CpusAbsurd_IsBadUsage() => AssertError(CliProgram.Run("run", "--kernel", _kernel, "--cpus", "100000"), 2, "100000 cpus are more than the limit");

    [Fact]
    public void Run_CpusBeyondKvmLimit_SaysTheLimit() => AssertError(CliProgram.Run("run", "--kernel", _kernel, "--cpus", "4096"), 2, "hint: use at most ");

    [Fact]
    public void Run_CpusZero_IsBadUsage() => AssertError(CliProgram.Run("run", "--kernel", _kernel, "--cpus", "0"), 2, "at least 1");

    [Fact]
    public void Run_KvmAbsent_IsHostCannot() => AssertError(CliProgram.Run("run", "--kernel", _kernel, "--kvm-device", _scratch["kvm"]), 4, "No such file or directory");

    [Fact]
    public void Run_KvmDeviceIsNotKvm_IsHostCannot() => AssertError(CliProgram.Run("run", "--kernel", _kernel, "--kvm-device", "/dev/null"), 4, "/dev/null is not KVM");

    [Fact]
    public void Run_KvmForbidden_IsHostCannotWithTheFix()
    {
        if (Environment.UserName == "root")
        {
            // Root may open everything: an ordinary user does it here.
            File.SetUnixFileMode(_scratch.Root, (UnixFileMode)0b111_101_101);
            string node = _scratch.Write("kvm", "");
            File.SetUnixFileMode(node, UnixFileMode.None);
            CliResult result = CliProgram.Finish(CliProgram.StartShell("exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$@\"", "run", "--kernel", _kernel, "--kvm-device", node));
            AssertError(result, 4, "Permission denied");
            Assert.Contains("usermod -aG kvm", result.Error, StringComparison.Ordinal);
            return;
        }

        string forbidden = _scratch.Write("kvm", "");
        File.SetUnixFileMode(forbidden, UnixFileMode.None);
        AssertError(CliProgram.Run("run", "--kernel", _kernel, "--kvm-device", forbidden), 4, "Permission denied");
    }

    [Fact]
    public void Run_OutOfMemory_IsHostCannot() =>
        AssertError(CliProgram.Finish(CliProgram.StartShell("ulimit -v 400000000; exec \"$@\"", "run", "--kernel", _kernel, "--memory", "1T", "--serial", "none")), 4, "memory");

    [Fact]
    public void Run_TraceInMissingFolder_IsBadUsage() => AssertError(CliProgram.Run("run", "--kernel", _kernel, "--trace", _scratch["no/such"]), 2, "there is no directory");

    [Fact]
    public void Run_TraceIsDirectory_IsBadUsage() => AssertError(CliProgram.Run("run", "--kernel", _kernel, "--trace", _scratch.Root), 2, "is a directory");

    [Fact]
    public void Run_TraceCannotBeWritten_IsBadUsage() => AssertError(CliProgram.Run("run", "--kernel", _kernel, "--serial", "none", "--debug-exit", "--trace", "/dev/full"), 2, "cannot write trace /dev/full: No space left on device");

    [Fact]
    public void Run_TraceLimitTooSmall_IsBadUsage() => AssertError(CliProgram.Run("run", "--kernel", _kernel, "--trace", _scratch["t"] + ",limit=1K"), 2, "limit must be between 1M and 1T");

    [Fact]
    public void Run_UnknownOption_SuggestsTheRightOne() => AssertError(CliProgram.Run("run", "--kernl", _kernel), 2, "did you mean --kernel?");

    [Fact]
    public void Run_OptionWithoutValue_IsBadUsage() => AssertError(CliProgram.Run("run", "--kernel"), 2, "--kernel needs a value");

    [Fact]
    public void Run_OptionTwice_IsBadUsage() => AssertError(CliProgram.Run("run", "--kernel", _kernel, "--kernel", _kernel), 2, "--kernel is given twice");

    [Fact]
    public void Run_StrayArgument_IsBadUsage() => AssertError(CliProgram.Run("run", "--append", "a=b", "c=d"), 2, "unexpected argument 'c=d'");

    [Fact]
    public void Run_UnknownKey_SuggestsTheRightOne() => AssertError(CliProgram.Run("run", "--memory", "1G,hugepage=on"), 2, "did you mean hugepages?");

    [Fact]
    public void Run_BadName_IsBadUsage() => AssertError(CliProgram.Run("run", "--kernel", _kernel, "--name", "a/b"), 2, "may only have");

    [Fact]
    public void Run_FiveSerials_IsBadUsage() => AssertError(
        CliProgram.Run("run", "--kernel", _kernel, "--serial", "stdio", "--serial", "null", "--serial", "null", "--serial", "null", "--serial", "null"), 2, "only 4 serial ports");

    [Fact]
    public void Run_StdioTwice_IsBadUsage() => AssertError(CliProgram.Run("run", "--kernel", _kernel, "--serial", "stdio", "--serial", "stdio"), 2, "stdio is already used");

    [Fact]
    public void Run_SerialFileInMissingFolder_IsBadUsage() =>
        AssertError(CliProgram.Run("run", "--kernel", _kernel, "--serial", "file:" + _scratch["no/such"]), 2, "No such file or directory");

    [Fact]
    public void Run_SerialSocketOverFile_IsRefusedAndFileStays()
    {
        string file = _scratch.Write("precious", "data");

        AssertError(CliProgram.Run("run", "--kernel", _kernel, "--serial", "unix:" + file), 2, "is not a socket");

        Assert.Equal("data", File.ReadAllText(file));
    }

    [Fact]
    public void Run_ConfigWrongType_NamesLineAndKey() =>
        AssertError(CliProgram.Run("run", "--config", _scratch.Write("vm.json", "{\n  \"kernel\": \"k\",\n  \"memory\": true\n}")), 2, "vm.json:3: memory must be a size");

    [Fact]
    public void Run_ConfigUnknownKey_SuggestsTheRightOne() =>
        AssertError(CliProgram.Run("run", "--config", _scratch.Write("vm.json", "{\n  \"kernal\": \"k\"\n}")), 2, "vm.json:2: unknown key 'kernal'");

    [Fact]
    public void Run_ConfigMissing_IsBadUsage() => AssertError(CliProgram.Run("run", "--config", _scratch["vm.json"]), 2, "no such file");

    [Fact]
    public void Main_UnknownCommand_SuggestsTheRightOne() => AssertError(CliProgram.Run("rnu"), 2, "unknown command 'rnu'");

    private static void AssertError(CliResult result, int status, string text)
    {
        Assert.Contains(text, result.Error, StringComparison.Ordinal);
        Assert.Equal(status, result.Status);
        Assert.Empty(result.Output);
        string[] lines = result.Error.TrimEnd('\n').Split('\n');
        Assert.StartsWith("kvmsharp: ", lines[0], StringComparison.Ordinal);
        Assert.InRange(lines.Length, 1, 2);
        Assert.All(lines.Skip(1), line => Assert.StartsWith("kvmsharp: hint: ", line, StringComparison.Ordinal));
    }
}

using System.Text.Json;
using KvmSharp.Cli.Commands;
using KvmSharp.Cli.Tests.Support;
using KvmSharp.Machine.Config;

namespace KvmSharp.Cli.Tests;

public sealed class CommandTests : IDisposable
{
    private readonly ScratchFolder _scratch = new();
    private readonly string _kernel;

    public CommandTests() => _kernel = _scratch.Write("kernel", TestKernel.Exit);

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void DryRun_GoodMachine_PrintsAFileThatMeansTheSame()
    {
        string[] machine =
        [
            "run", "--dry-run", "--kernel", _kernel, "--append", "a \"b\" c=d", "--memory", "64M,mergeable=on", "--cpus", "4,threads=2", "--cpu", "max,-avx2,phys-bits=40", "--serial", "none",
            "--serial", "file:" + _scratch["out"], "--debug-exit=0x501", "--debug-console=null,port=0x402", "--test-device", "--no-reboot", "--grace", "1.5s", "--name", "x", "--irqchip", "split",
        ];

        CliResult first = CliProgram.Run(machine);
        CliResult second = CliProgram.Run("run", "--dry-run", "--config", _scratch.Write("vm.json", first.Output));

        Assert.Equal("", first.Error);
        Assert.Equal(0, first.Status);
        Assert.Equal(first.Output, second.Output);
        Assert.False(File.Exists(_scratch["out"]));
    }

    [Fact]
    public void DryRun_EveryOptionOfTheTable_IsAcceptedByTheCommandLine()
    {
        foreach (MachineOption option in MachineOptions.All)
        {
            ConfigException? error = Record.Exception(() => RunOptions.Parse(["--" + option.Name, "@"])) as ConfigException;

            Assert.DoesNotContain("unknown option", error?.Message ?? "", StringComparison.Ordinal);
        }
    }

    [Fact]
    public void DryRun_CommandLineAndFile_CommandLineWins()
    {
        string file = _scratch.Write("vm.json", $$"""{ "kernel": "{{_kernel}}", "memory": "64M", "cpus": 2, "serial": "none" }""");

        using JsonDocument json = JsonDocument.Parse(CliProgram.Run("run", "--dry-run", "--config", file, "--memory", "32M").Output);

        Assert.Equal("32M", json.RootElement.GetProperty("memory").GetProperty("size").GetString());
        Assert.Equal(2, json.RootElement.GetProperty("cpus").GetProperty("count").GetInt32());
    }

    [Fact]
    public void Check_Text_HasALinePerItemAndTheFix()
    {
        CliResult result = CliProgram.Run("check");

        Assert.Equal(0, result.Status);
        Assert.Contains("ok       /dev/kvm", result.Output, StringComparison.Ordinal);
        Assert.Contains("KVM_CAP_IRQFD", result.Output, StringComparison.Ordinal);
        Assert.Contains("memlock limit", result.Output, StringComparison.Ordinal);
        Assert.EndsWith("guests can run here\n", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Check_Json_SaysTheSame()
    {
        using JsonDocument json = JsonDocument.Parse(CliProgram.Run("check", "--json").Output);

        Assert.True(json.RootElement.GetProperty("can-run").GetBoolean());
        Assert.Contains(json.RootElement.GetProperty("items").EnumerateArray(), i => i.GetProperty("name").GetString() == "io_uring");
    }

    [Fact]
    public void Check_NoKvm_IsHostCannotWithTheFix()
    {
        CliResult result = CliProgram.Run("check", "--kvm-device", _scratch["kvm"]);

        Assert.Equal(4, result.Status);
        Assert.Contains("fix: modprobe kvm_intel or kvm_amd", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Help_Run_NamesEveryOption()
    {
        string help = CliProgram.Run("run", "--help").Output;

        Assert.All(MachineOptions.All, option => Assert.Contains("--" + option.Name, help, StringComparison.Ordinal));
        Assert.Contains("Examples:", help, StringComparison.Ordinal);
    }

    [Fact]
    public void Help_AfterOptionThatTakesAValue_IsTheValue() =>
        Assert.Contains("kernel", CliProgram.Run("run", "--dry-run", "--append", "-h").Error, StringComparison.Ordinal);

    [Fact]
    public void Version_PrintsNameAndNumber() => Assert.StartsWith("kvmsharp 0.1.0 ", CliProgram.Run("version").Output, StringComparison.Ordinal);

    [Theory]
    [InlineData("bash", "bash -n")]
    [InlineData("zsh", "")]
    [InlineData("fish", "")]
    public void Completion_Shell_KnowsTheOptions(string shell, string check)
    {
        CliResult result = CliProgram.Run("completion", shell);

        Assert.Equal(0, result.Status);
        Assert.All(MachineOptions.All, option => Assert.Contains(option.Name, result.Output, StringComparison.Ordinal));
        if (check.Length > 0)
            Assert.Equal(0, CliProgram.Finish(CliProgram.StartShell($"{check} {_scratch.Write("script", result.Output)}")).Status);
    }

    [Fact]
    public void Completion_Bash_CompletesOptionsAndChoices()
    {
        string script = _scratch.Write("script", CliProgram.Run("completion", "bash").Output);
        string test = $"bash -c 'source {script}; COMP_WORDS=(kvmsharp run --irqchip s); COMP_CWORD=3; _kvmsharp; echo ${{COMPREPLY[@]}}; COMP_WORDS=(kvmsharp run --mem); COMP_CWORD=2; _kvmsharp; echo ${{COMPREPLY[@]}}'";

        Assert.Equal("split\n--memory\n", CliProgram.Finish(CliProgram.StartShell(test)).Output);
    }

    [Fact]
    public void InternalError_IsOneLineWithoutATrace()
    {
        var error = new System.Text.StringBuilder();

        ExitCode status = ErrorReport.Report(new InvalidOperationException("broken\nbadly"), new CliOutput(_ => { }, t => error.Append(t)), debug: false);

        Assert.Equal(ExitCode.Internal, status);
        Assert.Equal("kvmsharp: internal error: broken badly; run with --log-level debug for more\n", error.ToString());
    }
}

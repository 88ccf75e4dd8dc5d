namespace KvmSharp.Abi.Tests.Layout;

public sealed class LayoutTests
{
    private static readonly List<AbiDeclaration> Declarations = AbiReflection.Describe(typeof(Libc).Assembly.GetTypes()
        .Where(t => !t.IsNested && t.Namespace!.StartsWith("KvmSharp.Abi", StringComparison.Ordinal)));

    private static readonly Lazy<LayoutReport> Report = new(() => LayoutProbe.Run(Declarations));

    [Fact]
    public void Declarations_AgainstInstalledHeaders_HaveTheSameSizesOffsetsAndValues()
    {
        Assert.True(Report.Value.Wrong.Count == 0, string.Join(Environment.NewLine, Report.Value.Wrong));
        Assert.True(Report.Value.Checked > 100, $"only {Report.Value.Checked} declarations were compared");
    }

    [Fact]
    public void Declarations_AbsentFromInstalledHeaders_AreListedWithTheirKernel()
    {
        string unlisted = string.Join(", ", Report.Value.Absent.Where(name => !NewerThanHeaders.Lists(name)));

        Assert.True(unlisted.Length == 0, "not in the installed headers and not in NewerThanHeaders: " + unlisted);
    }

    [Fact]
    public void NewerThanHeaders_EveryEntry_NamesADeclarationOfAbi()
    {
        var names = Declarations.Select(d => d.Name).ToHashSet(StringComparer.Ordinal);

        Assert.DoesNotContain(NewerThanHeaders.Since.Keys, name => !names.Contains(name));
    }

    [Fact]
    public void Run_WrongDeclarations_AreEachReported()
    {
        LayoutReport report = LayoutProbe.Run(AbiReflection.Describe([typeof(Wrong.kvm_irqfd), typeof(Wrong.pollfd), typeof(Wrong.kvm_irq_level), typeof(Wrong.Constants)]));

        Assert.Equal(
            [
                "constant KVM_EXIT_HLT: 0x6, C has 0x5",
                "constant KVM_RUN: 0x80, C has 0xae80",
                "struct kvm_irqfd: 28 bytes, C has 32",
                "field kvm_irqfd.flags: 4 bytes at 4, C has 4 at 8",
                "field kvm_irqfd.gsi: 4 bytes at 8, C has 4 at 4",
                "field kvm_irqfd.pad: 12 bytes at 16, C has 16 at 16",
                "field pollfd.revents: 1 bytes at 6, C has 2 at 6",
            ],
            report.Wrong);
        Assert.Equal(["KVM_NO_SUCH_CONSTANT", "kvm_irq_level.priority"], report.Absent);
    }
}

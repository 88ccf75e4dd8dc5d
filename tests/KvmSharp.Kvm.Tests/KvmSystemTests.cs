using KvmSharp.Abi.Kvm;
using KvmSharp.Core;

namespace KvmSharp.Kvm.Tests;

public sealed class KvmSystemTests
{
    [Fact]
    public void Open_NoSuchDevice_NamesPathAndCause()
    {
        LinuxException error = Assert.Throws<LinuxException>(() => KvmSystem.Open("/dev/kvm-absent"));

        Assert.Equal("open /dev/kvm-absent: No such file or directory", error.Message);
    }

    [Fact]
    public void Open_NotKvm_SaysSo()
    {
        KvmUnsupportedException error = Assert.Throws<KvmUnsupportedException>(() => KvmSystem.Open("/dev/null"));

        Assert.Equal("/dev/null is not KVM", error.Message);
    }

    [Fact]
    public void Require_MissingCapability_NamesItAndItsPurpose()
    {
        using KvmSystem system = KvmSystem.Open();
        var capability = new KvmCapability("KVM_CAP_IMAGINARY", 99_999, true, "time travel");

        KvmUnsupportedException error = Assert.Throws<KvmUnsupportedException>(() => system.Require(capability));

        Assert.Equal("this host's KVM lacks KVM_CAP_IMAGINARY (needed for time travel); a newer kernel has it", error.Message);
        Assert.Equal("KVM_CAP_IMAGINARY", error.Capability);
    }

    [Fact]
    public void RequireAll_ThisHost_HasWhatIsNeeded()
    {
        using KvmSystem system = KvmSystem.Open();

        system.RequireAll();

        Assert.Equal(1, system.Check(KvmConstants.KVM_CAP_USER_MEMORY));
        Assert.True(system.MaxVcpus >= 1);
    }

    [Fact]
    public void GetMsrIndices_ThisHost_ListsTheTimeStampCounter()
    {
        using KvmSystem system = KvmSystem.Open();

        Assert.Contains(0x10u, system.GetMsrIndices());
    }
}

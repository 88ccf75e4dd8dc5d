namespace KvmSharp.Core.Tests;

public sealed class HostThreadTests
{
    [Theory]
    [InlineData("vcpu 0", "vcpu 0")]
    [InlineData("a name of many characters", "a name of many ")]
    public void Create_Name_IsSeenByTheHost(string name, string seen)
    {
        string? comm = null;
        Thread thread = HostThread.Create(name, ThreadRole.Runtime, () => comm = File.ReadAllText("/proc/thread-self/comm"));

        Assert.True(thread.IsBackground);
        thread.Start();
        thread.Join();

        Assert.Equal(seen + "\n", comm);
    }
}

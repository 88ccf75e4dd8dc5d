namespace KvmSharp.Machine.Tests.Bare.Virtio;

/// <summary>A theory that needs a tap; skipped on hosts that have none.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class TapTheoryAttribute : TheoryAttribute
{
    private const string Tun = "/dev/net/tun";

    public TapTheoryAttribute()
    {
        if (!File.Exists(Tun))
            Skip = $"{Tun} is not there";
    }
}

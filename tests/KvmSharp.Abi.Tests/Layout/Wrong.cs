using System.Runtime.InteropServices;

namespace KvmSharp.Abi.Tests.Layout;

/// <summary>Declarations with mistakes on purpose: the prober has to find each.</summary>
public static class Wrong
{
    /// <summary>Two fields swapped and the padding too short.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct kvm_irqfd
    {
        public uint fd;
        public uint flags;
        public uint gsi;
        public uint resamplefd;
        public fixed byte pad[12];
    }

    /// <summary>A field too narrow, hidden by the tail padding.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct pollfd
    {
        public int fd;
        public short events;
        public byte revents;
    }

    /// <summary>A field the header does not have.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 8)]
    public struct kvm_irq_level
    {
        [FieldOffset(0)] public uint irq;
        [FieldOffset(4)] public uint level;
        [FieldOffset(4)] public uint priority;
    }

    /// <summary>An enumerator off by one, a number cut short, and a name that does not exist.</summary>
    public static class Constants
    {
        public const uint KVM_EXIT_HLT = 6;
        public const byte KVM_RUN = 0x80;
        public const int KVM_NO_SUCH_CONSTANT = 1;
        public const uint KVM_EXIT_IO = 2;
    }
}

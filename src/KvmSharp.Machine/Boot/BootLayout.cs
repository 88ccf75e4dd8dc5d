namespace KvmSharp.Machine.Boot;

/// <summary>
/// Where the Linux protocol's boot data lies below the EBDA. All of it is usable RAM in the memory map: the kernel copies what
/// it wants to keep before it reuses the space. PVH and Multiboot take free room instead (<see cref="LowMemory"/>), because
/// their kernels may load anywhere.
/// </summary>
internal static class BootLayout
{
    internal const ulong Gdt = 0x1000;
    internal const ulong BootParams = 0x7000;
    internal const ulong StackTop = 0x9000;
    internal const ulong PageTables = 0x9000;
    internal const ulong CommandLine = 0x2_0000;
    internal const int CommandLineRoom = 0x1_0000;
    internal const ulong OneMiB = 0x10_0000;

    internal static ulong AlignUp(ulong value, ulong alignment) => (value + alignment - 1) & ~(alignment - 1);

    internal static ulong AlignDown(ulong value, ulong alignment) => value & ~(alignment - 1);
}

using System.Runtime.CompilerServices;
using KvmSharp.Abi;

namespace KvmSharp.Machine.Boot.Unpacked;

/// <summary>
/// Where an unpacked kernel goes: at random, physically and virtually, as its own decompressor would have put it (CONFIG_RANDOMIZE_BASE), unless the
/// command line says nokaslr.
/// </summary>
/// <param name="Load">Physical address of its first byte.</param>
/// <param name="Delta">How far its virtual address lies above the one that it is linked at.</param>
/// <param name="IsRandom">What the boot parameters tell the kernel, which then randomizes the rest of its address space too.</param>
internal readonly record struct KernelPlacement(ulong Load, ulong Delta, bool IsRandom)
{
    /// <param name="ceiling">Past the RAM that it may use, which starts where it is linked; there is room for it.</param>
    internal static KernelPlacement Choose(CachedKernel kernel, ulong alignment, ulong ceiling, string commandLine)
    {
        if (!kernel.IsRelocatable || HasWord(commandLine, "nokaslr"))
            return new(kernel.LinkStart, 0, false);
        ulong load = kernel.LinkStart + (alignment * Random((ceiling - kernel.LinkStart - kernel.Span) / alignment));
        ulong delta = alignment * Random((CachedKernelHeader.MaxSpan - kernel.LinkStart - kernel.Span) / alignment);
        return new(load, delta, true);
    }

    private static bool HasWord(string text, string word)
    {
        foreach (Range part in text.AsSpan().SplitAny(' ', '\t', '\n'))
        {
            if (text.AsSpan()[part].SequenceEqual(word))
                return true;
        }

        return false;
    }

    /// <summary>From 0 to <paramref name="last"/>, which is far below 2^32. Without the host's generator, which is always there, 0.</summary>
    [SkipLocalsInit]
    private static unsafe ulong Random(ulong last)
    {
        ulong bits;
        return Libc.getrandom(&bits, sizeof(ulong), 0) == sizeof(ulong) ? bits % (last + 1) : 0;
    }
}

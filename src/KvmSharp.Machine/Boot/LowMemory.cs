using KvmSharp.Core.Memory;

namespace KvmSharp.Machine.Boot;

/// <summary>Hands out room for boot information between page 1 and the EBDA, around what the kernel loaded there.</summary>
internal sealed class LowMemory(GuestMemory memory, IReadOnlyList<LoadedRange> occupied)
{
    private const ulong Alignment = 16;

    private ulong _next = GuestMemory.PageSize;

    /// <summary>Reserves room for <paramref name="length"/> bytes.</summary>
    internal ulong Take(int length)
    {
        ulong start = BootLayout.AlignUp(_next, Alignment);
        for (int i = 0; i < occupied.Count; i++)
        {
            if (start < occupied[i].End && start + (ulong)length > occupied[i].Start)
            {
                start = BootLayout.AlignUp(occupied[i].End, Alignment);
                i = -1; // the new place may hit an earlier range; start only grows, so this ends
            }

            if (start + (ulong)length > MachineLayout.EbdaStart)
                break;
        }

        if (start + (ulong)length > MachineLayout.EbdaStart)
            throw new BootException("no room below 640 KiB for the boot information; use a kernel that leaves it free or shorter command lines");
        _next = start + (ulong)length;
        return start;
    }

    /// <summary>Reserves room for the bytes and writes them.</summary>
    internal ulong Put(ReadOnlySpan<byte> bytes)
    {
        ulong address = Take(bytes.Length);
        Write(address, bytes);
        return address;
    }

    internal void Write(ulong address, ReadOnlySpan<byte> bytes)
    {
        if (!memory.TryWrite(new(address), bytes))
            throw new BootException("guest memory is too small for the boot information; give the guest more memory");
    }
}

namespace KvmSharp.Devices.Pci;

/// <summary>Gives BARs their first addresses: naturally aligned, first fit, largest first. Under the PCI root's lock.</summary>
internal sealed class PciBarAllocator(PciWindows windows)
{
    private readonly List<(IPciFunction Owner, bool Io, ulong Start, ulong Last)> _assigned = [];

    /// <summary>
    /// Assigns all BARs of a function and returns the command register's decode bits for them. Throws
    /// <see cref="InvalidOperationException"/> if a window is full; then nothing is assigned.
    /// </summary>
    /// <param name="memory">Ranges in use on the MMIO bus.</param>
    /// <param name="ports">Ranges in use on the port bus.</param>
    internal ushort Assign(IPciFunction function, List<(ulong Start, ulong Last)> memory, List<(ulong Start, ulong Last)> ports)
    {
        // The guest may have moved a BAR away from what was assigned here; both its old and its new place stay avoided.
        foreach ((_, bool io, ulong start, ulong last) in _assigned)
            (io ? ports : memory).Add((start, last));
        PciBar[] bars = [.. function.Bars];
        Array.Sort(bars, static (a, b) => b.Size.CompareTo(a.Size));
        int firstNew = _assigned.Count;
        ushort decode = 0;
        foreach (PciBar bar in bars)
        {
            bool io = bar.Kind == PciBarKind.Io;
            if (Find(bar, io ? ports : memory) is not ulong address)
            {
                _assigned.RemoveRange(firstNew, _assigned.Count - firstNew);
                throw new InvalidOperationException($"{function.Name}: no room for BAR {bar.Index} of 0x{bar.Size:x} bytes");
            }

            (io ? ports : memory).Add((address, address + bar.Size - 1));
            _assigned.Add((function, io, address, address + bar.Size - 1));
            bar.SetAddress(function.Config, address);
            decode |= io ? PciRegisters.CommandIo : PciRegisters.CommandMemory;
        }

        return decode;
    }

    internal void Release(IPciFunction function) => _assigned.RemoveAll(a => ReferenceEquals(a.Owner, function));

    private static ulong? FirstFit(ulong start, ulong length, ulong size, List<(ulong Start, ulong Last)> occupied)
    {
        ulong end = start + length;
        ulong candidate = AlignUp(start, size);
        bool moved = true;
        while (moved && candidate >= start && candidate < end && size <= end - candidate)
        {
            moved = false;
            foreach ((ulong from, ulong last) in occupied)
            {
                if (from > candidate + size - 1 || last < candidate)
                    continue;
                candidate = AlignUp(last + 1, size);
                moved = true;
                break;
            }

            if (!moved)
                return candidate;
        }

        return null;
    }

    private static ulong AlignUp(ulong value, ulong size) => unchecked(value + size - 1) & ~(size - 1);

    private ulong? Find(PciBar bar, List<(ulong Start, ulong Last)> occupied)
    {
        if (bar.Kind == PciBarKind.Io)
            return FirstFit(windows.IoStart, (ulong)windows.IoLength, bar.Size, occupied);
        ulong? high = bar.Is64 && windows.Memory64Length != 0
            ? FirstFit(windows.Memory64Start, windows.Memory64Length, bar.Size, occupied)
            : null;
        return high ?? FirstFit(windows.Memory32Start, windows.Memory32Length, bar.Size, occupied);
    }
}

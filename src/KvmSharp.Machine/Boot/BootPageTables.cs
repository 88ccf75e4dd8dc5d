using KvmSharp.Core.Memory;

namespace KvmSharp.Machine.Boot;

/// <summary>Identity map of the first 4 GiB with 2 MiB pages: one PML4, one PDPT, four page directories.</summary>
internal static unsafe class BootPageTables
{
    private const ulong Table = GuestMemory.PageSize;
    private const ulong PresentWritable = 3;
    private const ulong LargePage = 0x80;
    private const int Directories = 4;

    internal const ulong Length = (2 + Directories) * Table;

    /// <summary>Writes the tables at <paramref name="address"/> (page aligned), which becomes CR3.</summary>
    internal static void Write(GuestMemory memory, ulong address)
    {
        if (!memory.TryGetPointer(new(address), Length, out byte* host))
            throw new BootException("guest memory is too small for the boot page tables; give the guest more memory");

        // SAFETY: Length bytes from host were checked above; the guest does not run yet.
        new Span<byte>(host, (int)(2 * Table)).Clear();
        ulong* pml4 = (ulong*)host;
        ulong* pdpt = (ulong*)(host + Table);
        ulong* pages = (ulong*)(host + (2 * Table));
        pml4[0] = (address + Table) | PresentWritable;
        for (uint i = 0; i < Directories; i++)
            pdpt[i] = (address + ((2 + i) * Table)) | PresentWritable;
        for (uint i = 0; i < Directories * 512; i++)
            pages[i] = ((ulong)i << 21) | LargePage | PresentWritable;
    }
}

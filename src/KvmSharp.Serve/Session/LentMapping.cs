using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.Memory;

namespace KvmSharp.Serve.Session;

/// <summary>
/// A mapping of a file that a front end shares and may shorten at any moment. What is gone then reads as zero (where the program handles memory faults), and
/// the front end's <see cref="EventFd"/> is signalled. Nobody accesses it while it is disposed of.
/// </summary>
internal sealed unsafe class LentMapping : IDisposable
{
    private readonly MappedRegion _mapping;
    private readonly int _slot;

    /// <summary>Throws <see cref="LinuxException"/> if the host refuses.</summary>
    /// <param name="length">Bytes, whole pages of the file.</param>
    /// <param name="offset">In the file, of a page.</param>
    /// <param name="lost">Signalled when an access has found the file shortened; kept open by the caller beyond the mapping.</param>
    public LentMapping(FileDescriptor file, ulong length, ulong offset, EventFd lost)
    {
        _mapping = MappedRegion.MapShared(file, length, (long)offset);
        _slot = NativeShims.kvmsharp_memory_lent_add(_mapping.Pointer, (nuint)length, lost.Value);
        if (_slot >= 0)
            return;
        _mapping.Dispose();
        throw new LinuxException("watch over shared memory", -_slot);
    }

    /// <summary>First byte; valid until disposed.</summary>
    public byte* Pointer => _mapping.Pointer;

    public void Dispose()
    {
        if (_mapping.IsClosed)
            return;
        NativeShims.kvmsharp_memory_lent_remove(_slot);
        _mapping.Dispose();
    }
}

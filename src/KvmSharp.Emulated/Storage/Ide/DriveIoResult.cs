namespace KvmSharp.Emulated.Storage.Ide;

/// <summary>What became of a request of a drive.</summary>
/// <param name="Failed">The disk could not do it.</param>
/// <param name="Bytes">Transferred; a multiple of a sector.</param>
/// <param name="Table">For a bus-master transfer: what its table gave.</param>
internal readonly record struct DriveIoResult(bool Failed, ulong Bytes, PrdTransfer Table);

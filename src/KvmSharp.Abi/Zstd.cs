using System.Runtime.InteropServices;

namespace KvmSharp.Abi;

/// <summary>libzstd (zstd.h), bound at the first call: a host without it throws <see cref="DllNotFoundException"/> there.</summary>
public static unsafe partial class Zstd
{
    private const string Library = "libzstd.so.1";

    /// <summary>Bytes written to <paramref name="destination"/>, or an error that <see cref="ZSTD_isError"/> knows.</summary>
    [LibraryImport(Library)]
    public static partial nuint ZSTD_decompress(void* destination, nuint capacity, void* source, nuint compressedSize);

    /// <summary>Not 0 for a result that is an error.</summary>
    [LibraryImport(Library)]
    public static partial uint ZSTD_isError(nuint result);
}

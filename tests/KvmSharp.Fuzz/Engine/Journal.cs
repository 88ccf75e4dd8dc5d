using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;

namespace KvmSharp.Fuzz.Engine;

/// <summary>
/// The input that runs now, in a mapped file: what is left of it when the process dies of a fault that no handler sees. Cleared
/// by a run that ends as it should.
/// </summary>
internal sealed unsafe class Journal : IDisposable
{
    private readonly string _path;
    private readonly int _capacity;
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _bytes;

    internal Journal(string path, int capacity)
    {
        _path = path;
        _capacity = capacity;
        _file = MemoryMappedFile.CreateFromFile(path, FileMode.Create, null, capacity + sizeof(int));
        _view = _file.CreateViewAccessor();
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _bytes);
    }

    /// <summary>The input that a dead process left at this path; null if none died.</summary>
    internal static byte[]? Salvage(string path)
    {
        if (!File.Exists(path))
            return null;
        byte[] bytes = File.ReadAllBytes(path);
        File.Delete(path);
        int length = bytes.Length >= sizeof(int) ? MemoryMarshal.Read<int>(bytes) : 0;
        return length > 0 && length <= bytes.Length - sizeof(int) ? bytes[sizeof(int)..(sizeof(int) + length)] : null;
    }

    internal void Write(ReadOnlySpan<byte> input)
    {
        input[..Math.Min(input.Length, _capacity)].CopyTo(new Span<byte>(_bytes + sizeof(int), _capacity));
        *(int*)_bytes = input.Length;
    }

    public void Dispose()
    {
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _file.Dispose();
        File.Delete(_path);
    }
}

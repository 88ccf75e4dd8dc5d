using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.Machine.Boot;

/// <summary>The files a guest boots from, kept open by path: a guest that resets boots again from what it booted from.</summary>
public sealed class BootFiles : IDisposable
{
    private readonly Dictionary<string, FileDescriptor> _files = [];

    /// <summary>The guest has booted from them: nothing else is looked for any more.</summary>
    internal bool HasBooted { get; set; }

    /// <summary>The kernel in the cache that it booted from; null: the bzImage itself.</summary>
    internal string? UnpackedKernel { get; set; }

    /// <summary>A descriptor of the caller's own. Throws <see cref="LinuxException"/>.</summary>
    internal FileDescriptor Open(string path)
    {
        // O_NONBLOCK: a FIFO given by mistake must not hang us in open(2).
        if (!_files.TryGetValue(path, out FileDescriptor? file))
            _files.Add(path, file = FileDescriptor.Open(path, LibcConstants.O_RDONLY | LibcConstants.O_NONBLOCK));
        return file.Duplicate();
    }

    public void Dispose()
    {
        foreach (FileDescriptor file in _files.Values)
            file.Dispose();
        _files.Clear();
    }
}

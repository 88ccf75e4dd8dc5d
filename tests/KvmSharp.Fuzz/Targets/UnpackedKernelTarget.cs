using System.Buffers.Binary;
using KvmSharp.Core.Memory;
using KvmSharp.Fuzz.Engine;
using KvmSharp.Machine.Boot;
using KvmSharp.Machine.Boot.Unpacked;
using KvmSharp.TestKit.Boot;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvmSharp.Fuzz.Targets;

/// <summary>
/// The cache of unpacked kernels: a file in it that a script has spoilt, or a bzImage with a spoilt payload that is to be unpacked into it. The kernel then unpacks
/// itself, or a one-line <see cref="BootException"/> comes of it.
/// </summary>
internal sealed class UnpackedKernelTarget : IFuzzTarget
{
    private const ulong MemoryBytes = 32 << 20;

    /// <summary>CachedKernelHeader: 8 words of 8 bytes, with the first segment 12.</summary>
    private const int HeaderWords = 24;

    private readonly GuestMemory _memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = MemoryBytes });
    // In memory: what is kept in the cache is written through to the disk.
    private readonly string _folder = Path.Combine(Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath(), $"kvmsharp-fuzz-cache-{Guid.NewGuid():n}");
    private readonly KernelCache _cache;
    private readonly byte[] _packed = PackedKernel.Make();
    private readonly byte[] _kept;
    private readonly string _keptPath;

    internal UnpackedKernelTarget()
    {
        Directory.CreateDirectory(_folder);
        _cache = new KernelCache(Path.Combine(_folder, "unpacked"), NullLogger.Instance);
        File.WriteAllBytes(Good, _packed);
        Load(Good, "");
        _keptPath = Directory.GetFiles(Path.Combine(_folder, "unpacked")).Single();
        _kept = File.ReadAllBytes(_keptPath);
    }

    private string Good => Path.Combine(_folder, "good");

    private string Spoilt => Path.Combine(_folder, "spoilt");

    public void Run(FuzzScript script)
    {
        byte how = script.U8();
        bool isKept = (how & 1) != 0;
        byte[] bytes = [.. isKept ? _kept : _packed];
        int length = (how & 0x60) == 0x60 ? script.U16() % (bytes.Length + 1) : bytes.Length;
        while (!script.AtEnd)
            Spoil(script, bytes, isKept);
        File.WriteAllBytes(isKept ? _keptPath : Spoilt, bytes.AsSpan(0, length));
        try
        {
            BootEntry entry = Load(isKept ? Good : Spoilt, (how & 2) != 0 ? "nokaslr" : "");
            script.Observe(1, entry.KernelEnd - entry.KernelStart);
            FuzzFailure.Unless(entry.KernelStart < entry.KernelEnd && entry.KernelEnd <= MemoryBytes, "a kernel lies outside guest memory");
            FuzzFailure.Unless(entry.Rip >= entry.KernelStart && entry.Rip < entry.KernelEnd, "an entry lies outside its kernel");
        }
        catch (BootException refused)
        {
            script.Observe(2, refused.Message);
            FuzzFailure.Unless(!refused.Message.Contains('\n', StringComparison.Ordinal), "a refusal is longer than a line");
        }
    }

    public void Probe()
    {
        File.WriteAllBytes(_keptPath, _kept);
        BootEntry entry = Load(Good, "nokaslr");
        FuzzFailure.Unless(entry.Rip == PackedKernel.LinkStart + PackedKernel.Entry, "a good kernel does not come out of the cache");
    }

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
        _memory.Dispose();
    }

    private BootEntry Load(string path, string commandLine) =>
        KernelLoader.Load(_memory, new BootRequest { KernelPath = path, CommandLine = commandLine, KernelCache = _cache });

    /// <summary>One word: of a cached file's header or relocations, of a bzImage's ELF kernel, frame and relocations, or anywhere.</summary>
    private static void Spoil(FuzzScript script, byte[] bytes, bool isKept)
    {
        byte where = script.U8();
        int at = (where & 0xC0) switch
        {
            0 when isKept => where % HeaderWords * 4,
            0 => 0x248 + (where & 7), // payload_offset and payload_length
            0x40 => bytes.Length - 1 - (where & 0x3F), // relocations
            0x80 when !isKept => PackedKernel.PayloadStart + script.Below(0x98), // the frame's header, the ELF's and its segment
            _ => script.U16() % bytes.Length,
        };
        Span<byte> value = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(value, script.Number());
        int width = Math.Min(1 << (script.U8() & 3), bytes.Length - at);
        value[..width].CopyTo(bytes.AsSpan(at));
    }
}

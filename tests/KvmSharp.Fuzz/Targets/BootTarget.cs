using System.Buffers.Binary;
using KvmSharp.Core.Memory;
using KvmSharp.Fuzz.Engine;
using KvmSharp.Machine.Boot;

namespace KvmSharp.Fuzz.Targets;

/// <summary>Kernel files: a good bzImage, PVH or Multiboot image with fields that a script changes, cut where it likes. Only a one-line <see cref="BootException"/> may come of it.</summary>
internal sealed class BootTarget : IFuzzTarget
{
    private const ulong MemoryBytes = 4 << 20;
    private const int FileBytes = 0x3000;
    private static readonly int[] s_linuxFields = [0x1F1, 0x1F4, 0x1FE, 0x201, 0x202, 0x206, 0x211, 0x22C, 0x230, 0x234, 0x236, 0x238, 0x258, 0x25C, 0x260];
    private static readonly int[] s_elfFields = [4, 5, 16, 18, 24, 28, 32, 36, 42, 44, 54, 56];
    private static readonly Action<byte[]>[] s_templates = [MakeLinux, b => MakeElf64(b), b => MakeElf32(b, multiboot: false), b => MakeElf32(b, multiboot: true), MakeFlat];

    private readonly GuestMemory _memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = MemoryBytes });
    private readonly string _path = Path.Combine(Path.GetTempPath(), $"kvmsharp-fuzz-kernel-{Guid.NewGuid():n}");
    private readonly Microsoft.Win32.SafeHandles.SafeFileHandle _file;
    private readonly byte[] _image = new byte[FileBytes];

    internal BootTarget() => _file = File.OpenHandle(_path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite);

    public void Run(FuzzScript script)
    {
        byte how = script.U8();
        int kind = how % s_templates.Length;
        s_templates[kind](_image);
        int length = (how & 0xC0) == 0xC0 ? script.U16() % (FileBytes + 1) : FileBytes;
        BootProtocol protocol = (how & 0x30) == 0x30 ? (BootProtocol)script.Below(4) : BootProtocol.Auto;
        string? initrd = (how & 0x28) == 0x28 ? _path : null;
        while (!script.AtEnd)
            Spoil(script, kind);
        Load(script, length, protocol, initrd);
    }

    public void Probe()
    {
        MakeLinux(_image);
        RandomAccess.SetLength(_file, FileBytes);
        RandomAccess.Write(_file, _image, 0);
        FuzzFailure.Unless(KernelLoader.Load(_memory, new BootRequest { KernelPath = _path }).Protocol == BootProtocol.Linux, "a good kernel is not loaded");
    }

    public void Dispose()
    {
        _file.Dispose();
        File.Delete(_path);
        _memory.Dispose();
    }

    private void Load(FuzzScript script, int length, BootProtocol protocol, string? initrd)
    {
        RandomAccess.SetLength(_file, length);
        RandomAccess.Write(_file, _image.AsSpan(0, length), 0);
        try
        {
            BootEntry entry = KernelLoader.Load(_memory, new BootRequest { KernelPath = _path, InitrdPath = initrd, CommandLine = "console=ttyS0", Protocol = protocol });
            script.Observe(1, (ulong)entry.Protocol);
            FuzzFailure.Unless(entry.KernelStart < entry.KernelEnd && entry.KernelEnd <= MemoryBytes, "a kernel lies outside guest memory");
            FuzzFailure.Unless(entry.InitrdLength == 0 || (entry.InitrdStart >= entry.KernelEnd && entry.InitrdStart + entry.InitrdLength <= MemoryBytes), "an initrd lies over the kernel or outside guest memory");
            FuzzFailure.Unless(entry.GdtAddress + entry.GdtLimit < MemoryBytes, "a GDT lies outside guest memory");
        }
        catch (BootException refused)
        {
            script.Observe(2, refused.Message);
            FuzzFailure.Unless(!refused.Message.Contains('\n', StringComparison.Ordinal), "a refusal is longer than a line");
        }
    }

    private void Spoil(FuzzScript script, int kind)
    {
        byte how = script.U8();
        int at = kind == 0 ? s_linuxFields[how % s_linuxFields.Length] : (how & 0x60) switch
        {
            0x00 => s_elfFields[how % s_elfFields.Length],
            0x20 => (kind == 1 ? 64 : 52) + (how & 0x1F) * 4, // a segment
            0x40 => 0x200 + (how & 0x1F), // note or Multiboot header
            _ => script.U16() % (FileBytes - 8),
        };
        if ((how & 0x80) != 0)
            at = Math.Max(0, at - 1 + script.U8() % 3);
        ulong value = script.Number();
        switch (script.U8() & 3)
        {
            case 0:
                _image[at] = (byte)value;
                break;
            case 1:
                BinaryPrimitives.WriteUInt16LittleEndian(_image.AsSpan(at), (ushort)value);
                break;
            case 2:
                BinaryPrimitives.WriteUInt32LittleEndian(_image.AsSpan(at), (uint)value);
                break;
            default:
                BinaryPrimitives.WriteUInt64LittleEndian(_image.AsSpan(at), value);
                break;
        }
    }

    private static void MakeLinux(byte[] b)
    {
        Array.Clear(b);
        b[0x1F1] = 1;
        Put32(b, 0x1F4, 0x200);
        b[0x1FE] = 0x55;
        b[0x1FF] = 0xAA;
        b[0x201] = 0x6A;
        "HdrS"u8.CopyTo(b.AsSpan(0x202));
        Put32(b, 0x206, 0x020F);
        b[0x211] = 1;
        Put32(b, 0x22C, 0x7FFF_FFFF);
        Put32(b, 0x230, 0x10_0000);
        b[0x234] = 1;
        b[0x236] = 3;
        Put32(b, 0x238, 255);
        Put32(b, 0x258, 0x10_0000);
        Put32(b, 0x260, 0x8_0000);
    }

    private static void MakeElf64(byte[] b)
    {
        StartElf(b, 2, 62);
        Put32(b, 24, 0x20_0010);
        Put32(b, 32, 64);
        b[54] = 56;
        b[56] = 2;
        ReadOnlySpan<uint> load = [0x1000, 0x20_0000, 0x20_0000, 0x1000, 0x2000, 4], note = [0x200, 0, 0, 20, 20, 4];
        b[64] = 1;
        b[64 + 56] = 4;
        for (int i = 0; i < load.Length; i++)
        {
            Put32(b, 72 + 8 * i, load[i]);
            Put32(b, 72 + 56 + 8 * i, note[i]);
        }

        PutNote(b);
    }

    private static void MakeElf32(byte[] b, bool multiboot)
    {
        StartElf(b, 1, 3);
        Put32(b, 24, 0x20_0010);
        Put32(b, 28, 52);
        b[42] = 32;
        b[44] = 2;
        ReadOnlySpan<uint> segments = [1, 0x1000, 0x20_0000, 0x20_0000, 0x1000, 0x2000, 0, 4, 4, 0x200, 0, 0, 20, 20, 0, 4];
        for (int i = 0; i < segments.Length; i++)
            Put32(b, 52 + 4 * i, segments[i]);
        if (multiboot)
            PutMultiboot(b, 3);
        else
            PutNote(b);
    }

    /// <summary>Multiboot with addresses in its header, flag 16, and no ELF.</summary>
    private static void MakeFlat(byte[] b)
    {
        Array.Clear(b);
        PutMultiboot(b, 0x1_0003);
        ReadOnlySpan<uint> addresses = [0x10_0200, 0x10_0000, 0, 0x10_4000, 0x10_0300];
        for (int i = 0; i < addresses.Length; i++)
            Put32(b, 0x20C + 4 * i, addresses[i]);
    }

    private static void StartElf(byte[] b, byte kind, byte machine)
    {
        Array.Clear(b);
        "\x7FELF"u8.CopyTo(b);
        b[4] = kind;
        b[5] = b[6] = b[20] = 1;
        b[16] = 2;
        b[18] = machine;
    }

    private static void PutNote(byte[] b)
    {
        Put32(b, 0x200, 4);
        Put32(b, 0x204, 4);
        Put32(b, 0x208, 18);
        "Xen\0"u8.CopyTo(b.AsSpan(0x20C));
        Put32(b, 0x210, 0x20_0040);
    }

    private static void PutMultiboot(byte[] b, uint flags)
    {
        Put32(b, 0x200, 0x1BAD_B002);
        Put32(b, 0x204, flags);
        Put32(b, 0x208, unchecked(0u - 0x1BAD_B002 - flags));
    }

    private static void Put32(byte[] b, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(b.AsSpan(at), value);
}

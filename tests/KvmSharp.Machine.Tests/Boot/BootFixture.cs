using System.Buffers.Binary;
using System.Text;
using KvmSharp.Core.Memory;
using KvmSharp.Machine.Boot;

namespace KvmSharp.Machine.Tests.Boot;

/// <summary>Guest RAM, a folder for files, and readers of what the loader left in RAM.</summary>
public abstract class BootFixture : IDisposable
{
    protected BootFixture() => Memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 64 << 20 });

    protected GuestMemory Memory { get; }

    protected string Folder { get; } = Directory.CreateTempSubdirectory("kvmsharp-boot-").FullName;

    public void Dispose()
    {
        Memory.Dispose();
        Directory.Delete(Folder, recursive: true);
    }

    protected string File(string name, byte[] contents)
    {
        string path = Path.Combine(Folder, name);
        System.IO.File.WriteAllBytes(path, contents);
        return path;
    }

    protected BootEntry Load(byte[] kernel, string? initrd = null, string commandLine = "", BootProtocol protocol = BootProtocol.Auto, GuestMemory? memory = null) =>
        KernelLoader.Load(memory ?? Memory, new BootRequest
        {
            KernelPath = File("kernel", kernel),
            InitrdPath = initrd,
            CommandLine = commandLine,
            Protocol = protocol,
            RsdpAddress = MachineLayout.AcpiStart,
        });

    /// <summary>The one-line message of the failure to load.</summary>
    protected string Fail(byte[] kernel, string? initrd = null, string commandLine = "", BootProtocol protocol = BootProtocol.Auto, GuestMemory? memory = null)
    {
        string message = Assert.Throws<BootException>(() => Load(kernel, initrd, commandLine, protocol, memory)).Message;
        Assert.DoesNotContain('\n', message);
        Assert.Contains(';', message); // what; what to do
        return message;
    }

    private protected static Thread StartHelping(LoadHelper helper)
    {
        var thread = new Thread(helper.Help) { IsBackground = true };
        thread.Start();
        return thread;
    }

    private protected static void EndHelping(LoadHelper helper, Thread helping)
    {
        helper.End();
        Assert.True(helping.Join(10_000));
    }

    protected uint U32(ulong address)
    {
        Assert.True(Memory.TryRead(new(address), out uint value));
        return value;
    }

    protected ulong U64(ulong address)
    {
        Assert.True(Memory.TryRead(new(address), out ulong value));
        return value;
    }

    protected byte[] Bytes(ulong address, int length)
    {
        byte[] bytes = new byte[length];
        Assert.True(Memory.TryRead(new(address), bytes));
        return bytes;
    }

    protected string Text(ulong address)
    {
        byte[] bytes = Bytes(address, 4096);
        return Encoding.UTF8.GetString(bytes, 0, Array.IndexOf(bytes, (byte)0));
    }

    protected static void Put16(byte[] b, int offset, int value) => BinaryPrimitives.WriteUInt16LittleEndian(b.AsSpan(offset), (ushort)value);

    protected static void Put32(byte[] b, int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(b.AsSpan(offset), value);

    protected static void Put64(byte[] b, int offset, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(b.AsSpan(offset), value);
}

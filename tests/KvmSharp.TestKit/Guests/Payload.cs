using Iced.Intel;

namespace KvmSharp.TestKit.Guests;

/// <summary>Bare guest code assembled in a test.</summary>
public static class Payload
{
    /// <summary>Assembles for a 16, 32 or 64 bit processor mode, to run at <paramref name="origin"/>.</summary>
    public static byte[] Assemble(int bitness, ulong origin, Action<Assembler> write)
    {
        var assembler = new Assembler(bitness);
        write(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), origin);
        return stream.ToArray();
    }
}

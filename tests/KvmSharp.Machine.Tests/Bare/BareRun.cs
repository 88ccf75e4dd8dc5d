using System.Buffers.Binary;

namespace KvmSharp.Machine.Tests.Bare;

/// <summary>How a bare machine ended and what it wrote to the debug console.</summary>
internal sealed record BareRun(MachineExit Exit, byte[] Console)
{
    internal string Text => System.Text.Encoding.Latin1.GetString(Console);

    /// <summary>The dwords a payload stored. Fails the test unless it came to its ordinary end.</summary>
    internal uint[] Words
    {
        get
        {
            Assert.Equal(new MachineExit(MachineExitKind.DebugExit, GuestCode.FinishStatus), Exit);
            Assert.Equal(0, Console.Length % sizeof(uint));
            uint[] words = new uint[Console.Length / sizeof(uint)];
            for (int i = 0; i < words.Length; i++)
                words[i] = BinaryPrimitives.ReadUInt32LittleEndian(Console.AsSpan(i * sizeof(uint)));
            return words;
        }
    }
}

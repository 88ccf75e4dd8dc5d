using KvmSharp.Abi;
using static KvmSharp.Abi.SeccompConstants;

namespace KvmSharp.Sandbox;

/// <summary>
/// A classic BPF program (linux/filter.h), written from its end to its start: its jumps only go forward, so what they lead to is there. A label is what a method returned.
/// </summary>
internal sealed class FilterProgram
{
    // A comparison skips 255 instructions at most; one less, because the way to its other target may take an instruction between.
    private const int NearestSkip = 254;

    private readonly List<sock_filter> _reversed = new(512);

    /// <summary>Ends the program with an action, SECCOMP_RET_….</summary>
    internal int Return(uint action) => Add(BPF_RET | BPF_K, 0, 0, action);

    /// <summary>Loads 32 bits of struct seccomp_data from <paramref name="offset"/> on, then goes on with what was written last.</summary>
    internal int Load(int offset) => Add(BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint)offset);

    /// <summary>Keeps some bits of what was loaded, then goes on with what was written last.</summary>
    internal int And(uint mask) => Add(BPF_ALU | BPF_AND | BPF_K, 0, 0, mask);

    /// <summary>Goes to one label if what was loaded equals <paramref name="value"/>, else to the other.</summary>
    internal int IfEqual(uint value, int then, int otherwise) => Compare(BPF_JEQ, value, then, otherwise);

    /// <summary>Goes to one label if what was loaded is at least <paramref name="value"/>, else to the other.</summary>
    internal int IfAtLeast(uint value, int then, int otherwise) => Compare(BPF_JGE, value, then, otherwise);

    /// <summary>The whole program, in the order of its execution; it starts with what was written last.</summary>
    internal sock_filter[] ToArray()
    {
        sock_filter[] code = [.. _reversed];
        Array.Reverse(code);
        return code;
    }

    private int Compare(ushort comparison, uint value, int then, int otherwise)
    {
        then = Near(then);
        otherwise = Near(otherwise);
        return Add((ushort)(BPF_JMP | comparison | BPF_K), (byte)Skip(then), (byte)Skip(otherwise), value);
    }

    /// <summary>The label, or one of a jump to it.</summary>
    private int Near(int label) => Skip(label) <= NearestSkip ? label : Add(BPF_JMP | BPF_JA, 0, 0, (uint)Skip(label));

    /// <summary>The instructions between the next one that is written and the label.</summary>
    private int Skip(int label) => _reversed.Count - label - 1;

    private int Add(ushort code, byte then, byte otherwise, uint operand)
    {
        _reversed.Add(new sock_filter { code = code, jt = then, jf = otherwise, k = operand });
        return _reversed.Count - 1;
    }
}

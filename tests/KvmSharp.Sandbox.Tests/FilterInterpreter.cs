using System.Runtime.InteropServices;
using KvmSharp.Abi;
using static KvmSharp.Abi.SeccompConstants;

namespace KvmSharp.Sandbox.Tests;

/// <summary>Runs a filter as the kernel does (linux/filter.h): what of classic BPF a filter of system calls may use.</summary>
internal static class FilterInterpreter
{
    /// <summary>The action, SECCOMP_RET_…. Throws <see cref="InvalidOperationException"/> for what the kernel would refuse.</summary>
    public static uint Run(ReadOnlySpan<sock_filter> program, in seccomp_data data)
    {
        ReadOnlySpan<uint> words = MemoryMarshal.Cast<seccomp_data, uint>(new ReadOnlySpan<seccomp_data>(in data));
        uint accumulator = 0;
        for (int at = 0; at < program.Length; at++)
        {
            sock_filter instruction = program[at];
            switch (instruction.code)
            {
                case BPF_LD | BPF_W | BPF_ABS:
                    accumulator = words[(int)instruction.k / sizeof(uint)];
                    break;
                case BPF_ALU | BPF_AND | BPF_K:
                    accumulator &= instruction.k;
                    break;
                case BPF_JMP | BPF_JA:
                    at += (int)instruction.k;
                    break;
                case BPF_JMP | BPF_JEQ | BPF_K:
                    at += accumulator == instruction.k ? instruction.jt : instruction.jf;
                    break;
                case BPF_JMP | BPF_JGE | BPF_K:
                    at += accumulator >= instruction.k ? instruction.jt : instruction.jf;
                    break;
                case BPF_JMP | 0x20 | BPF_K: // BPF_JGT, which libseccomp uses
                    at += accumulator > instruction.k ? instruction.jt : instruction.jf;
                    break;
                case BPF_RET | BPF_K:
                    return instruction.k;
                default:
                    throw new InvalidOperationException($"instruction {at} has the code {instruction.code:x}");
            }
        }

        throw new InvalidOperationException("the program has no end");
    }
}

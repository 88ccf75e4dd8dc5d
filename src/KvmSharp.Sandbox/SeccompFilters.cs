using KvmSharp.Abi;
using KvmSharp.Core;
using static KvmSharp.Abi.SeccompConstants;

namespace KvmSharp.Sandbox;

/// <summary>Makes the filter of each role from <see cref="SystemCalls"/>.</summary>
internal static unsafe class SeccompFilters
{
    // struct seccomp_data, linux/seccomp.h.
    private const int NumberOffset = 0, ArchitectureOffset = 4, ArgumentsOffset = 16;

    /// <summary>Makes and hands over all filters. Throws <see cref="LinuxException"/>.</summary>
    public static void Install()
    {
        for (ThreadRole role = ThreadRole.Runtime; role <= ThreadRole.Io; role++)
        {
            sock_filter[] code = Compile(role);
            fixed (sock_filter* p = code)
            {
                int result = NativeShims.kvmsharp_sandbox_filter((int)role, p, (uint)code.Length);
                if (result < 0)
                    throw new LinuxException("take over a seccomp filter", -result);
            }
        }
    }

    /// <summary>What a role may call is allowed, what <see cref="SystemCalls.Refused"/> has fails, all else traps; another architecture's numbers mean other calls and kill.</summary>
    internal static sock_filter[] Compile(ThreadRole role)
    {
        var program = new FilterProgram();
        int kill = program.Return(SECCOMP_RET_KILL_PROCESS);
        int trap = program.Return(SECCOMP_RET_TRAP);
        int allow = program.Return(SECCOMP_RET_ALLOW);

        // By number, where each call leads.
        var leaves = new SortedList<uint, int>();
        foreach ((int number, int errno) in SystemCalls.Refused)
            leaves.Add((uint)number, program.Return(SECCOMP_RET_ERRNO | (uint)errno));
        foreach (SystemCall call in SystemCalls.Allowed)
        {
            if (call.IsFor(role))
                leaves.Add((uint)call.Number, call.Conditions.Length == 0 ? allow : AnyOf(program, call.Conditions, role, allow, trap));
        }

        int tree = Tree(program, leaves, 0, leaves.Count, trap);
        program.IfAtLeast(LibcConstants.__X32_SYSCALL_BIT, kill, tree);
        int start = program.Load(NumberOffset);
        program.IfEqual(AUDIT_ARCH_X86_64, start, kill);
        program.Load(ArchitectureOffset);
        return program.ToArray();
    }

    /// <summary>Finds the loaded number among leaves <paramref name="from"/> to <paramref name="to"/> - 1 by halving.</summary>
    private static int Tree(FilterProgram program, SortedList<uint, int> leaves, int from, int to, int absent)
    {
        if (to - from == 1)
            return program.IfEqual(leaves.GetKeyAtIndex(from), leaves.GetValueAtIndex(from), absent);
        int middle = (from + to) / 2;
        int upper = Tree(program, leaves, middle, to, absent);
        int lower = Tree(program, leaves, from, middle, absent);
        return program.IfAtLeast(leaves.GetKeyAtIndex(middle), upper, lower);
    }

    /// <summary>One condition after the other, in their order, so that the most frequent request may stand first.</summary>
    private static int AnyOf(FilterProgram program, ArgumentCondition[] conditions, ThreadRole role, int then, int otherwise)
    {
        for (int i = conditions.Length - 1; i >= 0; i--)
        {
            ArgumentCondition condition = conditions[i];
            if (condition.IsFor(role))
                otherwise = If(program, condition, then, otherwise);
        }

        return otherwise;
    }

    private static int If(FilterProgram program, ArgumentCondition condition, int then, int otherwise)
    {
        program.IfEqual(condition.Value, then, otherwise);
        if (condition.Mask != uint.MaxValue)
            program.And(condition.Mask);
        return program.Load(ArgumentsOffset + ((int)condition.Index * sizeof(ulong)));
    }
}

using KvmSharp.Abi;
using KvmSharp.Core;
using static KvmSharp.Abi.LibcConstants;
using static KvmSharp.Abi.SeccompConstants;

namespace KvmSharp.Sandbox.Tests;

/// <summary>Filters of system calls: the same answers as those that libseccomp makes of the same list, to every call.</summary>
public sealed class SeccompFilterTests
{
    private const int BeyondAllNumbers = 1024;

    public static TheoryData<ThreadRole> Roles => [.. Enum.GetValues<ThreadRole>()];

    [Theory]
    [MemberData(nameof(Roles))]
    public void Filter_EveryNumber_AnswersAsLibseccompDoes(ThreadRole role)
    {
        sock_filter[] ours = SeccompFilters.Compile(role), theirs = LibSeccomp.Compile(role);

        for (int number = 0; number < BeyondAllNumbers; number++)
        {
            foreach (ulong[] arguments in Arguments(number))
                AssertSame(ours, theirs, Call(number, AUDIT_ARCH_X86_64, arguments));
        }
    }

    [Theory]
    [MemberData(nameof(Roles))]
    public void Filter_AnyArguments_AnswersAsLibseccompDoes(ThreadRole role)
    {
        sock_filter[] ours = SeccompFilters.Compile(role), theirs = LibSeccomp.Compile(role);
        var random = new Random(20261123);
        SystemCall[] calls = [.. SystemCalls.Allowed.Where(c => c.Conditions.Length > 0)];

        for (int i = 0; i < 200_000; i++)
        {
            SystemCall call = calls[random.Next(calls.Length)];
            ArgumentCondition condition = call.Conditions[random.Next(call.Conditions.Length)];
            ulong[] arguments = new ulong[6];
            for (int a = 0; a < arguments.Length; a++)
                arguments[a] = (ulong)random.NextInt64();
            // Mostly what some condition asks for, with one bit changed now and then.
            arguments[condition.Index] = (arguments[condition.Index] & ~(ulong)condition.Mask) | condition.Value;
            if (random.Next(3) == 0)
                arguments[condition.Index] ^= 1UL << random.Next(64);
            AssertSame(ours, theirs, Call(call.Number, AUDIT_ARCH_X86_64, arguments));
        }
    }

    [Theory]
    [InlineData(AUDIT_ARCH_X86_64, __NR_read, SECCOMP_RET_ALLOW)]
    [InlineData(AUDIT_ARCH_X86_64, __NR_openat, SECCOMP_RET_ERRNO | ENOENT)]
    [InlineData(AUDIT_ARCH_X86_64, 41 /* socket */, SECCOMP_RET_TRAP)]
    [InlineData(AUDIT_ARCH_X86_64, 59 /* execve */, SECCOMP_RET_TRAP)]
    [InlineData(AUDIT_ARCH_X86_64, __X32_SYSCALL_BIT | __NR_read, SECCOMP_RET_KILL_PROCESS)]
    [InlineData(0x40000003 /* AUDIT_ARCH_I386 */, __NR_read, SECCOMP_RET_KILL_PROCESS)]
    [InlineData(0xC00000B7 /* AUDIT_ARCH_AARCH64 */, __NR_read, SECCOMP_RET_KILL_PROCESS)]
    [InlineData(0, __NR_read, SECCOMP_RET_KILL_PROCESS)]
    public void Filter_OfVcpus_AnswersCall(uint architecture, int number, uint action)
    {
        Assert.Equal(action, FilterInterpreter.Run(SeccompFilters.Compile(ThreadRole.Vcpu), Call(number, architecture, new ulong[6])));
    }

    /// <summary>Nothing, and for each condition of the call what it asks for, that with every single bit changed, and its neighbours.</summary>
    private static IEnumerable<ulong[]> Arguments(int number)
    {
        yield return new ulong[6];
        foreach (ArgumentCondition condition in SystemCalls.Allowed.Where(c => c.Number == number).SelectMany(c => c.Conditions))
        {
            yield return With(condition.Index, condition.Value);
            yield return With(condition.Index, condition.Value | ~(ulong)condition.Mask);
            yield return With(condition.Index, condition.Value + 1UL);
            yield return With(condition.Index, condition.Value - 1UL);
            for (int bit = 0; bit < 64; bit++)
                yield return With(condition.Index, condition.Value ^ (1UL << bit));
        }

        static ulong[] With(uint index, ulong value)
        {
            ulong[] arguments = new ulong[6];
            arguments[index] = value;
            return arguments;
        }
    }

    private static unsafe seccomp_data Call(int number, uint architecture, ulong[] arguments)
    {
        seccomp_data data = new() { nr = number, arch = architecture };
        for (int i = 0; i < arguments.Length; i++)
            data.args[i] = arguments[i];
        return data;
    }

    private static unsafe void AssertSame(sock_filter[] ours, sock_filter[] theirs, seccomp_data data)
    {
        uint expected = FilterInterpreter.Run(theirs, data), actual = FilterInterpreter.Run(ours, data);
        if (actual != expected)
            Assert.Fail($"call {data.nr} ({data.args[0]:x}, {data.args[1]:x}, {data.args[2]:x}): {actual:x} instead of {expected:x}");
    }
}

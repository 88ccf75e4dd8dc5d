using KvmSharp.Abi;
using KvmSharp.Core;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Sandbox;

/// <summary>Confines this process for the rest of its life (docs/security.md says what that is worth).</summary>
public static unsafe class ConfinedProcess
{
    private const int Stay = -1;

    /// <summary>
    /// Confines all threads that there are, each by its role, and all that will be. The calling thread has taken its role before. What the program needs is open by now.
    /// Throws <see cref="SandboxException"/>, <see cref="LinuxException"/>: then the program has to end, since it may be confined in part.
    /// </summary>
    public static void Enter(SandboxOptions options)
    {
        bool isRoot = Libc.geteuid() == 0;
        Account? account = FindAccount(options, isRoot);
        using FileDescriptor tasks = FileDescriptor.Open("/proc/self/task", LibcConstants.O_RDONLY | LibcConstants.O_DIRECTORY);
        ProcessLimits.Apply(mayLockMemory: isRoot);
        bool hasFilters = Try(options, InstallFilters);
        int landlock = Landlock.Version;
        using FileDescriptor? ruleset = landlock > 0 ? Landlock.CreateRuleset(landlock) : null;
        EmptyRoot? made = null;
        bool hasRoot = isRoot && Try(options, () => made = EmptyRoot.Enter());
        using EmptyRoot? root = made;

        // Logged before: afterwards it would be too late to change one's mind.
        options.Logger.LogInformation("confined: user {User}, {Namespaces}, Landlock {Landlock}, {Filters}",
            account is { } user ? $"{user.Name} ({user.User}:{user.Group})" : "unchanged", hasRoot ? "empty root and own network, IPC and UTS namespaces" : "the host's namespaces",
            landlock > 0 ? $"version {landlock}" : "absent",
            hasFilters ? $"system calls by role: vCPU {SystemCalls.Count(ThreadRole.Vcpu)}, I/O {SystemCalls.Count(ThreadRole.Io)}" : "no filter of system calls");
        EnterAll(tasks, root, ruleset, account);
    }

    /// <summary>Throws <see cref="SandboxException"/> for a user that is unknown or that this one cannot become; early, before anything is made.</summary>
    public static void Check(SandboxOptions options) => FindAccount(options, Libc.geteuid() == 0);

    private static Account? FindAccount(SandboxOptions options, bool isRoot)
    {
        if (!isRoot && options.User is null)
            return null;
        Account account = Account.Find(options.User ?? SandboxOptions.DefaultUser);
        return isRoot ? account
            : account.User == (int)Libc.geteuid() ? null
            : throw new SandboxException($"sandbox: only root can become user {account.Name}: leave user out") { IsBadInput = true };
    }

    private static bool InstallFilters()
    {
        SeccompFilters.Install();
        return true;
    }

    /// <summary>A wall that the host does not permit: an error if every wall was asked for, else a warning.</summary>
    private static bool Try<T>(SandboxOptions options, Func<T> wall)
    {
        try
        {
            wall();
            return true;
        }
        catch (Exception e) when (!options.IsStrict && e is SandboxException or LinuxException)
        {
            options.Logger.LogWarning("a wall of the sandbox is missing: {Reason}", e.Message);
            return false;
        }
    }

    private static void EnterAll(FileDescriptor tasks, EmptyRoot? root, FileDescriptor? ruleset, Account? account)
    {
        int* namespaces = stackalloc int[] { Stay, Stay, Stay, Stay };
        for (int i = 0; i < root?.Namespaces.Count; i++)
            namespaces[i] = root.Namespaces[i].Value;
        int failed;
        int result = NativeShims.kvmsharp_sandbox_enter(tasks.Value, namespaces, root?.Directory.Value ?? Stay, ruleset?.Value ?? Stay, account?.User ?? Stay, account?.Group ?? Stay, &failed);
        if (result != 0)
            throw new LinuxException($"confine thread {failed}", -result);
    }
}

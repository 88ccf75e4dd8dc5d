using System.Runtime.ExceptionServices;
using KvmSharp.Abi;
using KvmSharp.Core;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Sandbox;

/// <summary>Confines this process for the rest of its life (docs/security.md says what that is worth).</summary>
public sealed unsafe class ConfinedProcess : IDisposable
{
    private const int Stay = -1;

    private readonly SandboxOptions _options;
    private readonly bool _isRoot = Libc.geteuid() == 0;
    private readonly Account? _account;
    private readonly SandboxWalls _walls;

    /// <summary>
    /// Begins to make what does not depend on the machine. Throws <see cref="SandboxException"/> for a user that is unknown or that this one cannot become; early,
    /// before anything is made.
    /// </summary>
    public ConfinedProcess(SandboxOptions options)
    {
        _options = options;
        _account = FindAccount(options, _isRoot);
        // The threads that this one makes have nothing left to drop then.
        if (_account is not null && NativeShims.kvmsharp_sandbox_bound() is var result and < 0)
            throw new LinuxException("give up capabilities", -result);
        _walls = new SandboxWalls(_isRoot);
    }

    /// <summary>
    /// Confines all threads that there are, each by its role, and all that will be. The calling thread has taken its role before. What the program needs is open by now.
    /// Throws <see cref="SandboxException"/>, <see cref="LinuxException"/>: then the program has to end, since it may be confined in part.
    /// </summary>
    public void Enter()
    {
        _walls.Finish();
        using FileDescriptor tasks = FileDescriptor.Open("/proc/self/task", LibcConstants.O_RDONLY | LibcConstants.O_DIRECTORY);
        ProcessLimits.Apply(mayLockMemory: _isRoot);
        int landlock = Landlock.Version;
        using FileDescriptor? ruleset = landlock > 0 ? Landlock.CreateRuleset(landlock) : null;
        bool hasRoot = Stands(_walls.RootError) && _walls.Root is not null;

        // Logged before: afterwards it would be too late to change one's mind.
        _options.Logger.LogInformation("confined: user {User}, {Namespaces}, Landlock {Landlock}, {Filters}",
            _account is { } user ? $"{user.Name} ({user.User}:{user.Group})" : "unchanged", hasRoot ? "empty root and own network, IPC and UTS namespaces" : "the host's namespaces",
            landlock > 0 ? $"version {landlock}" : "absent",
            $"system calls by role: vCPU {SystemCalls.Count(ThreadRole.Vcpu)}, I/O {SystemCalls.Count(ThreadRole.Io)}");
        EnterAll(tasks, ruleset);
    }

    public void Dispose() => _walls.Dispose();

    private static Account? FindAccount(SandboxOptions options, bool isRoot)
    {
        if (!isRoot && options.User is null)
            return null;
        Account account = Account.Find(options.User ?? SandboxOptions.DefaultUser);
        return isRoot ? account
            : account.User == (int)Libc.geteuid() ? null
            : throw new SandboxException($"sandbox: only root can become user {account.Name}: leave user out") { IsBadInput = true };
    }

    /// <summary>A wall that the host does not permit: an error if every wall was asked for, else a warning.</summary>
    private bool Stands(Exception? error)
    {
        if (error is null)
            return true;
        if (_options.IsStrict || error is not (SandboxException or LinuxException))
            ExceptionDispatchInfo.Throw(error);
        _options.Logger.LogWarning("a wall of the sandbox is missing: {Reason}; --sandbox off does without all", error.Message);
        return false;
    }

    private void EnterAll(FileDescriptor tasks, FileDescriptor? ruleset)
    {
        int* namespaces = stackalloc int[] { Stay, Stay, Stay, Stay };
        EmptyRoot? root = _walls.Root;
        for (int i = 0; i < root?.Namespaces.Count; i++)
            namespaces[i] = root.Namespaces[i].Value;
        int failed;
        int result = NativeShims.kvmsharp_sandbox_enter(tasks.Value, namespaces, root?.Directory.Value ?? Stay, ruleset?.Value ?? Stay, _account?.User ?? Stay, _account?.Group ?? Stay, &failed);
        if (result != 0)
            throw new LinuxException($"confine thread {failed}", -result, "--sandbox off does without");
    }
}

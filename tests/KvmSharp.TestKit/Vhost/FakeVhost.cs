using KvmSharp.Abi;
using KvmSharp.Backends.Vhost;
using KvmSharp.Core;
using KvmSharp.Core.Memory;

namespace KvmSharp.TestKit.Vhost;

/// <summary>A vhost back end that serves nothing: it writes down what it is told, holds to the order that the kernel demands, and fails on request.</summary>
public sealed class FakeVhost : IVhostBackend
{
    private readonly List<string> _calls = [];
    private readonly Lock _gate = new();

    public ulong Features { get; init; } = ulong.MaxValue;

    /// <summary>What it is told from now on fails if it starts with this.</summary>
    public string? Failing { get; set; }

    /// <summary>It forgets where it stands.</summary>
    public bool IsLost { get; set; }

    public Vring[] Vrings { get; } = [new(), new()];

    public GuestMemory? Memory { get; private set; }

    public ulong SetFeatureBits { get; private set; }

    public bool IsDisposed { get; private set; }

    /// <summary>What it was told since the last look.</summary>
    public string[] TakeCalls()
    {
        lock (_gate)
        {
            string[] calls = [.. _calls];
            _calls.Clear();
            return calls;
        }
    }

    public void SetFeatures(ulong features)
    {
        Told($"features {features:x}");
        if ((features & ~Features) != 0 || Vrings.Any(v => v.IsRunning))
            throw new LinuxException("features", LibcConstants.EINVAL);
        SetFeatureBits = features;
    }

    public void SetMemory(GuestMemory memory)
    {
        Told("memory");
        Memory = memory;
    }

    public void SetVringSize(int vring, ushort size)
    {
        Told($"{vring} size {size}");
        Stopped(vring);
    }

    public void SetVringBase(int vring, uint position)
    {
        Told($"{vring} base {position:x}");
        Stopped(vring).Position = position;
    }

    public void SetVringAreas(int vring, in VhostAreas areas)
    {
        Told($"{vring} areas");
        Vrings[vring].Areas = areas;
    }

    public void SetVringKick(int vring, EventFd kick)
    {
        Told($"{vring} kick");
        Vrings[vring].Kick = kick;
    }

    public void SetVringCall(int vring, EventFd call)
    {
        Told($"{vring} call");
        Vrings[vring].Call = call;
    }

    public void SetVringError(int vring, EventFd error)
    {
        Told($"{vring} error");
        Vrings[vring].Error = error;
    }

    public void StartVring(int vring)
    {
        Told($"{vring} start");
        Vring it = Stopped(vring);
        if (Memory is null || it.Kick is null || it.Call is null || it.Areas == default)
            throw new LinuxException("start", LibcConstants.EFAULT);
        it.IsRunning = true;
    }

    public bool TryEnableVring(int vring, bool enabled) => false;

    public bool TryStopVring(int vring, out uint position)
    {
        lock (_gate)
            _calls.Add($"{vring} stop");
        position = Vrings[vring].Position;
        Vrings[vring] = new Vring { Position = position };
        return !IsLost;
    }

    public void Dispose() => IsDisposed = true;

    private void Told(string call)
    {
        lock (_gate)
            _calls.Add(call);
        if (Failing is not null && call.StartsWith(Failing, StringComparison.Ordinal))
            throw new LinuxException(call, LibcConstants.EIO);
    }

    private Vring Stopped(int vring) => !Vrings[vring].IsRunning ? Vrings[vring] : throw new LinuxException("vring runs", LibcConstants.EBUSY);

    /// <summary>What one vring has.</summary>
    public sealed class Vring
    {
        public bool IsRunning { get; internal set; }

        /// <summary>Tests move it on as if chains had been served.</summary>
        public uint Position { get; set; }

        public VhostAreas Areas { get; internal set; }

        public EventFd? Kick { get; internal set; }

        public EventFd? Call { get; internal set; }

        public EventFd? Error { get; internal set; }
    }
}

using KvmSharp.Abi;
using KvmSharp.Core.Tracing;

namespace KvmSharp.Core.Events;

public sealed unsafe partial class EventLoop
{
    /// <summary>
    /// Calls <paramref name="sink"/> on the loop's thread whenever <paramref name="fd"/> has one of the events (level-triggered
    /// unless EPOLLET is among them). The loop keeps the descriptor open until unregistered. Any thread.
    /// Throws <see cref="LinuxException"/> when epoll refuses the descriptor.
    /// </summary>
    public EventToken Register(FileDescriptor fd, uint epollEvents, IEventSink sink, uint cookie)
    {
        lock (_registrationGate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            uint slot = TakeSlot();
            EventRegistration registration = _slots[slot];
            uint generation = ++registration.LastGeneration == 0 ? ++registration.LastGeneration : registration.LastGeneration;
            bool leased = false;
            fd.DangerousAddRef(ref leased);
            registration.Descriptor = fd;
            registration.Sink = sink;
            registration.Cookie = cookie;
            Volatile.Write(ref registration.Generation, generation);
            epoll_event item = new() { events = epollEvents, data = (ulong)generation << 32 | slot };
            if (Libc.epoll_ctl(_epoll.Value, LibcConstants.EPOLL_CTL_ADD, fd.Value, &item) == 0)
                return new EventToken(slot, generation);
            LinuxException error = LinuxException.FromLastError($"register a descriptor with event loop {Name}");
            Release(registration);
            throw error;
        }
    }

    /// <summary>Changes which events a registration waits for. Any thread. A stale token is ignored.</summary>
    public void Modify(EventToken token, uint epollEvents)
    {
        lock (_registrationGate)
        {
            if (Find(token) is not { } registration)
                return;
            epoll_event item = new() { events = epollEvents, data = (ulong)token.Generation << 32 | token.Slot };
            if (Libc.epoll_ctl(_epoll.Value, LibcConstants.EPOLL_CTL_MOD, registration.Descriptor!.Value, &item) != 0)
                throw LinuxException.FromLastError("epoll_ctl EPOLL_CTL_MOD");
        }
    }

    /// <summary>
    /// Ends a registration. After it returns the sink is not called for it again; off the loop's thread it waits for a call that
    /// is running (so the caller must hold no lock the sink wants). A stale or default token is ignored. Any thread.
    /// </summary>
    public void Unregister(EventToken token)
    {
        EventRegistration? registration;
        lock (_registrationGate)
        {
            registration = Find(token);
            if (registration is null)
                return;
            epoll_event unused = default;
            _ = Libc.epoll_ctl(_epoll.Value, LibcConstants.EPOLL_CTL_DEL, registration.Descriptor!.Value, &unused);
            // Events already fetched by the loop carry the old generation and die in Dispatch.
            Volatile.Write(ref registration.Generation, 0);
        }

        // Pairs with the fence in Dispatch: either the loop sees the new generation, or we see that it runs the sink.
        Interlocked.MemoryBarrier();
        if (!IsCurrent)
        {
            SpinWait wait = default;
            while (Volatile.Read(ref registration.Running) != 0)
                wait.SpinOnce();
        }

        lock (_registrationGate)
            Release(registration);
    }

    /// <summary>
    /// Adds something to look at before sleeping. Takes effect with the loop's next round. Any thread.
    /// </summary>
    public void AddPollSink(IPollSink sink)
    {
        lock (_registrationGate)
            Volatile.Write(ref _pollSinks, [.. _pollSinks, sink]);
        _wake.Signal();
    }

    /// <summary>
    /// Removes a poll sink; off the loop's thread it returns once the loop has passed the round it is in, so that the sink is not
    /// called again. Any thread.
    /// </summary>
    public void RemovePollSink(IPollSink sink)
    {
        lock (_registrationGate)
            Volatile.Write(ref _pollSinks, Array.FindAll(_pollSinks, other => !ReferenceEquals(other, sink)));
        if (!IsCurrent)
            Settle();
    }

    /// <summary>
    /// Calls the sink on the loop's thread and returns when it is done; on the loop's own thread, or when the loop does not run
    /// (any more), calls it directly. For control paths: starting, stopping and draining what lives on the loop. The caller
    /// must hold no lock that a sink of this loop wants.
    /// </summary>
    public void Invoke(IEventSink sink, uint cookie)
    {
        if (IsCurrent || _thread is null || _ended.IsSet)
        {
            sink.OnReady(cookie, 0);
            return;
        }

        LoopInvocation invocation = new(sink, cookie);
        Post(invocation, 0);
        while (!invocation.WaitDone())
        {
            if (_ended.IsSet)
            {
                invocation.OnReady(0, 0);
                return;
            }
        }
    }

    /// <summary>Returns when the loop is done with whatever it does now: from then on it uses nothing that was taken from its sinks before. As <see cref="Invoke"/>.</summary>
    public void Settle() => Invoke(NothingSink.Instance, 0);

    private void Dispatch(EventToken token, uint epollEvents)
    {
        EventRegistration registration = Volatile.Read(ref _slots)[token.Slot];
        Volatile.Write(ref registration.Running, 1);
        // Pairs with the fence in Unregister.
        Interlocked.MemoryBarrier();
        try
        {
            if (Volatile.Read(ref registration.Generation) != token.Generation)
                return;
            if (Tracer.IsOn && registration.Descriptor is EventFd { TraceName.IsNone: false } kick)
                Tracer.Notification(kick.TraceName);
            registration.Sink!.OnReady(registration.Cookie, epollEvents);
        }
        finally
        {
            Volatile.Write(ref registration.Running, 0);
        }
    }

    private EventRegistration? Find(EventToken token) =>
        token.IsValid && token.Slot < _slots.Length && _slots[token.Slot].Generation == token.Generation ? _slots[token.Slot] : null;

    private uint TakeSlot()
    {
        for (int i = 0; i < _slots.Length; i++)
        {
            // A slot whose owner still waits in Unregister keeps its descriptor and is not free yet.
            if (_slots[i] is { Generation: 0, Descriptor: null })
                return (uint)i;
        }

        int used = _slots.Length;
        EventRegistration[] grown = new EventRegistration[Math.Max(16, used * 2)];
        _slots.CopyTo(grown, 0);
        for (int i = used; i < grown.Length; i++)
            grown[i] = new EventRegistration();
        Volatile.Write(ref _slots, grown);
        return (uint)used;
    }

    private static void Release(EventRegistration registration)
    {
        Volatile.Write(ref registration.Generation, 0);
        registration.Sink = null;
        registration.Descriptor?.DangerousRelease();
        registration.Descriptor = null;
    }

    private void ReleaseRegistrations()
    {
        lock (_registrationGate)
        {
            foreach (EventRegistration registration in _slots)
                Release(registration);
        }
    }

    private sealed class NothingSink : IEventSink
    {
        public static readonly NothingSink Instance = new();

        public void OnReady(uint cookie, uint epollEvents)
        {
        }
    }
}

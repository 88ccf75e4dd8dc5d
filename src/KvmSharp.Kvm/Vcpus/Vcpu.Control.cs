using System.Runtime.ExceptionServices;
using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.Kvm.Vcpus;

public sealed unsafe partial class Vcpu
{
    private const int CommandRun = 0, CommandPause = 1, CommandStop = 2;

    // A Monitor, not a Lock: the vCPU thread waits on it while paused. Never taken between exits.
    private readonly object _gate = new();
    private Thread? _thread;
    private VcpuState _state;
    private Work? _work;
    private int _command;
    private int _tid;
    private bool _halted;

    /// <summary>Its state at this moment.</summary>
    public VcpuState State
    {
        get
        {
            lock (_gate)
                return _state;
        }
    }

    /// <summary>Starts the thread. Throws <see cref="InvalidOperationException"/> unless <see cref="VcpuState.Created"/>.</summary>
    public void Start()
    {
        lock (_gate)
        {
            if (_state != VcpuState.Created)
                throw new InvalidOperationException($"vCPU {Index} was started before");
            _state = VcpuState.Running;
            _thread = HostThread.Create($"vcpu {Index}", ThreadRole.Vcpu, ThreadMain, 512 * 1024);
            _thread.Start();
        }
    }

    /// <summary>
    /// Returns when the vCPU is out of KVM_RUN and the I/O of its last instruction is complete; at once if it does not run. From its own
    /// thread it only asks: the vCPU pauses after the current exit. A concurrent <see cref="Resume"/> cancels it.
    /// </summary>
    public void Pause()
    {
        lock (_gate)
        {
            if (_state is VcpuState.Created or VcpuState.Stopped || _command == CommandStop)
                return;
            Volatile.Write(ref _command, CommandPause);
            Kick();

            // It may wait here in user space instead: halted without an interrupt controller.
            Monitor.PulseAll(_gate);
            if (Thread.CurrentThread == _thread)
                return;
            while (_state == VcpuState.Running && _command == CommandPause)
                Monitor.Wait(_gate);
        }
    }

    /// <summary>Lets a paused vCPU go on; does nothing to one that runs, was not started or has stopped.</summary>
    public void Resume()
    {
        lock (_gate)
        {
            if (_command != CommandPause || _state is VcpuState.Created or VcpuState.Stopped)
                return;
            Volatile.Write(ref _command, CommandRun);
            _state = VcpuState.Running;
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Ends the thread for good and returns when it has ended; from its own thread it only asks.</summary>
    public void Stop()
    {
        Thread? thread;
        lock (_gate)
        {
            thread = _thread;
            if (thread is null)
            {
                _state = VcpuState.Stopped;
                return;
            }

            Volatile.Write(ref _command, CommandStop);
            Kick();
            Monitor.PulseAll(_gate);
        }

        if (Thread.CurrentThread != thread)
            thread.Join();
    }

    /// <summary>
    /// Runs <paramref name="body"/> on the vCPU's thread between two instructions, with all I/O complete, and returns when it has run;
    /// on the calling thread if there is no vCPU thread. What it throws is thrown here.
    /// </summary>
    public void RunOnVcpu(Action<Vcpu> body)
    {
        var work = new Work(body);
        lock (_gate)
        {
            if (_state is VcpuState.Created or VcpuState.Stopped || Thread.CurrentThread == _thread)
            {
                body(this);
                return;
            }

            while (_work is not null && _state != VcpuState.Stopped)
                Monitor.Wait(_gate);
            if (_state != VcpuState.Stopped)
            {
                _work = work;
                Kick();
                Monitor.PulseAll(_gate);
                while (!work.Done && _state != VcpuState.Stopped)
                    Monitor.Wait(_gate);
            }
        }

        if (!work.Done)
            throw new InvalidOperationException($"vCPU {Index} stopped");
        if (work.Error is { } error)
            ExceptionDispatchInfo.Throw(error);
    }

    /// <summary>Ends a HLT that reached user space (no interrupt controller in the kernel). Any thread.</summary>
    public void Wake()
    {
        lock (_gate)
        {
            _halted = false;
            Monitor.PulseAll(_gate);
        }
    }

    // Under _gate. The command word was written before; immediate_exit makes the next KVM_RUN return even if the signal comes too early.
    private void Kick()
    {
        if (_tid == 0)
            return;
        Volatile.Write(ref _run->immediate_exit, 1);

        // Pairs with the fence in Interrupted: either the vCPU thread sees the command or KVM_RUN sees the flag.
        Interlocked.MemoryBarrier();
        _ = NativeShims.kvmsharp_kick(_tid);
    }

    /// <summary>The vCPU thread asks itself to pause, unless it was told to stop.</summary>
    private void PauseSelf()
    {
        lock (_gate)
        {
            if (_command != CommandStop)
                Volatile.Write(ref _command, CommandPause);
        }
    }

    /// <summary>On the vCPU thread, outside KVM_RUN with all I/O complete: obeys commands until it may run. False: stop.</summary>
    private bool Attend()
    {
        lock (_gate)
        {
            while (_command != CommandStop)
            {
                if (_work is { } work)
                {
                    RunWork(work);
                    continue;
                }

                if (_command == CommandRun && !_halted)
                {
                    _state = VcpuState.Running;
                    return true;
                }

                _state = _command == CommandPause ? VcpuState.Paused : VcpuState.Running;
                Monitor.PulseAll(_gate);
                Monitor.Wait(_gate);
            }

            return false;
        }
    }

    private void RunWork(Work work)
    {
        Monitor.Exit(_gate);
        try
        {
            work.Body(this);
        }
        catch (Exception error)
        {
            work.Error = error;
        }
        finally
        {
            Monitor.Enter(_gate);
            work.Done = true;
            _work = null;
            Monitor.PulseAll(_gate);
        }
    }

    private void ThreadMain()
    {
        try
        {
            int tid = NativeShims.kvmsharp_kick_enter_thread();
            if (tid < 0)
                throw new Core.LinuxException("prepare the vCPU thread", -tid);
            lock (_gate)
                Volatile.Write(ref _tid, tid);
            if (Attend())
                RunLoop();
        }
        catch (Exception error)
        {
            Report(new VcpuFailure(Index, $"vCPU {Index}: {error.Message}", error.ToString()));
        }
        finally
        {
            lock (_gate)
            {
                Volatile.Write(ref _tid, 0);
                _state = VcpuState.Stopped;
                Monitor.PulseAll(_gate);
            }
        }
    }

    private void Report(VcpuFailure failure)
    {
        try
        {
            _events.OnFatal(this, failure);
        }
        catch (Exception)
        {
            // The receiver of failures failed itself; the thread still has to end in order.
        }
    }

    private sealed class Work(Action<Vcpu> body)
    {
        internal Action<Vcpu> Body => body;

        internal Exception? Error { get; set; }

        internal bool Done { get; set; }
    }
}

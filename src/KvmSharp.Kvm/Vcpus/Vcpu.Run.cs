using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Abi.Kvm;
using KvmSharp.Core.Tracing;
using static KvmSharp.Abi.Kvm.KvmConstants;

namespace KvmSharp.Kvm.Vcpus;

public sealed unsafe partial class Vcpu
{
    /// <summary>The answer to hypercalls nobody handles (linux/kvm_para.h KVM_ENOSYS).</summary>
    private const ulong HypercallUnknown = unchecked((ulong)-1000L);

    /// <summary>Enters the guest until told to stop. Nothing here allocates while exits are ordinary.</summary>
    private void RunLoop()
    {
        // One lease for the loop's life instead of one per call; KVM_RUN itself is an ordinary P/Invoke, so collections go on meanwhile.
        bool leased = false;
        try
        {
            _file.DangerousAddRef(ref leased);
            int fd = _file.Value;
            while (true)
            {
                int result = NativeShims.kvmsharp_vcpu_run(fd);
                long since = Tracer.IsOn ? Tracer.Now : 0;
                bool goOn = result >= 0 ? HandleExit() : HandleError(-result);
                if (since != 0)
                    TraceExit(since, result);
                if (!goOn && !Attend())
                    return;
            }
        }
        finally
        {
            if (leased)
                _file.DangerousRelease();
        }
    }

    /// <summary>KVM_RUN failed. False: look at the command word.</summary>
    private bool HandleError(int errno)
    {
        switch (errno)
        {
            case LibcConstants.EINTR:
                Exits.Increment(KVM_EXIT_INTR);
                return Interrupted();
            case LibcConstants.EAGAIN:
                // A processor that waited for SIPI was woken: enter again.
                return true;
            case LibcConstants.EFAULT when _run->exit_reason == KVM_EXIT_MEMORY_FAULT:
                return HandleExit();
            case LibcConstants.EFAULT or LibcConstants.EHWPOISON:
                return Fail($"KVM_RUN: {Marshal.GetPInvokeErrorMessage(errno)}: the host has no page for guest memory: the file behind it was made shorter, huge pages or a limit are used up, or its hardware failed");
            default:
                return Fail($"KVM_RUN: {Marshal.GetPInvokeErrorMessage(errno)}");
        }
    }

    /// <summary>
    /// EINTR: the kernel has completed all pending I/O before it returned, so this is where a vCPU may pause. False when there is a
    /// command to obey.
    /// </summary>
    private bool Interrupted()
    {
        Volatile.Write(ref _run->immediate_exit, 0);

        // Pairs with the fence in Kick: a command written before the flag was cleared is seen here.
        Interlocked.MemoryBarrier();
        return Volatile.Read(ref _command) == CommandRun && Volatile.Read(ref _work) is null;
    }

    /// <summary>Handles what the shared page says. True: enter the guest again; false: look at the command word first.</summary>
    internal bool HandleExit()
    {
        kvm_run* run = _run;
        uint reason = run->exit_reason;
        Exits.Increment(reason);
        switch (reason)
        {
            case KVM_EXIT_IO:
                return HandleIo(run);
            case KVM_EXIT_MMIO:
                return HandleMmio(run);
            case KVM_EXIT_INTR:
                return Interrupted();
            case KVM_EXIT_IOAPIC_EOI:
                _vm.IoApic?.EndOfInterrupt(run->eoi.vector);
                return true;
            case KVM_EXIT_HLT:
                return Halt();
            case KVM_EXIT_IRQ_WINDOW_OPEN:
                run->request_interrupt_window = 0;
                return true;
            case KVM_EXIT_SET_TPR:
            case KVM_EXIT_X86_BUS_LOCK:
                return true;
            case KVM_EXIT_HYPERCALL:
                run->hypercall.ret = HypercallUnknown;
                return true;
            case KVM_EXIT_X86_RDMSR:
                run->msr.error = _msrs is not null && _msrs.TryRead(Index, run->msr.index, out run->msr.data) ? (byte)0 : (byte)1;
                return true;
            case KVM_EXIT_X86_WRMSR:
                run->msr.error = _msrs is not null && _msrs.TryWrite(Index, run->msr.index, run->msr.data) ? (byte)0 : (byte)1;
                return true;
            case KVM_EXIT_DIRTY_RING_FULL:
                _events.OnDirtyRingFull(this);
                return true;
            case KVM_EXIT_DEBUG:
                if (_events.OnDebug(this, in run->debug.arch))
                    return true;
                PauseSelf();
                return false;
            case KVM_EXIT_SHUTDOWN:
                _events.OnTripleFault(this);
                PauseSelf();
                return false;
            case KVM_EXIT_SYSTEM_EVENT:
                // SAFETY: ndata is bounded by the 16 words of the union's member.
                _events.OnSystemEvent(this, run->system_event.type,
                    new ReadOnlySpan<ulong>(run->system_event.data, (int)Math.Min(run->system_event.ndata, 16)));
                PauseSelf();
                return false;
            case KVM_EXIT_NOTIFY when (run->notify.flags & KVM_NOTIFY_CONTEXT_INVALID) == 0:
                return true;
            default:
                return Fail(ExitDescription.Of(run));
        }
    }

    private bool HandleIo(kvm_run* run)
    {
        ref kvm_run.io_exit io = ref run->io;
        int size = io.size;
        uint count = io.count;
        ulong offset = io.data_offset;
        if (size is not (1 or 2 or 4) || offset > _page.Length || (ulong)size * count > _page.Length - offset)
            return Fail("KVM_EXIT_IO with a buffer outside the shared page");

        // SAFETY: checked just above: count elements of size bytes lie inside the mapping.
        byte* data = (byte*)run + offset;
        ushort port = io.port;
        if (io.direction == KVM_EXIT_IO_OUT)
        {
            for (uint i = 0; i < count; i++, data += size)
                _exits.PioOut(Index, port, new ReadOnlySpan<byte>(data, size));
        }
        else
        {
            for (uint i = 0; i < count; i++, data += size)
                _exits.PioIn(Index, port, new Span<byte>(data, size));
        }

        return true;
    }

    private bool HandleMmio(kvm_run* run)
    {
        // SAFETY: the member holds 8 bytes, and the kernel never splits into more.
        int length = (int)Math.Min(run->mmio.len, 8);
        if (run->mmio.is_write != 0)
            _exits.MmioWrite(Index, run->mmio.phys_addr, new ReadOnlySpan<byte>(run->mmio.data, length));
        else
            _exits.MmioRead(Index, run->mmio.phys_addr, new Span<byte>(run->mmio.data, length));
        return true;
    }

    /// <summary>Without interrupt controllers in the kernel a halted processor waits here, until <see cref="Wake"/> or a command.</summary>
    private bool Halt()
    {
        lock (_gate)
            _halted = true;
        return false;
    }

    private bool Fail(string reason)
    {
        Report(new VcpuFailure(Index, $"vCPU {Index}: {reason}", VcpuDump.Create(this)));
        PauseSelf();
        return false;
    }
}

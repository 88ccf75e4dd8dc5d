using KvmSharp.Devices.Buses;
using KvmSharp.Devices.Chipset;
using KvmSharp.Kvm.Vcpus;
using KvmSharp.Machine.Config;
using KvmSharp.Virtio.Transport;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Machine;

/// <summary>
/// A machine for one power cycle: memory, VM, vCPUs, buses and devices, built as the configuration says and thrown away at reset,
/// so that nothing survives a reset by accident. Used under the machine's board lock only.
/// </summary>
internal sealed class Board(Stack<IDisposable> owned, Vcpu[] vcpus, IReadOnlyList<IVirtioTransport> transports, AcpiPm? powerManagement, DeviceExitCounters counters) : IDisposable
{
    private bool _started;

    /// <summary>Everything up to the guest's first instruction. On failure nothing is left behind.</summary>
    public static Board Build(MachineConfig config, ILoggerFactory loggers, CharPorts chars, HostEnds hostEnds, Machine machine)
    {
        var owned = new Stack<IDisposable>();
        try
        {
            return new BoardBuilder(config, loggers, chars, hostEnds, machine, owned).Build();
        }
        catch
        {
            DisposeAll(owned);
            throw;
        }
    }

    /// <summary>Lets the vCPUs into the guest for the first time. Nothing if a resume has done it already.</summary>
    public void Start()
    {
        if (_started)
            return;
        _started = true;
        foreach (Vcpu vcpu in vcpus)
            vcpu.Start();
    }

    public void Resume()
    {
        foreach (IVirtioTransport transport in transports)
            transport.Resume();
        Start();
        foreach (Vcpu vcpu in vcpus)
            vcpu.Resume();
    }

    public void Pause()
    {
        foreach (Vcpu vcpu in vcpus)
            vcpu.Pause();
        foreach (IVirtioTransport transport in transports)
            transport.Pause();
    }

    /// <summary>Who has not stopped yet, for a message. Any thread.</summary>
    public string WhoRuns() => vcpus.FirstOrDefault(vcpu => vcpu.State is VcpuState.Running) is { } running ? $"vcpu {running.Index}" : "a device";

    public void PressPowerButton() => powerManagement?.PressPowerButton();

    public MachineStatistics ReadStatistics()
    {
        var byReason = new List<NamedCount>();
        for (uint reason = 0; reason < ExitCounters.ReasonCount; reason++)
        {
            long count = 0;
            foreach (Vcpu vcpu in vcpus)
                count += vcpu.Exits[reason];
            if (count > 0)
                byReason.Add(new NamedCount(ExitReasons.Name(reason), count));
        }

        var byDevice = new List<NamedCount>();
        foreach (DeviceExitCount device in counters.Snapshot())
            byDevice.Add(new NamedCount(device.Device, device.Reads + device.Writes));
        return new MachineStatistics(byReason, byDevice);
    }

    /// <summary>Ends every vCPU for good; counters can still be read.</summary>
    public void Stop()
    {
        foreach (Vcpu vcpu in vcpus)
            vcpu.Stop();
    }

    /// <summary>Stops, then releases all parts, last made first.</summary>
    public void Dispose()
    {
        Stop();
        DisposeAll(owned);
    }

    private static void DisposeAll(Stack<IDisposable> owned)
    {
        while (owned.TryPop(out IDisposable? part))
            part.Dispose();
    }
}

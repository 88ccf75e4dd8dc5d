using KvmSharp.Core;
using KvmSharp.Core.Events;
using KvmSharp.Core.Fabric;

namespace KvmSharp.Devices.Pci;

/// <summary>
/// A function's interrupt pin. The level the device asks for reaches the shared line unless the guest has set Interrupt Disable.
/// Thread-safe.
/// </summary>
public sealed class PciIntxPin : IIrqLine
{
    private readonly PciInterruptRouter _router;
    private readonly int _line;
    private readonly Lock _sync = new();
    private bool _wanted;
    private bool _disabled;
    private bool _driven;

    internal PciIntxPin(PciInterruptRouter router, int line)
    {
        _router = router;
        _line = line;
    }

    /// <inheritdoc/>
    public uint Gsi => _router.GsiOf(_line);

    /// <summary>The Interrupt Status bit: what the device asks for, Interrupt Disable aside (PCI 3.0 §6.2.3).</summary>
    public bool IsAsserted => Volatile.Read(ref _wanted);

    /// <summary>Has the pin's line, for all that share it, driven by a resampling irqfd where the host has one. Throws <see cref="LinuxException"/>.</summary>
    /// <param name="loop">Hears of the ends of interrupt, unless another device on the line was first; outlives the device.</param>
    public void Resample(EventLoop loop) => _router.Resample(_line, loop);

    /// <inheritdoc/>
    public void SetLevel(bool asserted)
    {
        lock (_sync)
        {
            _wanted = asserted;
            Drive();
        }
    }

    /// <summary>The Interrupt Disable bit of the command register.</summary>
    internal void SetDisabled(bool disabled)
    {
        lock (_sync)
        {
            _disabled = disabled;
            Drive();
        }
    }

    private void Drive()
    {
        bool level = _wanted && !_disabled;
        if (level == _driven)
            return;
        _driven = level;
        _router.Change(_line, level);
    }
}

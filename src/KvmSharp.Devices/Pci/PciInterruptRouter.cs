using KvmSharp.Core.Events;
using KvmSharp.Core.Fabric;

namespace KvmSharp.Devices.Pci;

/// <summary>
/// The INTA#-INTD# wiring: pin p (1 to 4) of slot s reaches line <c>(s + p - 1) % count</c>, and several pins on one line are
/// wired OR. Thread-safe.
/// </summary>
public sealed class PciInterruptRouter : IDisposable
{
    private readonly IInterruptFabric _fabric;
    private readonly IIrqLine[] _lines;
    private readonly int[] _asserted;
    private readonly Lock _sync = new();

    /// <param name="firstGsi">GSI of line 0; the lines are consecutive.</param>
    public PciInterruptRouter(IInterruptFabric fabric, uint firstGsi, int count = 4)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        _fabric = fabric;
        _lines = new IIrqLine[count];
        _asserted = new int[count];
        for (int i = 0; i < count; i++)
            _lines[i] = fabric.GetLine(firstGsi + (uint)i);
    }

    /// <summary>The pin of a slot.</summary>
    /// <param name="pin">1 (INTA#) to 4 (INTD#).</param>
    public PciIntxPin Connect(Bdf address, int pin)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(pin, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(pin, 4);
        return new PciIntxPin(this, (address.Device + pin - 1) % _lines.Length);
    }

    /// <summary>Gives back the lines that are resampled; their pins drive nothing any more.</summary>
    public void Dispose()
    {
        lock (_sync)
        {
            for (int i = 0; i < _lines.Length; i++)
            {
                if (_lines[i] is not ResampledLine line)
                    continue;
                _lines[i] = new OpenLine(line.Gsi);
                line.Dispose();
            }
        }
    }

    internal uint GsiOf(int line) => _lines[line].Gsi;

    /// <summary>From now on all pins of the line raise it by a resampling irqfd, where the host has one. The first caller's loop hears of the ends of interrupt.</summary>
    internal void Resample(int line, EventLoop loop)
    {
        lock (_sync)
        {
            IIrqLine old = _lines[line];
            if (old is ResampledLine)
                return;
            ResampledLine? resampled = ResampledLine.TryCreate(_fabric, old.Gsi, loop);
            if (resampled is null)
                return;
            _lines[line] = resampled;
            if (_asserted[line] == 0)
                return;
            resampled.SetLevel(true);
            old.SetLevel(false);
        }
    }

    /// <summary>One pin on the line changed; the line itself changes with the first and the last.</summary>
    internal void Change(int line, bool asserted)
    {
        lock (_sync)
        {
            int before = _asserted[line];
            _asserted[line] = before + (asserted ? 1 : -1);
            if (asserted ? before == 0 : before == 1)
                _lines[line].SetLevel(asserted);
        }
    }

    /// <summary>Leads nowhere.</summary>
    private sealed class OpenLine(uint gsi) : IIrqLine
    {
        public uint Gsi => gsi;

        public void SetLevel(bool asserted)
        {
        }
    }
}

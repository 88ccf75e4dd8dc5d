using KvmSharp.Core;
using KvmSharp.Core.Fabric;

namespace KvmSharp.Machine;

/// <summary>
/// Lets several devices drive one level-triggered GSI, as COM1 and COM3 do: the line is asserted while any of them asserts its own
/// input. MSI vectors pass through. Thread-safe.
/// </summary>
internal sealed class SharedInterrupts(IInterruptFabric fabric) : IInterruptFabric
{
    private readonly Dictionary<uint, Line> _lines = [];

    /// <summary>A new input of its own to the line of <paramref name="gsi"/>.</summary>
    public IIrqLine GetLine(uint gsi)
    {
        lock (_lines)
        {
            if (!_lines.TryGetValue(gsi, out Line? line))
                _lines.Add(gsi, line = new Line(fabric.GetLine(gsi)));
            return new Input(line);
        }
    }

    public IDisposable? TryAttachResampled(uint gsi, EventFd trigger, EventFd lowered) => fabric.TryAttachResampled(gsi, trigger, lowered);

    public IMsiVector AllocateMsi() => fabric.AllocateMsi();

    public bool SendMsi(ulong address, uint data) => fabric.SendMsi(address, data);

    private sealed class Line(IIrqLine output)
    {
        private readonly Lock _lock = new();
        private int _asserted;

        public uint Gsi => output.Gsi;

        public void Change(Input input, bool asserted)
        {
            // The output changes under the lock: two inputs that change at once must not be seen in the wrong order.
            lock (_lock)
            {
                if (input.Asserted == asserted)
                    return;
                input.Asserted = asserted;
                _asserted += asserted ? 1 : -1;
                if (_asserted == (asserted ? 1 : 0))
                    output.SetLevel(asserted);
            }
        }
    }

    private sealed class Input(Line line) : IIrqLine
    {
        /// <summary>Under the line's lock.</summary>
        internal bool Asserted;

        public uint Gsi => line.Gsi;

        public void SetLevel(bool asserted) => line.Change(this, asserted);
    }
}

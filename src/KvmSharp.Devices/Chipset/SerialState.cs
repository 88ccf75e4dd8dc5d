using System.Runtime.CompilerServices;

namespace KvmSharp.Devices.Chipset;

/// <summary>All volatile state of a <see cref="Serial16550"/>: replaced on reset, copied on save.</summary>
internal struct SerialState
{
    internal const int FifoSize = 16;

    internal byte InterruptEnable;
    internal byte FifoControl;
    internal byte LineControl;
    internal byte ModemControl;

    /// <summary>Only the error bits; data-ready and the transmitter bits are derived.</summary>
    internal byte LineErrors;

    /// <summary>Modem status deltas, bits 0-3.</summary>
    internal byte ModemDeltas;
    internal byte Scratch;
    internal ushort Divisor;

    /// <summary>THR became empty and nobody has acknowledged it.</summary>
    internal bool TransmitterEmptyPending;

    /// <summary>The backend was told of less room than a full FIFO and waits to hear of more.</summary>
    internal bool InputStarved;

    internal byte LastReceived;
    internal byte ReceiveHead;
    internal byte ReceiveCount;
    internal ReceiveBytes Received;
    internal ReceiveBytes ReceivedErrors;

    [InlineArray(FifoSize)]
    internal struct ReceiveBytes
    {
        private byte _first;
    }

    internal static SerialState PowerOn => new() { Divisor = 12 };
}

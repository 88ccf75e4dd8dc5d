using KvmSharp.Backends.Net;

namespace KvmSharp.Emulated.Net.E1000;

/// <summary>
/// The 64 words of configuration behind the microwire pins of EECD and behind EERD (manual §5). It cannot be written. vCPU threads,
/// under the device's lock.
/// </summary>
internal sealed class Eeprom
{
    public const int WordCount = 64;

    /// <summary>What the words of the checksummed part add up to (§5.6.35).</summary>
    private const ushort ChecksumTotal = 0xBABA;

    private const int ChecksumWord = 0x3F, AddressBits = 6, OpcodeBits = 2, DataBits = 16;
    private const uint ReadOpcode = 0b10;

    // EECD (§13.4.3).
    private const uint SK = 1, CS = 2, DI = 4, DO = 8, FWE = 3 << 4, REQ = 1 << 6, GNT = 1 << 7, PRES = 1 << 8;

    // EERD (§13.4.4).
    private const uint Start = 1, Done = 1 << 4;

    private readonly ushort[] _words = new ushort[WordCount];
    private uint _pins;
    private uint _eerd;

    // Of the command that is being shifted in or answered: bits so far, from the start bit on, and what they are.
    private int _bits;
    private uint _command;
    private bool _output;

    public Eeprom(MacAddress mac)
    {
        Span<byte> address = stackalloc byte[MacAddress.Length];
        mac.CopyTo(address);
        for (int i = 0; i < 3; i++)
            _words[i] = (ushort)(address[2 * i] | address[(2 * i) + 1] << 8);
        // §5.6: compatibility, PBA number, initialization control 1, subsystem and device ids, initialization control 2.
        ReadOnlySpan<(int Word, ushort Value)> rest =
        [
            (0x04, 0xFFFF), (0x08, 0x3000), (0x09, 0x1000), (0x0A, 0x6403), (E1000Device.SubsystemIdWord, E1000Device.SubsystemId), (0x0C, E1000Device.VendorId),
            (0x0D, E1000Device.DeviceId), (0x0E, E1000Device.VendorId), (0x0F, 0x3040), (0x10, 0x0008), (0x11, 0x2000), (0x12, 0x7E14), (0x13, 0x0048),
            (0x14, 0x1000), (0x15, 0x00D8), (0x17, 0x2700), (0x18, 0x6CC9), (0x19, 0x3150), (0x1A, 0x0722), (0x1B, 0x040B), (0x1C, 0x0984), (0x1E, 0xC000),
            (0x1F, 0x0706),
        ];
        foreach ((int word, ushort value) in rest)
            _words[word] = value;
        ushort sum = 0;
        foreach (ushort word in _words.AsSpan(0, ChecksumWord))
            sum += word;
        _words[ChecksumWord] = (ushort)(ChecksumTotal - sum);
    }

    /// <summary>EECD. Writing moves the pins: data goes in and out with the rising edge of SK while CS is high.</summary>
    public uint Pins
    {
        get => _pins | (_output ? DO : 0) | ((_pins & REQ) != 0 ? GNT : 0) | PRES;
        set
        {
            bool rises = (value & SK) != 0 && (_pins & SK) == 0;
            _pins = value & (SK | CS | DI | FWE | REQ);
            if ((value & CS) == 0)
            {
                _bits = 0;
                _output = false;
            }
            else if (rises)
            {
                Clock((value & DI) != 0);
            }
        }
    }

    /// <summary>EERD. A write with START reads a word at once; words that are not there read all ones.</summary>
    public uint ReadRegister
    {
        get => _eerd;
        set
        {
            if ((value & Start) == 0)
                return;
            uint word = value >> 8 & 0xFF;
            _eerd = (word < WordCount ? _words[word] : 0xFFFFu) << 16 | word << 8 | Done;
        }
    }

    public void Reset() => (_pins, _eerd, _bits, _output) = (0, 0, 0, false);

    private void Clock(bool data)
    {
        const int CommandBits = 1 + OpcodeBits + AddressBits;
        if (_bits == 0 && !data)
            return;
        if (_bits < CommandBits)
        {
            _command = _bits == 0 ? 1 : _command << 1 | (data ? 1u : 0u);
            _bits++;
            // A zero precedes the first word.
            _output = false;
            return;
        }

        if ((_command >> AddressBits & ((1 << OpcodeBits) - 1)) != ReadOpcode)
        {
            // The others write or protect, which is over at once: ready.
            _output = true;
            return;
        }

        int bit = _bits - CommandBits;
        int word = (int)(_command & (WordCount - 1));
        _output = (_words[word] >> (DataBits - 1 - bit) & 1) != 0;
        _bits++;
        if (bit != DataBits - 1)
            return;
        // Sequential read: the next word follows.
        _bits = CommandBits;
        _command = _command & ~(uint)(WordCount - 1) | (uint)(word + 1) & (WordCount - 1);
    }
}

namespace KvmSharp.Emulated.Net.E1000;

/// <summary>
/// The transceiver inside the controller, an 88E1000 at address 1 of the management interface (manual §8.5, §13.4.7 MDIC). It finds a
/// gigabit partner whenever the host end has a link. vCPU threads under the device's lock; the link is set by the loop.
/// </summary>
internal sealed class Phy
{
    private const uint Address = 1;
    private const int Control = 0, Status = 1, Id1 = 2, Id2 = 3, Advertisement = 4, PartnerAbility = 5, Expansion = 6, GigabitControl = 9,
        GigabitStatus = 10, ExtendedStatus = 15, SpecificControl = 16, SpecificStatus = 17, InterruptEnable = 18, ExtendedControl = 20, LedControl = 24;

    private const ushort ControlReset = 1 << 15, ControlLoopback = 1 << 14, ControlAutoNegotiate = 1 << 12, ControlPowerDown = 1 << 11, ControlRestart = 1 << 9,
        StatusComplete = 1 << 5, StatusLink = 1 << 2;

    /// <summary>Gigabit, full duplex, resolved, link (88E1000 register 17).</summary>
    private const ushort SpecificStatusUp = 0xAC00;

    // MDIC.
    private const uint OperationWrite = 1, OperationRead = 2, Ready = 1 << 28, InterruptOnReady = 1 << 29, Error = 1 << 30;

    private readonly ushort[] _registers = new ushort[32];
    private uint _mdic = Ready;
    private bool _partner;

    public Phy() => Reset();

    /// <summary>The host end has a link. Set by the loop.</summary>
    public bool HasPartner
    {
        get => Volatile.Read(ref _partner);
        set => Volatile.Write(ref _partner, value);
    }

    /// <summary>What STATUS.LU says. Any thread.</summary>
    public bool LinkUp => HasPartner && (Volatile.Read(ref _registers[Control]) & ControlPowerDown) == 0;

    /// <summary>What is sent comes back. Any thread.</summary>
    public bool IsLooped => (Volatile.Read(ref _registers[Control]) & ControlLoopback) != 0;

    public uint Mdic => _mdic;

    /// <summary>A write of MDIC does what it says at once.</summary>
    /// <param name="linkChanged">The link came, went, or was negotiated anew.</param>
    /// <returns>True if the guest wants an interrupt for it.</returns>
    public bool Execute(uint command, out bool linkChanged)
    {
        int register = (int)(command >> 16 & 0x1F);
        uint operation = command >> 26 & 3;
        bool valid = (command >> 21 & 0x1F) == Address && operation is OperationRead or OperationWrite;
        linkChanged = false;
        _mdic = (command & ~Error) | Ready;
        if (!valid)
            _mdic |= Error;
        else if (operation == OperationRead)
            _mdic = _mdic & 0xFFFF_0000 | Read(register);
        else
            linkChanged = Write(register, (ushort)command);
        return (command & InterruptOnReady) != 0;
    }

    public void Reset()
    {
        _registers.AsSpan().Clear();
        _registers[Control] = 0x1140; // autonegotiation, full duplex, gigabit
        _registers[Status] = 0x7949;
        _registers[Id1] = 0x0141;
        _registers[Id2] = 0x0C20;
        _registers[Advertisement] = 0x0DE1;
        _registers[PartnerAbility] = 0x45E1;
        _registers[Expansion] = 0x0001;
        _registers[GigabitControl] = 0x0E00;
        _registers[GigabitStatus] = 0x3C00;
        _registers[ExtendedStatus] = 0x3000;
        _registers[SpecificControl] = 0x0360;
        _registers[ExtendedControl] = 0x0D60;
        _registers[LedControl] = 0x4100;
    }

    private ushort Read(int register) => register switch
    {
        Status => (ushort)(_registers[Status] | (LinkUp ? StatusLink | StatusComplete : 0)),
        SpecificStatus => LinkUp ? SpecificStatusUp : (ushort)0,
        PartnerAbility or GigabitStatus => LinkUp ? _registers[register] : (ushort)0,
        _ => _registers[register],
    };

    private bool Write(int register, ushort value)
    {
        if (register is Status or Id1 or Id2 or PartnerAbility or Expansion or GigabitStatus or ExtendedStatus or SpecificStatus)
            return false;
        if (register != Control)
        {
            _registers[register] = value;
            return false;
        }

        bool before = LinkUp;
        if ((value & ControlReset) != 0)
            Reset();
        else
            Volatile.Write(ref _registers[Control], (ushort)(value & ~ControlRestart));
        bool negotiated = (value & ControlReset) != 0 || (value & (ControlRestart | ControlAutoNegotiate)) == (ControlRestart | ControlAutoNegotiate);
        return LinkUp != before || (negotiated && LinkUp);
    }
}

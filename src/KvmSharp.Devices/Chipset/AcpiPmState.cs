namespace KvmSharp.Devices.Chipset;

/// <summary>All volatile state of an <see cref="AcpiPm"/>.</summary>
internal struct AcpiPmState
{
    internal ushort EventStatus;
    internal ushort EventEnable;

    /// <summary>PM1 control without SCI_EN (always set) and SLP_EN (write only).</summary>
    internal ushort Control;
    internal ushort GpeStatus;
    internal ushort GpeEnable;

    /// <summary>How often the timer's top bit had changed when the status was last brought up to date.</summary>
    internal long TimerToggles;
}

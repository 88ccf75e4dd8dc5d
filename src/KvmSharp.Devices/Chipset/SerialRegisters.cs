namespace KvmSharp.Devices.Chipset;

/// <summary>Register bits of the 16550A (National Semiconductor PC16550D data sheet, tables II and IV).</summary>
internal static class SerialRegisters
{
    internal const byte IerReceived = 0x01;
    internal const byte IerTransmitterEmpty = 0x02;
    internal const byte IerLineStatus = 0x04;
    internal const byte IerModemStatus = 0x08;

    internal const byte IirModemStatus = 0x00;
    internal const byte IirNone = 0x01;
    internal const byte IirTransmitterEmpty = 0x02;
    internal const byte IirReceived = 0x04;
    internal const byte IirLineStatus = 0x06;
    internal const byte IirTimeout = 0x0C;
    internal const byte IirFifosEnabled = 0xC0;

    internal const byte FcrEnable = 0x01;
    internal const byte FcrClearReceive = 0x02;
    internal const byte FcrTriggerMask = 0xC0;

    internal const byte LcrDivisorLatch = 0x80;

    internal const byte McrDtr = 0x01;
    internal const byte McrRts = 0x02;
    internal const byte McrOut1 = 0x04;
    internal const byte McrOut2 = 0x08;
    internal const byte McrLoop = 0x10;
    internal const byte McrMask = 0x1F;

    internal const byte LsrDataReady = 0x01;
    internal const byte LsrOverrun = 0x02;
    internal const byte LsrBreak = 0x10;
    internal const byte LsrErrors = 0x1E;
    internal const byte LsrTransmitterEmpty = 0x60;
    internal const byte LsrFifoError = 0x80;

    internal const byte MsrCts = 0x10;
    internal const byte MsrDsr = 0x20;
    internal const byte MsrRing = 0x40;
    internal const byte MsrCarrier = 0x80;
}

namespace KvmSharp.Devices.Chipset;

/// <summary>The time registers of the RTC as plain numbers, and their encodings. Anything a guest writes becomes some valid time.</summary>
internal readonly record struct RtcTime(int Second, int Minute, int Hour, int DayOfWeek, int Day, int Month, int Year)
{
    internal static RtcTime From(DateTime time) =>
        new(time.Second, time.Minute, time.Hour, (int)time.DayOfWeek + 1, time.Day, time.Month, time.Year);

    /// <summary>UTC; fields outside their ranges are clamped.</summary>
    internal DateTime ToDateTime()
    {
        int year = Math.Clamp(Year, 1, 9998);
        int month = Math.Clamp(Month, 1, 12);
        int day = Math.Clamp(Day, 1, DateTime.DaysInMonth(year, month));
        return new DateTime(year, month, day, Math.Clamp(Hour, 0, 23), Math.Clamp(Minute, 0, 59), Math.Clamp(Second, 0, 59), DateTimeKind.Utc);
    }

    internal static byte Encode(int value, bool binary) => (byte)(binary ? value : ((value / 10) << 4) | (value % 10));

    internal static int Decode(byte value, bool binary) => binary ? value : ((value >> 4) * 10) + (value & 0x0F);

    internal static byte EncodeHour(int hour, bool binary, bool hours24)
    {
        if (hours24)
            return Encode(hour, binary);
        int twelve = hour % 12 == 0 ? 12 : hour % 12;
        return (byte)(Encode(twelve, binary) | (hour >= 12 ? 0x80 : 0));
    }

    internal static int DecodeHour(byte value, bool binary, bool hours24)
    {
        if (hours24)
            return Decode(value, binary);
        int hour = Decode((byte)(value & 0x7F), binary) % 12;
        return (value & 0x80) != 0 ? hour + 12 : hour;
    }
}

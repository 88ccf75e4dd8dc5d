namespace KvmSharp.Emulated.Storage.Ide;

/// <summary>Registers of the command block by their port, as read and as written.</summary>
internal static class IdeRegister
{
    public const int Data = 0;
    public const int Error = 1, Features = 1;
    public const int Count = 2;
    public const int LbaLow = 3;
    public const int LbaMid = 4;
    public const int LbaHigh = 5;
    public const int Device = 6;
    public const int Status = 7, Command = 7;
}

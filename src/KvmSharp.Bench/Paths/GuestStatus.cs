namespace KvmSharp.Bench.Paths;

/// <summary>What the bench guest leaves with through the debug-exit device, which makes <c>value &lt;&lt; 1 | 1</c> of it.</summary>
internal static class GuestStatus
{
    public const int Ok = 1;

    private const int FirstException = 0x40, Exceptions = 32;

    public static string Describe(int status)
    {
        int value = status >> 1;
        return value is >= FirstException and < FirstException + Exceptions ? $"exception {value - FirstException} in the bench guest"
            : $"the bench guest gave up with status {status}: a device broke the rules of its ring";
    }
}

using KvmSharp.Core.Buses;
using KvmSharp.Core.Logging;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Devices.Buses;

/// <summary>Rate-limited debug messages about accesses that nobody completed. Nothing is formatted unless debug logging is on.</summary>
internal sealed class UnclaimedLog(ILogger logger, string busName)
{
    private readonly LogGate _gate = new();

    internal void Unclaimed(string operation, ulong address, int width)
    {
        if (logger.IsEnabled(LogLevel.Debug) && _gate.TryPass(out int suppressed))
            logger.LogDebug("{Bus}: unclaimed {Operation} of {Width} bytes at 0x{Address:x} ({Suppressed} like it suppressed)",
                busName, operation, width, address, suppressed);
    }

    internal void Refused(string device, string operation, ulong address, int width, BusStatus status)
    {
        if (logger.IsEnabled(LogLevel.Debug) && _gate.TryPass(out int suppressed))
            logger.LogDebug("{Bus}: {Device} refused {Operation} of {Width} bytes at 0x{Address:x}: {Status} ({Suppressed} like it suppressed)",
                busName, device, operation, width, address, status, suppressed);
    }
}

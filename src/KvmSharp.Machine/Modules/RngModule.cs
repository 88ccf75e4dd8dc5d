using KvmSharp.Machine.Config;
using KvmSharp.Virtio.Devices.Rng;

namespace KvmSharp.Machine.Modules;

/// <summary>The entropy device.</summary>
internal static class RngModule
{
    public static void Attach(BoardContext board, RngConfig config)
    {
        var options = new VirtioRngOptions { Name = config.Id ?? "rng", MaxBytes = config.MaxBytes, PeriodMs = (int)config.Period.TotalMilliseconds };
        if (config.Virtio.QueueSize is { } size)
            options = options with { QueueSize = (ushort)size };
        board.Virtio.Attach(config.Virtio, new VirtioRng(board.IoThreads.Get(config.Virtio, 1)[0], options));
    }
}

using KvmSharp.Machine.Config;
using KvmSharp.Virtio.Devices.Rng;

namespace KvmSharp.Machine.Modules;

/// <summary>The entropy device.</summary>
internal static class RngModule
{
    public static void Attach(BoardContext board, RngConfig config)
    {
        var options = new VirtioRngOptions { Name = config.Id ?? "rng", MaxBytes = config.MaxBytes, PeriodMs = (int)config.Period.TotalMilliseconds };
        board.Virtio.Attach(new VirtioRng(board.Virtio.GetIoThreads(config.IoThread, 1)[0], options));
    }
}

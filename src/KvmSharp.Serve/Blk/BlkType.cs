using KvmSharp.Core.Events;
using KvmSharp.Machine.Config;

namespace KvmSharp.Serve.Blk;

/// <summary>Disks on images.</summary>
internal sealed class BlkType : IServedType
{
    public string Name => "blk";

    public OptionSpec PortOption { get; } = new()
    {
        Name = "image", Syntax = OptionSyntax.CommaList, Keys = DiskConfig.ServedImageKeys,
        ValueName = "PATH[,readonly=on][,cache=writeback|none|writethrough|directsync|unsafe][,queues=N][,serial=TEXT][,discard=off][,write-zeroes=off]" +
            "[,logical_block_size=BYTES][,physical_block_size=BYTES][,aio=auto|io_uring|threads][,id=NAME]",
        Help = "a disk, from a raw image or a block device",
    };

    public IServedDevice Create(string name, OptionValues values, IReadOnlyList<EventLoop> loops) => new BlkDevice(name, DiskConfig.Read(values), loops);
}

using System.Diagnostics;
using KvmSharp.Abi;
using KvmSharp.Backends.Block;
using KvmSharp.Backends.Vhost.User;
using KvmSharp.Core;
using KvmSharp.TestKit;

namespace KvmSharp.Backends.Tests.Block;

public sealed class RawImageTests : IDisposable
{
    private readonly TempImage _image = new(1 << 20);

    public void Dispose() => _image.Dispose();

    [Fact]
    public void Open_MissingFile_SaysSoInOneLine()
    {
        string message = OpenError(new RawImageOptions { Path = "/nonexistent/disk.img" });
        Assert.Equal("disk image /nonexistent/disk.img does not exist: check the path, or make one with 'truncate -s 10G /nonexistent/disk.img'", message);
    }

    [Theory]
    [InlineData(false, BlockCacheMode.Writeback)]
    [InlineData(true, BlockCacheMode.Writeback)]
    [InlineData(true, BlockCacheMode.None)]
    public void Open_Directory_SaysSo(bool readOnly, BlockCacheMode cache) =>
        Assert.Equal("disk image /tmp is a directory: give a file or a block device",
            OpenError(new RawImageOptions { Path = "/tmp", ReadOnly = readOnly, Cache = cache }));

    [Fact]
    public void Open_CharacterDevice_SaysNeitherFileNorBlock() =>
        Assert.Contains("neither a regular file nor a block device", OpenError(new RawImageOptions { Path = "/dev/null" }), StringComparison.Ordinal);

    [Fact]
    public void Open_SizeNotWholeSectors_NamesSizeAndFix()
    {
        _image.Resize(1000);
        Assert.Equal($"disk image {_image.Path} is 1000 bytes long, not a multiple of 512: extend it with 'truncate -s 1024 {_image.Path}'",
            OpenError(new RawImageOptions { Path = _image.Path }));
    }

    [Fact]
    public void Open_EmptyFile_SaysSo()
    {
        _image.Resize(0);
        Assert.Contains("is empty", OpenError(new RawImageOptions { Path = _image.Path }), StringComparison.Ordinal);
    }

    [Fact]
    public void Open_ImmutableFile_SaysNotWritable()
    {
        Run("chattr", $"+i {_image.Path}");
        try
        {
            Assert.Equal($"disk image {_image.Path} is not writable: change its permissions, or use readonly=on",
                OpenError(new RawImageOptions { Path = _image.Path }));
            using RawImage readable = RawImage.Open(new RawImageOptions { Path = _image.Path, ReadOnly = true });
            Assert.True(readable.Limits.ReadOnly);
        }
        finally
        {
            Run("chattr", $"-i {_image.Path}");
        }
    }

    [Fact]
    public void Open_WriterWhileWriterHolds_FailsNamingTheHolder()
    {
        using RawImage first = RawImage.Open(new RawImageOptions { Path = _image.Path });
        string message = OpenError(new RawImageOptions { Path = _image.Path });
        Assert.StartsWith($"disk image {_image.Path} is in use by pid {Environment.ProcessId} (", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_ReaderWhileWriterHolds_Fails()
    {
        using RawImage first = RawImage.Open(new RawImageOptions { Path = _image.Path, Cache = BlockCacheMode.None });
        Assert.Contains("is being written", OpenError(new RawImageOptions { Path = _image.Path, ReadOnly = true }), StringComparison.Ordinal);
    }

    [Fact]
    public void Open_TwoReaders_Share()
    {
        using RawImage first = RawImage.Open(new RawImageOptions { Path = _image.Path, ReadOnly = true });
        using RawImage second = RawImage.Open(new RawImageOptions { Path = _image.Path, ReadOnly = true });
        Assert.Contains("in use", OpenError(new RawImageOptions { Path = _image.Path }), StringComparison.Ordinal);
    }

    [Fact]
    public void Open_AfterHolderDisposed_Succeeds()
    {
        using (RawImage first = RawImage.Open(new RawImageOptions { Path = _image.Path, Engine = BlockEngine.IoUring }))
        using (BlockHarness harness = new(first))
            Assert.Equal(0, harness.Run(BlockOperation.Flush, 0, 0));

        using RawImage again = RawImage.Open(new RawImageOptions { Path = _image.Path });
        Assert.Equal(1UL << 20, again.CapacityBytes);
    }

    /// <summary>As of a process that was killed, whose rings the kernel still takes down.</summary>
    [Fact]
    public unsafe void Open_LockOfNoProcess_IsWaitedFor()
    {
        int* ends = stackalloc int[2];
        Assert.Equal(0, Libc.socketpair(LibcConstants.AF_UNIX, LibcConstants.SOCK_STREAM | LibcConstants.SOCK_CLOEXEC, 0, ends));
        FileDescriptor sender = new(ends[0]), receiver = new(ends[1]);
        using (FileDescriptor file = FileDescriptor.Open(_image.Path, LibcConstants.O_RDWR))
        {
            ImageLock.Acquire(file, _image.Path, exclusive: true);
            Assert.Equal(0, VhostUserWire.Send(sender, 1, 1, default, [file.Value]));
        }

        Thread release = new(() =>
        {
            Thread.Sleep(100);
            sender.Dispose();
            receiver.Dispose();
        });
        release.Start();
        using RawImage image = RawImage.Open(new RawImageOptions { Path = _image.Path });
        release.Join();

        Assert.Equal(1UL << 20, image.CapacityBytes);
    }

    [Fact]
    public void Open_LockOff_IgnoresHolder()
    {
        using RawImage first = RawImage.Open(new RawImageOptions { Path = _image.Path });
        using RawImage second = RawImage.Open(new RawImageOptions { Path = _image.Path, Lock = false });
        Assert.Equal(first.CapacityBytes, second.CapacityBytes);
    }

    [Fact]
    public void Open_QemuHoldsImage_Fails()
    {
        ProcessStartInfo start = new("qemu-system-x86_64",
            $"-M none -nodefaults -display none -S -monitor stdio -drive if=none,format=raw,file={_image.Path}")
        {
            RedirectStandardInput = true, RedirectStandardOutput = true,
        };
        using Process qemu = Process.Start(start)!;
        try
        {
            // The monitor's banner comes when the drives are open.
            Assert.NotNull(qemu.StandardOutput.ReadLine());
            Assert.Contains($"is in use by pid {qemu.Id} (qemu-system-x86)", OpenError(new RawImageOptions { Path = _image.Path }), StringComparison.Ordinal);
        }
        finally
        {
            qemu.Kill();
            qemu.WaitForExit();
        }
    }

    [Fact]
    public void RefreshCapacity_FileGrew_ReportsChangeOnce()
    {
        using RawImage disk = RawImage.Open(new RawImageOptions { Path = _image.Path });
        Assert.False(disk.RefreshCapacity());
        _image.Resize((2 << 20) + 100);
        Assert.True(disk.RefreshCapacity());
        Assert.Equal(2UL << 20, disk.CapacityBytes);
        Assert.False(disk.RefreshCapacity());
    }

    [Theory]
    [InlineData(BlockCacheMode.Writeback, true)]
    [InlineData(BlockCacheMode.None, true)]
    [InlineData(BlockCacheMode.Unsafe, true)]
    [InlineData(BlockCacheMode.Writethrough, false)]
    [InlineData(BlockCacheMode.Directsync, false)]
    public void Limits_WriteCache_FollowsCacheMode(BlockCacheMode mode, bool expected)
    {
        using RawImage disk = RawImage.Open(new RawImageOptions { Path = _image.Path, Cache = mode });
        Assert.Equal(expected, disk.Limits.WriteCache);
        Assert.Equal(512u, disk.Limits.LogicalBlockSize);
        Assert.Equal(4096u, disk.Limits.PhysicalBlockSize);
    }

    [Fact]
    public void Open_AutoEngine_IsInlineOnTmpfs()
    {
        string folder = Directory.CreateDirectory($"/dev/shm/kvmsharp-blk-{Guid.NewGuid():N}").FullName;
        try
        {
            using TempImage image = new(1 << 20, folder);
            using (RawImage disk = RawImage.Open(new RawImageOptions { Path = image.Path }))
                Assert.Equal(BlockEngine.Inline, disk.Engine);
            using RawImage asked = RawImage.Open(new RawImageOptions { Path = image.Path, Engine = BlockEngine.Threads });
            Assert.Equal(BlockEngine.Threads, asked.Engine);
        }
        finally
        {
            Directory.Delete(folder);
        }
    }

    [Theory]
    [InlineData(BlockEngine.IoUring)]
    [InlineData(BlockEngine.Threads)]
    [InlineData(BlockEngine.Inline)]
    public void Write_FileSystemFull_FailsWithEnospcAndRecovers(BlockEngine engine)
    {
        string mount = Directory.CreateTempSubdirectory("kvmsharp-full-").FullName;
        Run("mount", $"-t tmpfs -o size=256k none {mount}");
        try
        {
            using TempImage image = new(1 << 20, mount);
            using RawImage disk = RawImage.Open(new RawImageOptions { Path = image.Path, Engine = engine });
            using BlockHarness harness = new(disk);
            using NativeBuffer buffer = new(1 << 20);
            // The host takes the first part (a short write) and refuses the rest.
            Assert.Equal(-LibcConstants.ENOSPC, harness.Write(0, buffer.Slice(0, 1 << 20)));
            Assert.Equal(0, harness.Run(BlockOperation.Discard, 0, 1 << 20));
            Assert.Equal(65536, harness.Write(0, buffer.Slice(0, 65536)));
        }
        finally
        {
            // Lazily: a closed ring lets go of its registered file a moment later.
            Run("umount", $"-l {mount}");
            Directory.Delete(mount);
        }
    }

    [Theory]
    [InlineData(BlockEngine.IoUring, BlockCacheMode.None)]
    [InlineData(BlockEngine.Threads, BlockCacheMode.Writeback)]
    public void BlockDevice_LoopDevice_ReadsWritesDiscardsAndReportsGeometry(BlockEngine engine, BlockCacheMode mode)
    {
        string device = Run("losetup", $"--find --show {_image.Path}").Trim();
        try
        {
            using RawImage disk = RawImage.Open(new RawImageOptions { Path = device, Engine = engine, Cache = mode });
            using BlockHarness harness = new(disk);
            using NativeBuffer buffer = new(65536);
            Assert.Equal(1UL << 20, disk.CapacityBytes);
            buffer.Span.Fill(0x3c);
            Assert.Equal(65536, harness.Write(4096, buffer.Slice(0, 65536)));
            Assert.Equal(0, harness.Run(BlockOperation.Flush, 0, 0));
            Assert.Equal(0x3c, _image.Bytes[4096]);
            Assert.Equal(0, harness.Run(BlockOperation.WriteZeroes, 4096, 4096));
            Assert.Equal(0, harness.Run(BlockOperation.WriteZeroes, 8192, 4096, BlockRequestFlags.MayUnmap));
            Assert.Equal(0, harness.Run(BlockOperation.Discard, 12288, 4096));
            Assert.Equal(12288, harness.Read(4096, buffer.Slice(0, 12288)));
            Assert.Equal(-1, buffer.Span[..8192].IndexOfAnyExcept((byte)0));
        }
        finally
        {
            Run("losetup", $"-d {device}");
        }
    }

    [Fact]
    public void Open_ReadOnlyBlockDevice_SaysSo()
    {
        string device = Run("losetup", $"--read-only --find --show {_image.Path}").Trim();
        try
        {
            Assert.Equal($"disk image {device} is a read-only device: use readonly=on",
                OpenError(new RawImageOptions { Path = device }));
        }
        finally
        {
            Run("losetup", $"-d {device}");
        }
    }

    private static string OpenError(RawImageOptions options)
    {
        string message = Assert.Throws<BackendException>(() => RawImage.Open(options)).Message;
        Assert.DoesNotContain('\n', message);
        return message;
    }

    private static string Run(string command, string arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(command, arguments) { RedirectStandardOutput = true })!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        return output;
    }
}

using System.Diagnostics;
using KvmSharp.TestKit;

namespace KvmSharp.Virtio.Tests.Devices.Block;

/// <summary>QEMU's storage daemon with one raw image behind a vhost-user-blk socket, in a folder of its own.</summary>
internal sealed class StorageDaemon : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("kvmsharp-vhost-user-");
    private readonly int _queues;
    private Process? _process;

    public StorageDaemon(int imageBytes, int queues = 1)
    {
        _queues = queues;
        using FileStream image = File.Create(Image);
        image.SetLength(imageBytes);
    }

    public string Image => Path.Combine(_folder.FullName, "disk.img");

    public string Socket => Path.Combine(_folder.FullName, "disk.sock");

    /// <summary>Starts it and waits until it listens.</summary>
    public void Start()
    {
        _process = Process.Start(new ProcessStartInfo("qemu-storage-daemon",
        [
            "--blockdev", $"driver=file,node-name=file,filename={Image},locking=off", "--blockdev", "driver=raw,node-name=disk,file=file,discard=unmap",
            "--export", $"type=vhost-user-blk,id=e,node-name=disk,addr.type=unix,addr.path={Socket},writable=on,num-queues={_queues}",
        ]))!;
        for (int i = 0; !ListeningSockets.Contain(Socket); i++)
        {
            if (i == 2000 || _process.HasExited)
                throw new InvalidOperationException("qemu-storage-daemon does not listen");
            Thread.Sleep(10);
        }
    }

    /// <summary>As kill -9; the socket stays behind.</summary>
    public void Kill()
    {
        _process?.Kill();
        _process?.WaitForExit();
        _process?.Dispose();
        _process = null;
        File.Delete(Socket);
    }

    public void Dispose()
    {
        Kill();
        _folder.Delete(recursive: true);
    }
}

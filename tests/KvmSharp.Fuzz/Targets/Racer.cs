using KvmSharp.Core;
using KvmSharp.Core.Memory;
using KvmSharp.Fuzz.Engine;

namespace KvmSharp.Fuzz.Targets;

/// <summary>A second vCPU that writes to ring memory while the device works with it. What it writes follows from a seed, when does not.</summary>
internal sealed class Racer : IDisposable
{
    private readonly SemaphoreSlim _go = new(0), _idle = new(0);
    private Thread? _thread;
    private GuestMemory? _memory;
    private ulong _start, _length, _seed;
    private bool _running, _ending;

    internal void Start(GuestMemory memory, ulong start, ulong length, ulong seed)
    {
        (_memory, _start, _length, _seed) = (memory, start, length, seed);
        Volatile.Write(ref _running, true);
        if (_thread is null)
        {
            _thread = HostThread.Create("fuzz-racer", ThreadRole.Runtime, Race);
            _thread.Start();
        }

        _go.Release();
    }

    /// <summary>Returns when nothing is written any more.</summary>
    internal void Stop()
    {
        Volatile.Write(ref _running, false);
        _idle.Wait();
    }

    public void Dispose()
    {
        _ending = true;
        _go.Release();
        _thread?.Join();
        _go.Dispose();
        _idle.Dispose();
    }

    private void Race()
    {
        while (true)
        {
            _go.Wait();
            if (_ending)
                return;
            FuzzRandom random = new(_seed);
            while (Volatile.Read(ref _running))
            {
                ulong at = _start + (random.Next() % (_length - 8));
                ulong value = random.Next();
                if ((value & 0x300) == 0)
                    _memory!.TryWrite(new GuestAddress(at & ~7UL), value);
                else
                    _memory!.TryWrite(new GuestAddress(at & ~1UL), (ushort)(value % 256));
            }

            _idle.Release();
        }
    }
}

using KvmSharp.Core;
using KvmSharp.Core.Memory;
using KvmSharp.Virtio;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Serve.Session;

/// <summary>
/// The vrings of a connection and the device that serves them. Whatever a front end says about a vring, or about memory, while it runs stops it where
/// it stands, with nothing in flight, and starts it there again. Control thread.
/// </summary>
internal sealed class ServedRings
{
    /// <summary>Largest vring, in descriptors: what every front end keeps to.</summary>
    public const int MaxVringSize = 1024;

    private readonly IVirtioDevice _device;
    private readonly FrontEndLines _lines;
    private readonly bool _keepsOrder;
    private readonly ServedVring[] _vrings;

    /// <summary>Where what is in flight is noted; null: nowhere.</summary>
    private InFlightFile? _inFlight;
    private ulong _features;
    private bool _logs;
    private bool _active;
    private VirtioContext? _context;

    /// <param name="served">What serves the vrings; borrowed.</param>
    /// <param name="lines">What connects them with the front end.</param>
    /// <param name="lost">See <see cref="LentMapping"/>.</param>
    public ServedRings(IServedDevice served, FrontEndLines lines, EventFd lost)
    {
        Memory = new FrontEndMemory(lost);
        _device = served.Device;
        _keepsOrder = served.KeepsOrder;
        _lines = lines;
        _vrings = new ServedVring[_device.Identity.QueueSizes.Count];
        for (int i = 0; i < _vrings.Length; i++)
            _vrings[i] = new ServedVring();
    }

    public FrontEndMemory Memory { get; private set; }

    /// <summary>Without protocol features there is no message that enables a vring.</summary>
    public bool StartEnabled { get; set; } = true;

    /// <summary>Where pages that are written are noted, while the front end wants that; null: nowhere.</summary>
    public DirtyLog? Log { get; private set; }

    private bool IsPacked => (_features & VirtioFeatures.RingPacked) != 0;

    /// <summary>What the driver has agreed to, and whether what is written is logged.</summary>
    public void SetFeatures(ulong features, bool logs)
    {
        if (features == _features && logs == _logs)
            return;
        HaltAll();
        if (features != _features)
            Deactivate();
        _features = features;
        _logs = logs;
        ResumeAll();
    }

    public void SetSize(int vring, uint size)
    {
        if (size is 0 or > MaxVringSize)
            throw new ProtocolException($"vring {vring} has {size} entries");
        Change(vring, v => v.Size = (ushort)size);
    }

    public void SetAreas(int vring, ulong descriptor, ulong driver, ulong device) => Change(vring, v => v.Areas = (descriptor, driver, device));

    public void SetBase(int vring, uint position)
    {
        // There are front ends (DPDK) that leave the used position of a packed ring out: nothing is in flight then.
        if (IsPacked && position >> 16 == 0)
            position |= position << 16;
        Change(vring, v => v.State = VirtQueueState.FromVringBase(position, IsPacked));
    }

    public void SetKick(int vring, EventFd kick) => Change(vring, v =>
    {
        v.Kick?.Dispose();
        v.Kick = kick;
    });

    public void SetEnabled(int vring, bool enabled)
    {
        // Where it stands stays noted: it may stay disabled for longer than this process lives, and nobody is told.
        TryPause(vring);
        _vrings[vring].Enabled = enabled;
        TryRun(vring);
    }

    /// <summary>Stops the vring for good; where it stands then.</summary>
    public uint Stop(int vring)
    {
        TryPause(vring);
        Forget(vring);
        ServedVring state = _vrings[vring];
        state.Kick?.Dispose();
        state.Kick = null;
        return state.State.ToVringBase(IsPacked);
    }

    /// <summary>Another set of regions takes the place of all.</summary>
    public void ReplaceMemory(FrontEndMemory memory)
    {
        HaltAll();
        Memory.Dispose();
        Memory = memory;
        ResumeAll();
    }

    public void AddRegion(in FrontEndRegion region, FileDescriptor file)
    {
        HaltAll();
        Memory.Add(region, file);
        ResumeAll();
    }

    /// <summary>What is in flight is noted there from now on, and what an earlier process noted there is served.</summary>
    public void ReplaceInFlight(InFlightFile file)
    {
        HaltAll();
        _inFlight?.Dispose();
        _inFlight = file;
        ResumeAll();
    }

    public void ReplaceLog(DirtyLog log)
    {
        HaltAll();
        Log?.Dispose();
        Log = log;
        ResumeAll();
    }

    public bool RemoveRegion(in FrontEndRegion region)
    {
        HaltAll();
        bool removed = Memory.Remove(region);
        ResumeAll();
        return removed;
    }

    /// <summary>Back to power-on: vrings stopped and disabled, the device reset. Memory, features and lines stay.</summary>
    public void Reset()
    {
        for (int i = 0; i < _vrings.Length; i++)
        {
            Stop(i);
            _vrings[i].Enabled = false;
        }

        Deactivate();
        _lines.ClearFault();
    }

    /// <summary>The connection ends. Nobody was told where vrings stand: it stays noted with what is in flight, for the next process.</summary>
    public void Close()
    {
        for (int i = 0; i < _vrings.Length; i++)
            TryPause(i);
        _inFlight?.Dispose();
        _inFlight = null;
        Reset();
        Memory.Dispose();
        Log?.Dispose();
        Log = null;
    }

    private void Change(int vring, Action<ServedVring> change)
    {
        Halt(vring);
        change(_vrings[vring]);
        TryRun(vring);
    }

    private void HaltAll()
    {
        for (int i = 0; i < _vrings.Length; i++)
            Halt(i);
    }

    private void ResumeAll()
    {
        _context = null;
        for (int i = 0; i < _vrings.Length; i++)
            TryRun(i);
    }

    private void Halt(int vring)
    {
        if (TryPause(vring))
            Forget(vring);
    }

    private void Forget(int vring) => NotesOf(vring)?.Forget();

    /// <summary>
    /// Where a vring's chains in flight are noted; null: nowhere. Where order is kept, those of a split one are what the driver made available behind the used index.
    /// Of a packed ring nothing tells where it stands, and chains in flight may have been overwritten.
    /// </summary>
    private InFlightRegion? NotesOf(int vring) => _keepsOrder && !IsPacked ? null : _inFlight?.For(vring);

    private bool TryPause(int vring)
    {
        ServedVring state = _vrings[vring];
        if (!state.Running)
            return false;
        state.Running = false;
        // Null: it could not be opened, which its driver was told.
        if (_device.StopQueue(vring) is { } stands)
            state.State = stands;
        return true;
    }

    private void TryRun(int vring)
    {
        ServedVring state = _vrings[vring];
        if (state.Running || state is not { Kick: { } kick, Areas: { } areas, Size: > 0 } || !(state.Enabled || StartEnabled))
            return;
        if ((_features & VirtioFeatures.Version1) == 0)
            throw new ProtocolException("the driver is too old: it does not know VIRTIO_F_VERSION_1");
        var config = new VirtQueueConfig { Size = state.Size, Enabled = true, SegmentLimit = _device.Identity.SegmentLimit };
        if (!Memory.TryToGuest(areas.Descriptor, out GuestAddress descriptor) || !Memory.TryToGuest(areas.Driver, out GuestAddress driver) ||
            !Memory.TryToGuest(areas.Device, out GuestAddress device))
            throw new ProtocolException($"vring {vring} lies outside guest memory");
        (config.DescriptorArea, config.DriverArea, config.DeviceArea) = (descriptor, driver, device);
        _context ??= new VirtioContext(_features, Memory.View, _lines, _lines);
        if (!_active)
            _device.Activate(_context);
        _active = true;
        state.Running = true;
        _device.StartQueue(vring, new VirtQueueBinding(vring, config, kick, Position(state, config), _context) { InFlight = NotesOf(vring), Log = _logs ? Log : null });
    }

    /// <summary>
    /// Where the vring goes on. There are front ends (DPDK, where it listens) that begin a split one at 0 again after another back end has served it. Between the two nothing is in
    /// flight, so that its used index tells.
    /// </summary>
    private VirtQueueState Position(ServedVring vring, VirtQueueConfig config) =>
        !IsPacked && (_keepsOrder || _inFlight is null) && vring.State == default && VirtQueue.TryReadUsedIndex(config, Memory.View, out ushort used) ? new VirtQueueState(used, used) : vring.State;

    private void Deactivate()
    {
        if (_active)
            _device.Reset();
        _active = false;
        _context = null;
    }
}

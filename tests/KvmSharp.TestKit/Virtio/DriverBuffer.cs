namespace KvmSharp.TestKit.Virtio;

/// <summary>One buffer as a driver adds it to a queue.</summary>
public readonly record struct DriverBuffer(ulong Address, uint Length, bool Writable);

namespace KvmSharp.Devices.Buses;

/// <summary>Ends a range's registration once; later calls do nothing. Any thread.</summary>
internal sealed class BusRegistration<TDevice>(RangeTable<TDevice> table, RangeEntry<TDevice> entry) : IDisposable
    where TDevice : class
{
    public void Dispose() => table.Remove(entry);
}

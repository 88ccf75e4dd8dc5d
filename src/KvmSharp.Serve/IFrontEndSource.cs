using KvmSharp.Core;

namespace KvmSharp.Serve;

/// <summary>Where a port's front ends come from, one at a time, while it is open. Control thread, but for <see cref="Start"/>.</summary>
internal interface IFrontEndSource : IDisposable
{
    string Path { get; }

    /// <summary><see cref="Open"/>, soon: not waited for, so whoever calls may hold a lock that the control thread wants. Once; any thread.</summary>
    /// <param name="connected">Gets the socket of whoever is there, its own from then on. Non-blocking.</param>
    void Start(Action<FileDescriptor> connected);

    void Open();

    /// <summary><see cref="Open"/>, in this time.</summary>
    void OpenAfter(long delayNs);

    void Close();
}

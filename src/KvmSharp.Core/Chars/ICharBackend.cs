namespace KvmSharp.Core.Chars;

/// <summary>The host end of a character device: a terminal, a file, a pseudo-terminal, a socket, nothing.</summary>
public interface ICharBackend : IDisposable
{
    /// <summary>Begins delivering host input to <paramref name="frontend"/>, on the backend's own thread. Called once.</summary>
    void Start(ICharFrontend frontend);

    /// <summary>
    /// Takes guest output, on a vCPU thread. Never blocks without bound and never throws: output that the host end
    /// cannot take is dropped and counted.
    /// </summary>
    void Write(ReadOnlySpan<byte> data);

    /// <summary>
    /// Takes as much guest output as the host end takes now. What is left is the caller's to offer again after
    /// <see cref="CharEvent.Writable"/>; with nobody at the other end all of it is dropped. Any thread; never throws, and blocks no longer than <see cref="Write"/>.
    /// </summary>
    /// <returns>Bytes taken or dropped.</returns>
    int TryWrite(ReadOnlySpan<byte> data)
    {
        Write(data);
        return data.Length;
    }

    /// <summary>False while nobody could read or write. Any thread.</summary>
    bool IsConnected => true;

    /// <summary>Of the terminal at the host end. Any thread.</summary>
    TerminalSize Size => default;

    /// <summary>The front end has room again after <see cref="ICharFrontend.Capacity"/> was short. Any thread.</summary>
    void OnFrontendReady();
}

/// <summary>The device end of a character device: a UART, a virtio-console port.</summary>
public interface ICharFrontend
{
    /// <summary>How many bytes <see cref="Receive"/> takes right now; 0 to the device's FIFO size. Any thread.</summary>
    int Capacity { get; }

    /// <summary>Host input, at most <see cref="Capacity"/> bytes (what exceeds it is an overrun). Backend thread.</summary>
    void Receive(ReadOnlySpan<byte> data);

    /// <summary>Something happened at the host end. Any thread; must return at once.</summary>
    void OnHostEvent(CharEvent happened)
    {
    }
}

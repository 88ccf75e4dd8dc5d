namespace KvmSharp.Fuzz.Engine;

/// <summary>Something hostile input reaches. One thread calls it; it is made once and used for many inputs.</summary>
internal interface IFuzzTarget : IDisposable
{
    /// <summary>
    /// Does what the script says and leaves the target as it found it, by the reset that its user has. Throws what the code under
    /// test lets escape, <see cref="FuzzFailure"/> when a promise is broken.
    /// </summary>
    void Run(FuzzScript script);

    /// <summary>Shows that the target still works after what <see cref="Run"/> did to it. Throws <see cref="FuzzFailure"/>.</summary>
    void Probe();
}

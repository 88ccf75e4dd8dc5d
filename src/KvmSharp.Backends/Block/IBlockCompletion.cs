namespace KvmSharp.Backends.Block;

/// <summary>Takes completions of one <see cref="IBlockIo"/>, on the thread that reaps.</summary>
public interface IBlockCompletion
{
    /// <param name="tag">The request's.</param>
    /// <param name="result">Bytes transferred (0 for other operations), or -errno. A successful read or write is always complete.</param>
    void OnCompleted(uint tag, int result);
}

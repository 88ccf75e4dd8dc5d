using KvmSharp.Backends.Net;
using KvmSharp.Core;
using KvmSharp.Core.Memory;

namespace KvmSharp.Serve.Net;

/// <summary>A queue pair of a <see cref="CapturedBackend"/>. Owns the queue, not the capture.</summary>
internal sealed class CapturedQueue(INetQueue queue, FrameCapture capture) : INetQueue
{
    public FileDescriptor Poll => queue.Poll;

    public int Receive(ReadOnlySpan<IoVec> to) => Note(to, queue.Receive(to));

    public int Send(ReadOnlySpan<IoVec> from) => Note(from, queue.Send(from));

    public void Dispose() => queue.Dispose();

    /// <param name="packet">With its header.</param>
    /// <param name="length">Of the packet; negative: there was none.</param>
    private int Note(ReadOnlySpan<IoVec> packet, int length)
    {
        if (length > NetFrame.HeaderBytes)
            capture.Write(packet, (uint)NetFrame.HeaderBytes, Math.Min((uint)(length - NetFrame.HeaderBytes), NetFrame.MaxBytes));
        return length;
    }
}

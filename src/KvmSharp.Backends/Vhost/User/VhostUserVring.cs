using KvmSharp.Core;

namespace KvmSharp.Backends.Vhost.User;

/// <summary>What a back end was told about a vring, so that the next one can be told the same.</summary>
internal sealed class VhostUserVring
{
    public ushort Size { get; set; }

    public uint Position { get; set; }

    public VhostAreas Areas { get; set; }

    public EventFd? Kick { get; set; }

    public EventFd? Call { get; set; }

    public EventFd? Error { get; set; }

    public bool Running { get; set; }

    /// <summary>While it runs, the back end takes what is in it.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>A back end has it, or had it, so that <see cref="Position"/> is where it began.</summary>
    public bool Begun { get; set; }

    /// <summary>It was enabled since it began: a back end may have taken something.</summary>
    public bool Used { get; set; }

    /// <summary>It was stopped with nobody there: what is noted as in flight in it is not done.</summary>
    public bool Left { get; set; }

    /// <summary>The back end of this connection has it.</summary>
    public bool Told { get; set; }
}

namespace KvmSharp.Serve.Net;

/// <summary>What is behind a port that ends in this program.</summary>
internal enum NetPortKind
{
    Switch,
    Null,
}

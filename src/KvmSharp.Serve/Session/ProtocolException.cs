namespace KvmSharp.Serve.Session;

/// <summary>What a front end sent makes no sense; the connection ends.</summary>
internal sealed class ProtocolException(string message) : Exception(message);

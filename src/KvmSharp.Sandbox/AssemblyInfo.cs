using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("KvmSharp.Sandbox.Tests")]

using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("KvmSharp.Emulated.Tests")]
[assembly: InternalsVisibleTo("KvmSharp.Fuzz")]

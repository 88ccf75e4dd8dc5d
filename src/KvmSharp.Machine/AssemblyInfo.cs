using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("KvmSharp.Machine.Tests")]

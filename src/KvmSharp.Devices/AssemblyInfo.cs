using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("KvmSharp.Devices.Tests")]

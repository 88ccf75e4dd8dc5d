using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("KvmSharp.Virtio.Tests")]

namespace KvmSharp.Fuzz.Engine;

/// <summary>Saved inputs: a folder for each target, a file for each input.</summary>
internal sealed class Corpus(string root)
{
    private const string Extension = ".bin";

    internal IEnumerable<(string File, byte[] Input)> Load(string target)
    {
        string folder = Path.Combine(root, target);
        if (!Directory.Exists(folder))
            yield break;
        foreach (string file in Directory.EnumerateFiles(folder, "*" + Extension).Order(StringComparer.Ordinal))
            yield return (file, File.ReadAllBytes(file));
    }

    internal string Save(string target, string name, ReadOnlySpan<byte> input)
    {
        string folder = Path.Combine(root, target);
        Directory.CreateDirectory(folder);
        string file = Path.Combine(folder, name + Extension);
        File.WriteAllBytes(file, input);
        return file;
    }
}

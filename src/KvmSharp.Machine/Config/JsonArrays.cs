using System.Text.Json;

namespace KvmSharp.Machine.Config;

/// <summary>The form that options which can be given several times have in a configuration file.</summary>
internal static class JsonArrays
{
    /// <summary>Writes an array of objects, or nothing where there are none.</summary>
    public static void WriteObjects<T>(this Utf8JsonWriter writer, string name, IEnumerable<T> items, Action<T> writeKeys)
    {
        bool started = false;
        foreach (T item in items)
        {
            if (!started)
                writer.WriteStartArray(name);
            started = true;
            writer.WriteStartObject();
            writeKeys(item);
            writer.WriteEndObject();
        }

        if (started)
            writer.WriteEndArray();
    }
}

using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Federation.Privacy.Canonical;

/// <summary>JSON on one line, as it is stored, hashed and exported: no blanks, no needless escapes.</summary>
internal static class JsonLine
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string Write(Action<Utf8JsonWriter> write)
    {
        using MemoryStream stream = new();
        using (Utf8JsonWriter json = new(stream, s_options)) write(json);
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    /// <summary>Numbers, ∞ as the text "Infinity".</summary>
    public static void WriteNumbers(this Utf8JsonWriter json, string name, IEnumerable<double> values)
    {
        json.WriteStartArray(name);
        foreach (double value in values)
        {
            if (double.IsPositiveInfinity(value)) json.WriteStringValue("Infinity");
            else json.WriteNumberValue(value);
        }

        json.WriteEndArray();
    }
}

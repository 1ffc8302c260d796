using System.Globalization;
using System.Text;
using System.Text.Json;
using Federation.Formats;

namespace Federation.Cli.Verbs;

/// <summary>A JSON text and on which line each of its values stands: <c>events[2].count</c>.</summary>
internal sealed class JsonPlaces : IDisposable
{
    private readonly Dictionary<string, int> _lines = [];
    private readonly JsonDocument _document;

    private JsonPlaces(JsonDocument document) => _document = document;

    public JsonElement Root => _document.RootElement;

    /// <exception cref="InvalidInputException">The text is no JSON; names the line.</exception>
    public static JsonPlaces Parse(string text, string file, string rootPath = "")
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text.TrimStart('\uFEFF'));
        try
        {
            JsonPlaces places = new(JsonDocument.Parse(bytes));
            places.Walk(bytes, rootPath);
            return places;
        }
        catch (JsonException error)
        {
            throw new InvalidInputException(new Problem("This is no JSON: " + error.Message.Split(" LineNumber:")[0].TrimEnd('.') + ".", file, (int)(error.LineNumber ?? 0) + 1));
        }
    }

    /// <summary>1-based; the nearest value around it, where the path itself is not there.</summary>
    public int LineOf(string path)
    {
        while (true)
        {
            if (_lines.TryGetValue(path, out int line)) return line;
            int end = Math.Max(path.LastIndexOf('.'), path.LastIndexOf('['));
            if (end < 0) return _lines.GetValueOrDefault("", 1);
            path = path[..end];
        }
    }

    public void Dispose() => _document.Dispose();

    private void Walk(byte[] bytes, string rootPath)
    {
        Utf8JsonReader reader = new(bytes);
        Stack<(string Path, int Index)> open = new(); // Index: of the next element; −1 in an object
        string name = rootPath;
        int line = 1, counted = 0;
        while (reader.Read())
        {
            for (; counted < reader.TokenStartIndex; counted++) if (bytes[counted] == '\n') line++;
            switch (reader.TokenType)
            {
                case JsonTokenType.PropertyName:
                    string prefix = open.Peek().Path;
                    name = (prefix.Length > 0 ? prefix + "." : "") + reader.GetString();
                    _lines.TryAdd(name, line);
                    continue;
                case JsonTokenType.EndArray or JsonTokenType.EndObject:
                    open.Pop();
                    continue;
            }

            if (open.TryPeek(out (string Path, int Index) around) && around.Index >= 0)
            {
                name = string.Create(CultureInfo.InvariantCulture, $"{around.Path}[{around.Index}]");
                open.Pop();
                open.Push((around.Path, around.Index + 1));
            }

            _lines.TryAdd(name, line);
            if (reader.TokenType == JsonTokenType.StartArray) open.Push((name, 0));
            if (reader.TokenType == JsonTokenType.StartObject) open.Push((name, -1));
        }
    }
}

using System.Globalization;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Federation.Formats.Yaml;

/// <summary>A value of a YAML document with the line it stands on.</summary>
internal abstract record YamlValue(int Line);

internal sealed record YamlScalar(string Text, bool Quoted, int Line) : YamlValue(Line)
{
    /// <summary>An empty value, <c>~</c> or <c>null</c>.</summary>
    public bool IsNull => !Quoted && Text is "" or "~" or "null";
}

internal sealed record YamlList(IReadOnlyList<YamlValue> Items, int Line) : YamlValue(Line);

internal sealed record YamlMap(IReadOnlyList<KeyValuePair<string, YamlValue>> Fields, int Line) : YamlValue(Line);

/// <summary>Reads one YAML document into values with lines. Refuses what configuration files do not need and hostile ones use: anchors, aliases, tags, deep nesting, duplicate keys, several documents.</summary>
internal static class YamlReader
{
    private const int DeepestNesting = 16, LongestFile = 1 << 20;

    /// <exception cref="InvalidInputException">The text is no such document; names file and line.</exception>
    public static YamlMap Read(string yaml, string file)
    {
        if (yaml.Length > LongestFile) throw Wrong(file, null, $"has {yaml.Length} characters; at most {LongestFile} are allowed.");
        try
        {
            var parser = new Parser(new StringReader(yaml));
            parser.Consume<StreamStart>();
            if (parser.Accept<StreamEnd>(out _)) throw Wrong(file, 1, "is empty.");
            parser.Consume<DocumentStart>();
            YamlValue root = ReadValue(parser, file, 0);
            parser.Consume<DocumentEnd>();
            if (!parser.Accept<StreamEnd>(out _)) throw Wrong(file, (int)parser.Current!.Start.Line, "holds more than one document; one is right.");
            return root as YamlMap ?? throw Wrong(file, root.Line, "holds no fields; lines of the form 'name: value' are right.");
        }
        catch (YamlException error)
        {
            throw Wrong(file, (int)error.Start.Line, $"is no YAML: {error.Message}");
        }
        catch (Exception error) when (error is InvalidOperationException or ArgumentException)
        {
            throw Wrong(file, null, $"is no YAML: {error.Message}"); // the scanner's own confusion over broken documents
        }
    }

    private static YamlValue ReadValue(IParser parser, string file, int depth)
    {
        ParsingEvent current = parser.Current ?? throw Wrong(file, null, "ends too early.");
        int line = (int)current.Start.Line;
        if (depth > DeepestNesting) throw Wrong(file, line, $"is nested more than {DeepestNesting} deep.");
        if (current is AnchorAlias or NodeEvent { Anchor.IsEmpty: false }) throw Wrong(file, line, "uses an anchor or alias ('&', '*'); write the value out.");
        if (current is NodeEvent { Tag.IsEmpty: false }) throw Wrong(file, line, "uses a tag ('!'); plain values are right.");
        switch (current)
        {
            case Scalar scalar:
                parser.MoveNext();
                return new YamlScalar(scalar.Value, scalar.Style != ScalarStyle.Plain, line);
            case SequenceStart:
                parser.MoveNext();
                List<YamlValue> items = [];
                while (!parser.TryConsume<SequenceEnd>(out _)) items.Add(ReadValue(parser, file, depth + 1));
                return new YamlList(items, line);
            case MappingStart:
                parser.MoveNext();
                return ReadMap(parser, file, depth, line);
            default:
                throw Wrong(file, line, "holds something that is no value.");
        }
    }

    private static YamlMap ReadMap(IParser parser, string file, int depth, int line)
    {
        List<KeyValuePair<string, YamlValue>> fields = [];
        HashSet<string> names = [];
        while (!parser.TryConsume<MappingEnd>(out _))
        {
            YamlValue key = ReadValue(parser, file, depth + 1);
            if (key is not YamlScalar { Text: var name }) throw Wrong(file, key.Line, "has a field whose name is no text.");
            if (!names.Add(name)) throw new InvalidInputException(new Problem("stands twice.", file, key.Line, name, "Keep one of them."));
            YamlValue value = ReadValue(parser, file, depth + 1);
            fields.Add(new(name, value is YamlScalar { Text: "" } ? value with { Line = key.Line } : value));
        }

        return new YamlMap(fields, line);
    }

    private static InvalidInputException Wrong(string file, int? line, string message) => new(new Problem("The file " + message, file, line));
}

/// <summary>Numbers and lengths of time as configuration files write them.</summary>
internal static class YamlText
{
    public static bool TryNumber(string text, out double value) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out value) && double.IsFinite(value);

    public static bool TryInteger(string text, out long value) =>
        long.TryParse(text.Replace("_", "", StringComparison.Ordinal), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value);

    /// <summary>A positive whole number with s, m or h behind it; with <paramref name="days"/> also d.</summary>
    public static TimeSpan? Duration(string text, bool days = false)
    {
        if (text.Length < 2 || !long.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out long count) || count > 1_000_000) return null;
        return text[^1] switch
        {
            's' => TimeSpan.FromSeconds(count),
            'm' => TimeSpan.FromMinutes(count),
            'h' => TimeSpan.FromHours(count),
            'd' when days => TimeSpan.FromDays(count),
            _ => null,
        };
    }
}

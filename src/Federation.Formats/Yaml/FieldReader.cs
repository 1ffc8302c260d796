using System.Globalization;

namespace Federation.Formats.Yaml;

/// <summary>
/// Takes the fields of one map by name, collects every problem instead of stopping at the first, and at the end names the fields that nobody took.
/// A value that is wrong is replaced by a harmless one; the caller throws before anybody sees it.
/// </summary>
internal sealed class FieldReader
{
    private readonly YamlMap _map;
    private readonly string _file, _path;
    private readonly List<Problem> _problems;
    private readonly List<string> _known = [];

    public FieldReader(YamlMap map, string file, List<Problem> problems, string path = "") =>
        (_map, _file, _problems, _path) = (map, file, problems, path);

    public int Line => _map.Line;

    /// <summary>Every field name asked for so far; the published JSON schemas are compared with it.</summary>
    public IReadOnlyList<string> Known => _known;

    /// <summary>Called once for each map that was read, with its path and the names it knows. Tests compare them with the JSON schemas.</summary>
    [ThreadStatic]
    internal static Action<string, IReadOnlyList<string>>? Observer;

    public bool Has(string name) => Find(name) is not null;

    public string Text(string name, string? fallback = null)
    {
        if (Find(name) is not { } value) return fallback ?? Missing(name, "");
        return value is YamlScalar { IsNull: false } scalar ? scalar.Text : Wrong(value, name, $"{Show(value)} is no text.", "");
    }

    public string? OptionalText(string name) => Has(name) ? Text(name) : null;

    /// <param name="rule">What the text must be, for the message.</param>
    public string Text(string name, Func<string, bool> valid, string rule)
    {
        if (Find(name) is not { } value) return Missing(name, "");
        string text = Text(name);
        return valid(text) ? text : Wrong(value, name, $"'{text}' is not allowed; {rule}.", "");
    }

    public long Integer(string name, long low, long high, long? fallback = null)
    {
        if (Find(name) is not { } value) return fallback ?? Missing(name, low);
        return value is YamlScalar scalar && YamlText.TryInteger(scalar.Text, out long number) && number >= low && number <= high
            ? number
            : Wrong(value, name, string.Create(CultureInfo.InvariantCulture, $"{Show(value)} is not allowed; a whole number from {low} to {high} is right."), low);
    }

    public ulong Unsigned(string name)
    {
        if (Find(name) is not { } value) return Missing(name, 0UL);
        return value is YamlScalar scalar && ulong.TryParse(scalar.Text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong number)
            ? number
            : Wrong(value, name, $"{Show(value)} is not allowed; a whole number from 0 to {ulong.MaxValue} is right.", 0UL);
    }

    /// <param name="rule">The interval, for the message: "in (0, 1000]".</param>
    public double Number(string name, Func<double, bool> valid, string rule, double? fallback = null)
    {
        if (Find(name) is not { } value) return fallback ?? Missing(name, 1.0);
        return value is YamlScalar scalar && YamlText.TryNumber(scalar.Text, out double number) && valid(number)
            ? number
            : Wrong(value, name, $"{Show(value)} is not allowed; a number {rule} is right.", fallback ?? 1.0);
    }

    public bool Boolean(string name, bool fallback)
    {
        if (Find(name) is not { } value) return fallback;
        return value switch
        {
            YamlScalar { Text: "true" } => true,
            YamlScalar { Text: "false" } => false,
            _ => Wrong(value, name, $"{Show(value)} is not allowed; true or false is right.", fallback),
        };
    }

    public TimeSpan Duration(string name, TimeSpan low, TimeSpan high)
    {
        if (Find(name) is not { } value) return Missing(name, low);
        return value is YamlScalar scalar && YamlText.Duration(scalar.Text) is { } duration && duration >= low && duration <= high
            ? duration
            : Wrong(value, name, $"{Show(value)} is not allowed; a length of time such as 30s, 10m or 2h is right, up to 168h.", low);
    }

    /// <summary>As above, in days too, and optional.</summary>
    /// <param name="rule">What is right, for the message.</param>
    public TimeSpan Duration(string name, TimeSpan low, TimeSpan high, string rule, TimeSpan fallback)
    {
        if (Find(name) is not { } value) return fallback;
        return value is YamlScalar scalar && YamlText.Duration(scalar.Text, days: true) is { } duration && duration >= low && duration <= high
            ? duration
            : Wrong(value, name, $"{Show(value)} is not allowed; {rule} is right.", fallback);
    }

    /// <summary>One of a few words.</summary>
    public T Choice<T>(string name, IReadOnlyDictionary<string, T> choices, T? fallback = null)
        where T : struct
    {
        if (Find(name) is not { } value) return fallback ?? Missing(name, choices.Values.First());
        if (value is YamlScalar scalar && choices.TryGetValue(scalar.Text, out T choice)) return choice;
        Add(value.Line, name, $"{Show(value)} is not known.", Nearest.Repair(value is YamlScalar { Text: var text } ? text : "", [.. choices.Keys]));
        return choices.Values.First();
    }

    /// <summary>A list of texts; a single text counts as a list of one.</summary>
    public IReadOnlyList<string> Texts(string name)
    {
        switch (Find(name))
        {
            case null: return [];
            case YamlScalar { IsNull: false } scalar: return [scalar.Text];
            case YamlList list when list.Items.All(item => item is YamlScalar): return [.. list.Items.Cast<YamlScalar>().Select(item => item.Text)];
            case var value: return Wrong<IReadOnlyList<string>>(value, name, $"{Show(value)} is no list of texts.", []);
        }
    }

    public IReadOnlyList<YamlValue> List(string name, bool required)
    {
        switch (Find(name))
        {
            case null: return required ? Missing<IReadOnlyList<YamlValue>>(name, []) : [];
            case YamlList list: return list.Items;
            case var value: return Wrong<IReadOnlyList<YamlValue>>(value, name, $"{Show(value)} is no list.", []);
        }
    }

    /// <summary>A nested map; null where it is absent or no map (then the problem is noted).</summary>
    public FieldReader? Map(string name, bool required)
    {
        switch (Find(name))
        {
            case null:
                if (required) Missing(name, 0);
                return null;
            case YamlMap map: return new FieldReader(map, _file, _problems, PathOf(name));
            case var value:
                Wrong(value, name, $"{Show(value)} has no fields; write them as {{ name: value }}.", 0);
                return null;
        }
    }

    /// <summary>An entry of a list as a map.</summary>
    public FieldReader? Entry(string name, int index, YamlValue value)
    {
        string path = string.Create(CultureInfo.InvariantCulture, $"{PathOf(name)}[{index}]");
        if (value is YamlMap map) return new FieldReader(map, _file, _problems, path);
        _problems.Add(new Problem($"{Show(value)} has no fields; write them as {{ name: value }}.", _file, value.Line, path));
        return null;
    }

    /// <summary>The value of a field, to be read by the caller.</summary>
    public YamlValue? Value(string name) => Find(name);

    /// <summary>Notes a problem with a field that is there, or with the map itself.</summary>
    public void Add(string name, string message, string? repair = null) => Add(Find(name)?.Line ?? _map.Line, name, message, repair);

    /// <summary>Names every field that nobody asked for. Call it last.</summary>
    public void Close()
    {
        foreach ((string name, YamlValue value) in _map.Fields)
        {
            if (!_known.Contains(name)) Add(value.Line, name, "is no known field.", Nearest.Repair(name, _known));
        }

        Observer?.Invoke(_path, _known);
    }

    public static string Show(YamlValue value) => value switch
    {
        YamlScalar { IsNull: true } => "An empty value",
        YamlScalar scalar => $"'{(scalar.Text.Length <= 60 ? scalar.Text : scalar.Text[..60] + "…")}'",
        YamlList => "A list",
        _ => "A group of fields",
    };

    private YamlValue? Find(string name)
    {
        if (!_known.Contains(name)) _known.Add(name);
        foreach ((string key, YamlValue value) in _map.Fields)
        {
            if (key == name) return value;
        }

        return null;
    }

    private string PathOf(string name) => _path.Length == 0 ? name : $"{_path}.{name}";

    private void Add(int line, string name, string message, string? repair = null) => _problems.Add(new Problem(message, _file, line, PathOf(name), repair));

    private T Missing<T>(string name, T harmless)
    {
        Add(_map.Line, name, "is missing.");
        return harmless;
    }

    private T Wrong<T>(YamlValue value, string name, string message, T harmless)
    {
        Add(value.Line, name, message);
        return harmless;
    }
}

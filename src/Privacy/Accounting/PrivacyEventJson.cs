using System.Globalization;
using System.Text.Json;
using Federation.Privacy.Canonical;

namespace Federation.Privacy.Accounting;

/// <summary>Privacy events as JSON: <c>[ {"mechanism":"gaussian","noiseMultiplier":1.1,"samplingRate":0.01,"count":1000} ]</c>. Unknown fields are errors; numbers come back to the same double.</summary>
public static class PrivacyEventJson
{
    // The fields of each mechanism; those with a default in brackets.
    private static readonly Dictionary<string, string[]> s_fields = new()
    {
        ["gaussian"] = ["noiseMultiplier", "[samplingRate]"],
        ["laplace"] = ["scale", "sensitivity", "[samplingRate]"],
        ["discrete-gaussian"] = ["variance", "sensitivity", "[samplingRate]"],
        ["discrete-laplace"] = ["parameter", "sensitivity", "[samplingRate]"],
        ["randomized-response"] = ["noiseParameter", "categories"],
        ["non-private"] = [],
        ["renyi"] = ["divergences"],
    };

    private static readonly string[] s_common = ["mechanism", "count", "statisticalDistance"];

    /// <param name="events">A JSON array.</param>
    /// <param name="path">What the array is called in error messages.</param>
    /// <exception cref="EventFormatException">The first thing that is wrong.</exception>
    public static IReadOnlyList<PrivacyEvent> Read(JsonElement events, string path = "events")
    {
        if (events.ValueKind != JsonValueKind.Array) throw new EventFormatException(path, $"This is {Describe(events)}; an array of events is right.");
        List<PrivacyEvent> read = [];
        foreach (JsonElement one in events.EnumerateArray()) read.Add(ReadOne(one, string.Create(CultureInfo.InvariantCulture, $"{path}[{read.Count}]")));
        return read;
    }

    /// <summary>The events as one line of JSON: fields in a fixed order, shortest numbers, defaults left out.</summary>
    /// <exception cref="UnsupportedEventException">The event has no JSON form.</exception>
    public static string Write(IEnumerable<PrivacyEvent> events) => JsonLine.Write(json => Write(json, events));

    /// <summary>The events as a JSON array.</summary>
    /// <exception cref="UnsupportedEventException">The event has no JSON form.</exception>
    public static void Write(Utf8JsonWriter json, IEnumerable<PrivacyEvent> events)
    {
        json.WriteStartArray();
        foreach (PrivacyEvent one in events) WriteFlat(json, one, 1, 0);
        json.WriteEndArray();
    }

    private static PrivacyEvent ReadOne(JsonElement one, string path)
    {
        if (one.ValueKind != JsonValueKind.Object) throw new EventFormatException(path, $"This is {Describe(one)}; an object with a mechanism is right.");
        if (!one.TryGetProperty("mechanism", out JsonElement name)) throw new EventFormatException($"{path}.mechanism", $"The mechanism is missing; {OneOf(s_fields.Keys)} is right.");
        if (name.ValueKind != JsonValueKind.String || !s_fields.TryGetValue(name.GetString()!, out string[]? own)) throw new EventFormatException($"{path}.mechanism", $"{Describe(name)} is no known mechanism; {OneOf(s_fields.Keys)} is right.", name.ValueKind == JsonValueKind.String ? name.GetString() : null, [.. s_fields.Keys]);
        Fields fields = new(one, path, [.. s_common, .. own.Select(field => field.Trim('[', ']'))]);
        foreach (string field in own)
        {
            if (field[0] != '[' && !fields.Has(field)) throw new EventFormatException($"{path}.{field}", $"The field {field} is missing; a {name.GetString()} event needs it.");
        }

        try
        {
            PrivacyEvent exact = name.GetString() switch
            {
                "gaussian" => new GaussianEvent(fields.Checked("noiseMultiplier", value => new NoiseMultiplier(value)), fields.Rate()),
                "laplace" => new LaplaceEvent(fields.Number("scale"), fields.Number("sensitivity"), fields.Rate().Value),
                "discrete-gaussian" => new DiscreteGaussianEvent(fields.Number("variance"), fields.Integer("sensitivity"), fields.Rate().Value),
                "discrete-laplace" => new DiscreteLaplaceEvent(fields.Number("parameter"), fields.Integer("sensitivity"), fields.Rate().Value),
                "randomized-response" => new RandomizedResponseEvent(fields.Number("noiseParameter"), (int)Math.Min(fields.Integer("categories"), int.MaxValue)),
                "renyi" => new RenyiEvent(fields.Numbers("divergences")),
                _ => new NonPrivateEvent(),
            };
            double distance = fields.Number("statisticalDistance", 0);
            if (distance != 0) exact = new InexactEvent(exact, distance);
            long count = fields.Integer("count", 1);
            return count == 1 ? exact : new RepeatedEvent(exact, count);
        }
        catch (ArgumentException error)
        {
            // The constructors' parameters are called as the fields are.
            throw new EventFormatException($"{path}.{error.ParamName}", Sentence(error));
        }
    }

    /// <summary>What a constructor refused, without .NET's own additions.</summary>
    private static string Sentence(ArgumentException error)
    {
        string message = error.Message.Split(" (Parameter")[0];
        return error is ArgumentOutOfRangeException { ActualValue: { } value } ? string.Create(CultureInfo.InvariantCulture, $"{value} is not possible. {message}") : message;
    }

    private static void WriteFlat(Utf8JsonWriter json, PrivacyEvent one, long count, double distance)
    {
        switch (one)
        {
            case RepeatedEvent repeated:
                if (count > long.MaxValue / repeated.Count) throw new OverflowException("An event is repeated more than 9.2e18 times.");
                WriteFlat(json, repeated.Event, count * repeated.Count, distance);
                return;
            case InexactEvent inexact:
                WriteFlat(json, inexact.Exact, count, distance + inexact.StatisticalDistance);
                return;
            case ComposedEvent composed when distance == 0:
                foreach (PrivacyEvent part in composed.Events) WriteFlat(json, part, count, 0);
                return;
        }

        json.WriteStartObject();
        switch (one)
        {
            case GaussianEvent gaussian:
                json.WriteString("mechanism", "gaussian");
                json.WriteNumber("noiseMultiplier", gaussian.NoiseMultiplier.Value);
                Rate(gaussian.SamplingRate);
                break;
            case LaplaceEvent laplace:
                json.WriteString("mechanism", "laplace");
                json.WriteNumber("scale", laplace.Scale);
                json.WriteNumber("sensitivity", laplace.Sensitivity);
                Rate(laplace.SamplingRate);
                break;
            case DiscreteGaussianEvent discrete:
                json.WriteString("mechanism", "discrete-gaussian");
                json.WriteNumber("variance", discrete.Variance);
                json.WriteNumber("sensitivity", discrete.Sensitivity);
                Rate(discrete.SamplingRate);
                break;
            case DiscreteLaplaceEvent { Parameter: < double.PositiveInfinity } discrete:
                json.WriteString("mechanism", "discrete-laplace");
                json.WriteNumber("parameter", discrete.Parameter);
                json.WriteNumber("sensitivity", discrete.Sensitivity);
                Rate(discrete.SamplingRate);
                break;
            case RandomizedResponseEvent response:
                json.WriteString("mechanism", "randomized-response");
                json.WriteNumber("noiseParameter", response.NoiseParameter);
                json.WriteNumber("categories", response.Categories);
                break;
            case RenyiEvent renyi:
                json.WriteString("mechanism", "renyi");
                json.WriteNumbers("divergences", renyi.Divergences);
                break;
            case NonPrivateEvent or DiscreteLaplaceEvent:
                json.WriteString("mechanism", "non-private");
                break;
            default:
                throw new UnsupportedEventException($"A {one.GetType().Name} has no JSON form.");
        }

        if (count != 1) json.WriteNumber("count", count);
        if (distance != 0) json.WriteNumber("statisticalDistance", distance);
        json.WriteEndObject();

        void Rate(SamplingRate rate)
        {
            if (rate.Value != 1) json.WriteNumber("samplingRate", rate.Value);
        }
    }

    private static string OneOf(IEnumerable<string> names) => string.Join(", ", names.SkipLast(1)) + " or " + names.Last();

    private static string Describe(JsonElement value)
    {
        string text = value.GetRawText().ReplaceLineEndings(" ");
        return text.Length <= 60 ? text : text[..60] + "…";
    }

    /// <summary>The fields of one object; each is known and there once.</summary>
    private sealed class Fields
    {
        private readonly Dictionary<string, JsonElement> _values = [];
        private readonly string _path;

        public Fields(JsonElement one, string path, IReadOnlyList<string> known)
        {
            _path = path;
            foreach (JsonProperty property in one.EnumerateObject())
            {
                if (!known.Contains(property.Name)) throw new EventFormatException($"{path}.{property.Name}", $"This is no known field; {OneOf(known)} is right.", property.Name, known);
                if (!_values.TryAdd(property.Name, property.Value)) throw new EventFormatException($"{path}.{property.Name}", "This field is there twice.");
            }
        }

        public bool Has(string field) => _values.ContainsKey(field);

        public double Number(string field, double? fallback = null) => _values.TryGetValue(field, out JsonElement found) ? Number(found, field) : fallback!.Value;

        public SamplingRate Rate() => Checked("samplingRate", value => new SamplingRate(value), 1);

        public T Checked<T>(string field, Func<double, T> make, double? fallback = null)
        {
            try
            {
                return make(Number(field, fallback));
            }
            catch (ArgumentOutOfRangeException error)
            {
                throw new EventFormatException($"{_path}.{field}", Sentence(error));
            }
        }

        public long Integer(string field, long? fallback = null)
        {
            if (!_values.TryGetValue(field, out JsonElement found)) return fallback!.Value;
            if (found.ValueKind == JsonValueKind.Number && found.TryGetInt64(out long whole)) return whole;
            // 1000.0 and 1e3 are whole too, as far as a double holds every integer.
            if (found.ValueKind == JsonValueKind.Number && found.GetDouble() is >= -9007199254740992 and <= 9007199254740992 and double value && value == Math.Floor(value)) return (long)value;
            throw new EventFormatException($"{_path}.{field}", $"{Describe(found)} is no integer in 1 … 9223372036854775807.");
        }

        public IEnumerable<double> Numbers(string field)
        {
            if (_values[field].ValueKind != JsonValueKind.Array) throw new EventFormatException($"{_path}.{field}", $"This is {Describe(_values[field])}; an array of numbers is right.");
            return [.. _values[field].EnumerateArray().Select(one => one.ValueKind == JsonValueKind.String && one.GetString() == "Infinity" ? double.PositiveInfinity : Number(one, field))];
        }

        private double Number(JsonElement found, string field) =>
            found.ValueKind == JsonValueKind.Number && found.TryGetDouble(out double value) && double.IsFinite(value) ? value : throw new EventFormatException($"{_path}.{field}", $"{Describe(found)} is no finite number.");
    }
}

/// <summary>JSON that describes no privacy event; says where and what would be right.</summary>
/// <param name="field">The path of the field: <c>events[2].noiseMultiplier</c>.</param>
public sealed class EventFormatException(string field, string message, string? unknown = null, IReadOnlyList<string>? known = null) : FormatException(message)
{
    public string Field { get; } = field;

    /// <summary>A name that is not known, where that is what is wrong, and the names that are.</summary>
    public string? UnknownName { get; } = unknown;

    public IReadOnlyList<string> KnownNames { get; } = known ?? [];
}

using System.Globalization;
using System.Text.Json;
using Federation.Formats;
using Federation.Privacy.Accounting;
using Federation.Privacy.Ledger;

namespace Federation.Cli.Verbs;

/// <summary>A question to an accountant, as a file or a line of a batch puts it.</summary>
/// <param name="Events">As many as the array has entries; each may be repeated.</param>
internal sealed record PrivacyCase(IReadOnlyList<PrivacyEvent> Events, double Delta, IPrivacyAccountant Accountant, NeighboringRelation Relation)
{
    private static readonly string[] s_fields = ["id", "delta", "accountant", "relation", "events"];

    public static IReadOnlyDictionary<string, Func<IPrivacyAccountant>> Accountants { get; } = new Dictionary<string, Func<IPrivacyAccountant>>
    {
        ["pld"] = () => new PldAccountant(),
        ["rdp"] = () => new RdpAccountant(),
        ["rdp-continuous"] = () => new ContinuousRdpAccountant(),
    };

    /// <exception cref="ArgumentOutOfRangeException">An event is repeated more often than a 64-bit count holds.</exception>
    public double Epsilon()
    {
        try
        {
            return Accountant.AtDelta(Events, Delta, Relation).Epsilon;
        }
        catch (Exception error) when (error is OverflowException or UnsupportedEventException)
        {
            throw new InvalidInputException(new Problem(error.Message, Field: "events"));
        }
    }

    /// <exception cref="InvalidInputException">It is none of the three.</exception>
    public static IPrivacyAccountant AccountantOf(string name, string field = "accountant") => Accountants.TryGetValue(name, out var make)
        ? make()
        : throw new InvalidInputException(new Problem($"'{name}' is no accountant.", Field: field, Repair: Nearest.Repair(name, [.. Accountants.Keys])));

    /// <exception cref="InvalidInputException">It is none of the two.</exception>
    public static NeighboringRelation RelationOf(string name, string field = "relation") => LedgerNames.Relations.TryGetValue(name, out NeighboringRelation relation)
        ? relation
        : throw new InvalidInputException(new Problem($"'{name}' is no neighbouring relation.", Field: field, Repair: Nearest.Repair(name, [.. LedgerNames.Relations.Keys])));

    /// <exception cref="InvalidInputException">It is not in (0, 1).</exception>
    public static double DeltaOf(double value, string field = "delta") =>
        value is > 0 and < 1 ? value : throw new InvalidInputException(new Problem(string.Create(CultureInfo.InvariantCulture, $"δ = {value} is not possible."), Field: field, Repair: "A number in (0, 1) is right, such as 1e-5."));

    /// <exception cref="InvalidInputException">The first thing that is wrong: file, line, field.</exception>
    public static IReadOnlyList<PrivacyEvent> ReadEvents(JsonPlaces json, JsonElement events, string path, string file)
    {
        try
        {
            return PrivacyEventJson.Read(events, path);
        }
        catch (EventFormatException error)
        {
            throw new InvalidInputException(new Problem(error.Message, file, json.LineOf(error.Field), error.Field, error.UnknownName is { } unknown && Nearest.Match(unknown, error.KnownNames) is { } near ? $"Did you mean '{near}'?" : null));
        }
    }

    /// <summary>One line of a batch: <c>{"id":…,"delta":…,"accountant":…,"events":[…]}</c>.</summary>
    /// <param name="delta">For a line that names none, as the two after it; null: each must.</param>
    /// <returns>The id as it stands there, and the case or what is wrong with it.</returns>
    public static (JsonElement? Id, PrivacyCase? Case, string? Error) ReadLine(string line, double? delta, string accountant, string relation)
    {
        JsonElement? id = null;
        try
        {
            using JsonPlaces json = JsonPlaces.Parse(line, "");
            if (json.Root.ValueKind != JsonValueKind.Object) return (null, null, "The line is no JSON object.");
            if (json.Root.TryGetProperty("id", out JsonElement named)) id = named.Clone();
            HashSet<string> seen = [];
            foreach (JsonProperty property in json.Root.EnumerateObject())
            {
                if (!s_fields.Contains(property.Name)) return (id, null, $"{property.Name}: This is no known field. {Nearest.Repair(property.Name, s_fields)}");
                if (!seen.Add(property.Name)) return (id, null, $"{property.Name}: This field is there twice.");
            }

            if (id is null) return (null, null, "id: The field is missing.");
            if (json.Root.TryGetProperty("delta", out JsonElement given)) delta = given.ValueKind == JsonValueKind.Number ? given.GetDouble() : throw Wrong("delta", given, "a number in (0, 1)");
            if (delta is null) return (id, null, "delta: The field is missing.");
            if (json.Root.TryGetProperty("accountant", out given)) accountant = given.ValueKind == JsonValueKind.String ? given.GetString()! : throw Wrong("accountant", given, "pld, rdp or rdp-continuous");
            if (json.Root.TryGetProperty("relation", out given)) relation = given.ValueKind == JsonValueKind.String ? given.GetString()! : throw Wrong("relation", given, "add-or-remove-one or replace-one");
            if (!json.Root.TryGetProperty("events", out JsonElement events)) return (id, null, "events: The field is missing.");
            return (id, new PrivacyCase(ReadEvents(json, events, "events", ""), DeltaOf(delta.Value), AccountantOf(accountant), RelationOf(relation)), null);
        }
        catch (InvalidInputException error)
        {
            return (id, null, Sentence(error));
        }
    }

    /// <summary>A problem without file and line, which a batch's answer does not need.</summary>
    public static string Sentence(InvalidInputException error) => (error.Problems[0] with { File = null, Line = null }).ToString();

    private static InvalidInputException Wrong(string field, JsonElement value, string right) => new(new Problem($"This is {value.GetRawText()}; {right} is right.", Field: field));
}

using Federation.Formats.Yaml;

namespace Federation.Formats.Runs;

/// <summary>Reads <c>partition</c> of a simulation: a kind, and what it takes.</summary>
internal static class PartitionReader
{
    private const int MostShards = 10_000, MostLeast = 1_000_000;

    private static readonly Dictionary<string, PartitionKind> Kinds = new()
    {
        ["iid"] = PartitionKind.Iid,
        ["dirichlet"] = PartitionKind.Dirichlet,
        ["dirichlet-by-label"] = PartitionKind.DirichletByLabel,
        ["shards"] = PartitionKind.Shards,
        ["quantity"] = PartitionKind.Quantity,
        ["power-law"] = PartitionKind.PowerLaw,
        ["noise"] = PartitionKind.Noise,
        ["rotation"] = PartitionKind.Rotation,
        ["natural"] = PartitionKind.Natural,
        ["file"] = PartitionKind.File,
    };

    private static readonly (string Field, PartitionKind[] Kinds)[] s_owners =
    [
        ("alpha", [PartitionKind.Dirichlet, PartitionKind.DirichletByLabel, PartitionKind.Quantity]),
        ("exponent", [PartitionKind.PowerLaw]),
        ("shardsPerClient", [PartitionKind.Shards]),
        ("level", [PartitionKind.Noise]),
        ("degrees", [PartitionKind.Rotation]),
        ("column", [PartitionKind.Natural]),
        ("path", [PartitionKind.File]),
    ];

    /// <param name="fields">The map that has the field <c>partition</c>.</param>
    public static PartitionSpec Read(FieldReader fields) => fields.Map("partition", required: false) is { } partition ? ReadMap(partition) : PartitionSpec.Iid;

    public static PartitionSpec ReadMap(FieldReader map)
    {
        PartitionKind kind = map.Choice("kind", Kinds);
        var spec = new PartitionSpec(kind, (int)map.Integer("minExamples", 1, MostLeast, 1))
        {
            Alpha = Number(map, "alpha", kind, value => value is > 0 and <= 1e6, "in (0, 1000000]"),
            Exponent = Number(map, "exponent", kind, value => value is > 0 and <= 10, "in (0, 10]"),
            ShardsPerClient = (int)map.Integer("shardsPerClient", 1, MostShards, 2),
            Level = Number(map, "level", kind, value => value is > 0 and <= 1000, "in (0, 1000]"),
            Degrees = Number(map, "degrees", kind, value => value is > 0 and <= 360, "in (0, 360]"),
            Column = Text(map, "column", kind),
            Path = Text(map, "path", kind),
        };
        foreach ((string field, PartitionKind[] owners) in s_owners.Where(owner => map.Has(owner.Field) && !owner.Kinds.Contains(kind)))
        {
            map.Add(field, $"belongs to kind: {string.Join(" or ", Kinds.Where(entry => owners.Contains(entry.Value)).Select(entry => entry.Key))}.", "Remove it.");
        }

        map.Close();
        return spec;
    }

    private static bool Belongs(string field, PartitionKind kind) => s_owners.Any(owner => owner.Field == field && owner.Kinds.Contains(kind));

    private static double Number(FieldReader map, string name, PartitionKind kind, Func<double, bool> valid, string rule) => map.Number(name, valid, rule, Belongs(name, kind) ? null : 0);

    private static string? Text(FieldReader map, string name, PartitionKind kind) => Belongs(name, kind) ? map.Text(name) : map.OptionalText(name);
}

namespace Federation.Formats.Data;

/// <summary>What a table holds: public knowledge that all sites share, never derived from records.</summary>
public sealed partial record DataSchema
{
    /// <summary>The data set's id: a node answers with the entry of its <c>node.yaml</c> that has this id.</summary>
    public required string Name { get; init; }

    /// <summary>Of the records, changed whenever they change: statistics are opened once for each query and version. Null: none is kept.</summary>
    public string? Version { get; init; }

    /// <summary>The first line of a file names its columns (in any order); false: no such line, columns in this order.</summary>
    public bool Header { get; init; } = true;

    /// <summary>One character between fields.</summary>
    public char Separator { get; init; } = ',';

    /// <summary>Share of rows held out where the site supplies no split file, in [0, 1): by a hash of the row's own text.</summary>
    public double TestFraction { get; init; }

    public required IReadOnlyList<Column> Columns { get; init; }
}

/// <summary>One column of a table.</summary>
public sealed record Column
{
    public required string Name { get; init; }

    public required ColumnKind Kind { get; init; }

    /// <summary>Unit of measurement; compared with the site's own schema where it has one.</summary>
    public string? Unit { get; init; }

    /// <summary>Number columns: public bounds [Low, High]; values beyond are clipped to them.</summary>
    public (double Low, double High)? Range { get; init; }

    /// <summary>Category and label columns: the values of each category. Several raw values may make one category.</summary>
    public IReadOnlyList<IReadOnlyList<string>> Categories { get; init; } = [];

    /// <summary>Category columns: a value of the category that is encoded as all zeros; null: every category has a feature.</summary>
    public string? Reference { get; init; }

    /// <summary>Values that mean "not measured". Compared as numbers where both are numbers: <c>0</c> is also <c>0.0</c>.</summary>
    public IReadOnlyList<string> Missing { get; init; } = [];

    /// <summary>Index of the category that a raw value belongs to, or null.</summary>
    public int? CategoryOf(string raw)
    {
        string canonical = RawValue.Canonical(raw);
        for (int i = 0; i < Categories.Count; i++)
        {
            if (Categories[i].Any(value => RawValue.Canonical(value) == canonical)) return i;
        }

        return null;
    }
}

public enum ColumnKind
{
    Number,
    Category,
    Label,

    /// <summary>Present in the file, not used.</summary>
    Ignore,
}

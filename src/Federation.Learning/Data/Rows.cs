namespace Federation.Learning.Data;

/// <param name="Features">Row-major, <see cref="Count"/> × <paramref name="Width"/>.</param>
/// <param name="Labels">Class index; −1 where a row for prediction has none.</param>
/// <param name="Lines">1-based lines of the file.</param>
/// <param name="Persons">Whose each row is, by the key column; null: nobody asked.</param>
public sealed record Rows(float[] Features, int[] Labels, int[] Lines, int Width, string[]? Persons = null)
{
    public int Count => Labels.Length;

    public static Rows None(int width) => new([], [], [], width);

    /// <summary>The rows at these indices, in this order.</summary>
    public Rows Select(IReadOnlyList<int> indices)
    {
        float[] features = new float[indices.Count * Width];
        for (int i = 0; i < indices.Count; i++) Features.AsSpan(indices[i] * Width, Width).CopyTo(features.AsSpan(i * Width));
        return new Rows(features, [.. indices.Select(index => Labels[index])], [.. indices.Select(index => Lines[index])], Width, Persons is null ? null : [.. indices.Select(index => Persons[index])]);
    }

    /// <summary>The first row of each person; all rows where nobody asked.</summary>
    public Rows FirstOfEachPerson() => Persons is null ? this : Select([.. Enumerable.Range(0, Count).DistinctBy(index => Persons[index])]);

    /// <summary>Persons are kept apart by where they come from, and so forgotten.</summary>
    public Rows Concat(Rows other) => new([.. Features, .. other.Features], [.. Labels, .. other.Labels], [.. Lines, .. other.Lines], Width);
}

/// <summary>Rows on their way into <see cref="Rows"/>.</summary>
internal sealed class RowList
{
    private readonly List<float> _features = [];
    private readonly List<int> _labels = [], _lines = [];
    private readonly List<string> _persons = [];

    public void Add(IReadOnlyList<float> features, int label, int line, string? person)
    {
        _features.AddRange(features);
        _labels.Add(label);
        _lines.Add(line);
        if (person is not null) _persons.Add(person);
    }

    /// <param name="key">Null: nobody asks whose a row is.</param>
    public Rows ToRows(int width, string? key) => new([.. _features], [.. _labels], [.. _lines], width, key is null ? null : [.. _persons]);
}

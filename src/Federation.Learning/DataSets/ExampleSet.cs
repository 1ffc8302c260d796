namespace Federation.Learning.DataSets;

/// <summary>Labelled examples of one shape. Where they lie, in memory or in a mapped file, is the implementation's own matter; any number of threads may read at once.</summary>
public abstract class ExampleSet
{
    /// <summary>Of the data set, for reports.</summary>
    public abstract string Name { get; }

    public abstract int Count { get; }

    /// <summary>Of one example: [features] of a table, [channels, height, width] of an image.</summary>
    public abstract IReadOnlyList<int> Shape { get; }

    /// <summary>Values of one example.</summary>
    public int Values => Shape.Aggregate(1, (product, size) => checked(product * size));

    /// <summary>Labels are 0 to this, exclusive.</summary>
    public abstract int Classes { get; }

    public abstract int Label(int index);

    /// <summary>Whose each example is, for a partition by a table's column; null: nobody asked, or the set does not say.</summary>
    public virtual IReadOnlyList<string>? Groups => null;

    /// <summary>One example's values, normalised by constants that depend on no example.</summary>
    /// <param name="values"><see cref="Values"/> of them, row by row.</param>
    public abstract void Read(int index, Span<float> values);
}

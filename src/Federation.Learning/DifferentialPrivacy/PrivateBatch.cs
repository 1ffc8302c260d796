using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>The records of some privacy units.</summary>
/// <param name="Records">Which of the data set's, one unit's after another.</param>
/// <param name="Units">Of the records.</param>
/// <param name="Weights">Of each record's loss: 1, or a share of a person that counts with its mean. Null: all 1.</param>
public sealed record PrivateBatch(IReadOnlyList<long> Records, BatchUnits Units, IReadOnlyList<float>? Weights = null)
{
    public static PrivateBatch OneEach(IReadOnlyList<long> records) => new(records, BatchUnits.OneEach(records.Count));

    /// <summary>The first units of it; all, where it has fewer.</summary>
    internal PrivateBatch First(int units) => Range(0, Math.Min(units, Units.Count));

    /// <summary>So many units of it, from one on.</summary>
    internal PrivateBatch Range(int first, int count)
    {
        if (count == Units.Count) return this;
        if (Units.IsOneEach && Weights is null) return OneEach([.. Records.Skip(first).Take(count)]);
        long[] unitOf = UnitOfEach();
        int[] kept = [.. Enumerable.Range(0, unitOf.Length).Where(i => unitOf[i] >= first && unitOf[i] < first + count)];
        return new([.. kept.Select(i => Records[i])], BatchUnits.Of([.. kept.Select(i => (int)unitOf[i] - first)], count), Weights is null ? null : [.. kept.Select(i => Weights[i])]);
    }

    /// <summary>How many units from one on have together at most so many records; at least one.</summary>
    internal int UnitsWithin(int first, int mostRecords)
    {
        int left = Units.Count - first;
        if (mostRecords >= Records.Count) return left;
        if (Units.IsOneEach) return Math.Min(left, mostRecords);
        int[] sizes = new int[Units.Count];
        foreach (long unit in UnitOfEach()) sizes[unit]++;
        int count = 1;
        for (int records = sizes[first]; count < left && records + sizes[first + count] <= mostRecords; count++) records += sizes[first + count];
        return count;
    }

    private long[] UnitOfEach()
    {
        using Tensor index = Units.Index(CPU);
        return index.data<long>().ToArray();
    }
}

/// <summary>What one batch looked like before the noise. Private data: it is for the eyes of whoever may see the records, and never part of a release.</summary>
/// <param name="Loss">Weighted sum of the losses.</param>
/// <param name="Clipped">Units whose gradient was longer than the bound; under automatic clipping, all.</param>
public sealed record PrivateFigures(int Records, int Units, double Loss, int Clipped)
{
    public static PrivateFigures None { get; } = new(0, 0, 0, 0);

    public PrivateFigures Plus(PrivateFigures other) => new(Records + other.Records, Units + other.Units, Loss + other.Loss, Clipped + other.Clipped);
}

/// <summary>Adds up the clipped gradients of a batch's units.</summary>
internal interface IClippedSum : IDisposable
{
    /// <param name="losses">From the indices of records [B], int64, to their losses [B].</param>
    /// <exception cref="NonFiniteTrainingException">A loss or a gradient is NaN or ∞; what was added so far must be thrown away.</exception>
    PrivateFigures Add(Func<Tensor, Tensor> losses, PrivateBatch batch);

    /// <summary>More records at once would take much memory. Follows from the shapes of the model's layers alone.</summary>
    int MostRecords { get; }
}

/// <summary>A loss or gradient is not finite: nothing of the step is released.</summary>
public sealed class NonFiniteTrainingException(string message) : ArithmeticException(message);

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

    /// <summary>Some of its units.</summary>
    /// <param name="kept">Of each, whether it stays.</param>
    internal PrivateBatch Only(IReadOnlyList<bool> kept)
    {
        if (Units.IsOneEach && Weights is null) return OneEach([.. Records.Where((_, i) => kept[i])]);
        long[] unitOf = UnitOfEach();
        int[] place = new int[kept.Count];
        int count = 0;
        for (int unit = 0; unit < place.Length; unit++) place[unit] = kept[unit] ? count++ : -1;
        int[] left = [.. Enumerable.Range(0, unitOf.Length).Where(i => place[unitOf[i]] >= 0)];
        return new([.. left.Select(i => Records[i])], BatchUnits.Of([.. left.Select(i => place[unitOf[i]])], count), Weights is null ? null : [.. left.Select(i => Weights[i])]);
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
/// <param name="Records">All that were sampled.</param>
/// <param name="Units">All that were sampled.</param>
/// <param name="Loss">Weighted sum of the losses of the units that were not left out.</param>
/// <param name="Clipped">Units whose gradient was longer than the bound; under automatic clipping, all.</param>
/// <param name="NonFinite">Units that were left out, because a loss, a gradient or its squared norm was not finite in float32: they added 0 to the sum.</param>
public sealed record PrivateFigures(int Records, int Units, double Loss, int Clipped, int NonFinite = 0)
{
    public static PrivateFigures None { get; } = new(0, 0, 0, 0);

    /// <summary>Of a unit that was not left out; 0 where there is none.</summary>
    public double MeanLoss => Units == NonFinite ? 0 : Loss / (Units - NonFinite);

    public PrivateFigures Plus(PrivateFigures other) => new(Records + other.Records, Units + other.Units, Loss + other.Loss, Clipped + other.Clipped, NonFinite + other.NonFinite);
}

/// <summary>Adds up the clipped gradients of a batch's units. A unit whose loss, gradient or squared norm is not finite in float32 adds 0, which is within any bound: an exception would tell that it is there.</summary>
internal interface IClippedSum : IDisposable
{
    /// <param name="losses">From the indices of records [B], int64, to their losses [B].</param>
    PrivateFigures Add(Func<Tensor, Tensor> losses, PrivateBatch batch);

    /// <summary>More records at once would take much memory. Follows from the shapes of the model's layers alone.</summary>
    int MostRecords { get; }
}

/// <summary>A sum of clipped gradients is beyond the grid of its noise, as only a clipping norm near the end of float32 can make it: nothing of the step is released.</summary>
public sealed class NonFiniteTrainingException(string message) : ArithmeticException(message);

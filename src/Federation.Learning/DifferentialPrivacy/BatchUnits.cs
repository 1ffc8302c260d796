using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>Which privacy unit each record of a batch belongs to. A unit's gradient is the sum over its records, and is what gets clipped.</summary>
public sealed class BatchUnits
{
    private readonly long[]? _unitOf;

    private BatchUnits(int records, int count, long[]? unitOf)
    {
        (Records, Count, _unitOf) = (records, count, unitOf);
        if (unitOf is null) return;
        Places = new long[records];
        int[] seen = new int[count];
        for (int i = 0; i < records; i++) Places[i] = seen[unitOf[i]]++;
        MostRecords = seen.Length == 0 ? 0 : seen.Max();
    }

    /// <summary>Every record is a unit of its own.</summary>
    public static BatchUnits OneEach(int records) => new(records, records, null);

    /// <param name="unitOf">For each record its unit, 0 … count − 1.</param>
    /// <exception cref="ArgumentException">A unit is out of range.</exception>
    public static BatchUnits Of(IReadOnlyList<int> unitOf, int count)
    {
        foreach (int unit in unitOf)
        {
            if (unit < 0 || unit >= count) throw new ArgumentException($"Unit {unit} is not one of {count}.", nameof(unitOf));
        }

        return new(unitOf.Count, count, [.. unitOf.Select(unit => (long)unit)]);
    }

    public int Records { get; }

    /// <summary>U, the number of units.</summary>
    public int Count { get; }

    public bool IsOneEach => _unitOf is null;

    private long[] Places { get; } = [];

    private int MostRecords { get; } = 1;

    /// <summary>[B, …] → [U, …], adding up what belongs to one unit.</summary>
    public Tensor Sum(Tensor perRecord)
    {
        if (_unitOf is null) return perRecord;
        long[] shape = [.. perRecord.shape];
        shape[0] = Count;
        return zeros(shape, dtype: perRecord.dtype, device: perRecord.device).index_add_(0, Index(perRecord.device), perRecord, LastingScalars.One);
    }

    /// <summary>[B, T, d] → [U, m·T, d], the records of a unit one after another; zeros where it has fewer than the longest.</summary>
    public Tensor Concatenate(Tensor perRecord)
    {
        if (_unitOf is null) return perRecord;
        long[] rows = [.. _unitOf.Select((unit, i) => (unit * MostRecords) + Places[i])];
        long length = perRecord.shape[1], width = perRecord.shape[2];
        Tensor all = zeros([(long)Count * MostRecords, length, width], dtype: perRecord.dtype, device: perRecord.device);
        return all.index_copy_(0, tensor(rows, device: perRecord.device), perRecord).view(Count, MostRecords * length, width);
    }

    /// <summary>[B]: each record's unit.</summary>
    public Tensor Index(Device device) => _unitOf is null ? arange(Records, dtype: ScalarType.Int64, device: device) : tensor(_unitOf, device: device);
}

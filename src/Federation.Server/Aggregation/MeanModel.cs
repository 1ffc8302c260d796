using System.Runtime.InteropServices;

namespace Federation.Server.Aggregation;

/// <summary>The next global model from the opened mean of the updates, piece by piece: model + mean, in double, rounded once.</summary>
/// <param name="model">At its data; float32, little-endian.</param>
internal sealed class MeanModel(Stream model, Stream destination)
{
    private float[] _values = [];
    private long _done;

    /// <exception cref="AggregationException">A value of the next model does not fit float32.</exception>
    public void Add(ReadOnlySpan<float> mean)
    {
        if (_values.Length < mean.Length) _values = new float[mean.Length];
        Span<float> values = _values.AsSpan(0, mean.Length);
        model.ReadExactly(MemoryMarshal.AsBytes(values));
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (float)((double)values[i] + mean[i]);
            if (!float.IsFinite(values[i])) throw new AggregationException($"Coordinate {_done + i} of the next model is {values[i]}.");
        }

        destination.Write(MemoryMarshal.AsBytes(values));
        _done += mean.Length;
    }

    /// <exception cref="AggregationException">The model has more values than came.</exception>
    public void End()
    {
        if (model.Position != model.Length) throw new AggregationException($"The opened sum has {_done} values; the model has more.");
    }
}

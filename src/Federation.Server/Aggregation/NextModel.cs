using System.Runtime.InteropServices;
using Federation.Server.Strategies;

namespace Federation.Server.Aggregation;

/// <summary>The next global model from the mean of the updates by the run's strategy, piece by piece: computed in double, rounded to float32 once.</summary>
/// <remarks>Memory: one block, whatever the model.</remarks>
internal sealed class NextModel
{
    /// <summary>Coordinates worked on at once.</summary>
    public const int BlockLength = 1 << 14;

    private readonly Stream _model, _destination;
    private readonly Strategy _strategy;
    private readonly StrategyState? _state;
    private readonly float[] _values = new float[BlockLength];
    private readonly double[] _weights = new double[BlockLength], _mean = new double[BlockLength];
    private long _done;

    /// <param name="model">At its data; float32, little-endian.</param>
    /// <param name="state">Of the strategy; null: it keeps none.</param>
    public NextModel(Stream model, Stream destination, Strategy strategy, StrategyState? state = null)
    {
        if (state is null && strategy.StateValues > 0) throw new ArgumentException("The strategy keeps state from round to round, and there is nothing to keep it in.", nameof(state));
        (_model, _destination, _strategy, _state) = (model, destination, strategy, state);
    }

    /// <exception cref="AggregationException">A value of the next model does not fit float32.</exception>
    public void Add(ReadOnlySpan<float> mean)
    {
        for (; !mean.IsEmpty; mean = mean[Math.Min(BlockLength, mean.Length)..])
        {
            Span<double> block = _mean.AsSpan(0, Math.Min(BlockLength, mean.Length));
            for (int i = 0; i < block.Length; i++) block[i] = mean[i];
            AddBlock(block);
        }
    }

    /// <summary>All of the model from updates in the clear.</summary>
    /// <exception cref="AggregationException">A value of the next model does not fit float32.</exception>
    /// <exception cref="EndOfStreamException">An update has fewer values than the model.</exception>
    public void AddAll(IMeanUpdate mean, long values, CancellationToken cancellationToken)
    {
        for (; values > 0; values -= Math.Min(BlockLength, values))
        {
            cancellationToken.ThrowIfCancellationRequested();
            Span<double> block = _mean.AsSpan(0, (int)Math.Min(BlockLength, values));
            mean.Read(block);
            AddBlock(block);
        }

        End();
    }

    /// <exception cref="AggregationException">The model has more values than came.</exception>
    public void End()
    {
        if (_model.Position != _model.Length) throw new AggregationException($"The opened sum has {_done} values; the model has more.");
    }

    private void AddBlock(ReadOnlySpan<double> mean)
    {
        Span<float> values = _values.AsSpan(0, mean.Length);
        Span<double> weights = _weights.AsSpan(0, mean.Length);
        _model.ReadExactly(MemoryMarshal.AsBytes(values));
        for (int i = 0; i < weights.Length; i++) weights[i] = values[i];
        if (_state is null)
        {
            _strategy.Apply(weights, mean, []);
        }
        else
        {
            Span<float> state = _state.Read(mean.Length);
            _strategy.Apply(weights, mean, state);
            _state.Write(state);
        }

        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (float)weights[i];
            if (!float.IsFinite(values[i])) throw new AggregationException($"Coordinate {_done + i} of the next model is {values[i]}.");
        }

        _destination.Write(MemoryMarshal.AsBytes(values));
        _done += values.Length;
    }
}

/// <summary>A round's updates cannot be summed into a model.</summary>
public sealed class AggregationException(string message) : Exception(message);

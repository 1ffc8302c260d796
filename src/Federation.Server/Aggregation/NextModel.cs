using System.Runtime.InteropServices;
using Federation.Formats.Runs;
using Federation.Server.Strategies;

namespace Federation.Server.Aggregation;

/// <summary>The next global model from the mean of the updates by the run's strategy, piece by piece: computed in double, rounded to float32 once. What the sites do not share stays as it is.</summary>
/// <remarks>Memory: one block, whatever the model.</remarks>
internal sealed class NextModel
{
    /// <summary>Coordinates worked on at once.</summary>
    public const int BlockLength = 1 << 14;

    private readonly Stream _model, _destination;
    private readonly Strategy _strategy;
    private readonly StrategyState? _state;
    private readonly IReadOnlyList<(long Start, long Length)> _shared;
    private readonly RoundFigures _round;
    private readonly double _unit;
    private readonly long _values;
    private readonly float[] _block = new float[BlockLength];
    private readonly double[] _weights = new double[BlockLength], _mean = new double[BlockLength];
    private bool _waitsForScalar;
    private int _part;
    private long _done;

    /// <summary>Of updates that hold all of the model and nothing else.</summary>
    /// <param name="model">At its data; float32, little-endian.</param>
    /// <param name="state">Of the strategy; null: it keeps none.</param>
    public NextModel(Stream model, Stream destination, Strategy strategy, StrategyState? state = null)
        : this(model, destination, strategy, state, null, new(1, 1, long.MaxValue))
    {
    }

    /// <param name="shape">Of the updates; null: as the model.</param>
    /// <param name="round">What is known of it beforehand: all but the strategy's number.</param>
    /// <inheritdoc cref="NextModel(Stream, Stream, Strategy, StrategyState?)"/>
    public NextModel(Stream model, Stream destination, Strategy strategy, StrategyState? state, UpdateShape? shape, RoundFigures round)
    {
        if (state is null && strategy.StateValues > 0) throw new ArgumentException("The strategy keeps state from round to round, and there is nothing to keep it in.", nameof(state));
        (_model, _destination, _strategy, _state, _round) = (model, destination, strategy, state, round);
        _values = (model.Length - model.Position) / sizeof(float);
        (_shared, _unit, _waitsForScalar) = shape is null ? ([(0, _values)], 1, false) : (shape.Shared, shape.Unit, shape.HasScalar);
        if (!_waitsForScalar) strategy.Begin(round);
    }

    /// <summary>The next values of the mean of the updates.</summary>
    /// <exception cref="AggregationException">A value of the next model does not fit float32, or there are more values than the sites share.</exception>
    public void Add(ReadOnlySpan<float> mean)
    {
        while (!mean.IsEmpty)
        {
            Span<double> piece = Room(mean.Length);
            for (int i = 0; i < piece.Length; i++) piece[i] = mean[i];
            Take(piece);
            mean = mean[piece.Length..];
        }
    }

    /// <summary>All of the model from updates in the clear.</summary>
    /// <param name="values">Of an update.</param>
    /// <exception cref="AggregationException">A value of the next model does not fit float32.</exception>
    /// <exception cref="EndOfStreamException">An update has fewer values.</exception>
    public void AddAll(IMeanUpdate mean, long values, CancellationToken cancellationToken)
    {
        while (values > 0)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Span<double> piece = Room(values);
            mean.Read(piece);
            Take(piece);
            values -= piece.Length;
        }

        End();
    }

    /// <exception cref="AggregationException">The sites share more values than came.</exception>
    public void End()
    {
        CopyKept();
        if (_done != _values) throw new AggregationException($"The opened sum ends at value {_done} of the model, which has {_values}.");
    }

    /// <summary>For as many of so many values as belong together: the strategy's number, or coordinates side by side.</summary>
    private Span<double> Room(long values)
    {
        if (_waitsForScalar) return _mean.AsSpan(0, 1);
        CopyKept();
        if (_part == _shared.Count) throw new AggregationException($"The opened sum has more values than the sites share of the model's {_values}.");
        return _mean.AsSpan(0, (int)Math.Min(Math.Min(BlockLength, values), EndOfPart - _done));
    }

    private long EndOfPart => _shared[_part].Start + _shared[_part].Length;

    /// <summary>Up to the next value that is shared the model stays, and what the strategy keeps of it.</summary>
    private void CopyKept()
    {
        while (_part < _shared.Count && _done == EndOfPart) _part++;
        long until = _part < _shared.Count ? Math.Max(_done, _shared[_part].Start) : _values;
        while (_done < until)
        {
            int count = (int)Math.Min(BlockLength, until - _done);
            Span<byte> bytes = MemoryMarshal.AsBytes(_block.AsSpan(0, count));
            _model.ReadExactly(bytes);
            _destination.Write(bytes);
            _state?.Write(_state.Read(count));
            _done += count;
        }
    }

    private void Take(ReadOnlySpan<double> mean)
    {
        if (_waitsForScalar)
        {
            _waitsForScalar = false;
            _strategy.Begin(_round with { Scalar = mean[0] / _unit });
            return;
        }

        Span<float> values = _block.AsSpan(0, mean.Length);
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

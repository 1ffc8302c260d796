using System.Runtime.InteropServices;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;
using Federation.Server.Aggregation;
using Federation.Server.Runs;
using Federation.Server.Strategies;

namespace Federation.Simulation;

/// <summary>
/// A round's updates and the model that they make, by the coordinator's own code. With secure aggregation each is clipped, rounded and noised by the nodes' encoder and only the sum of whole numbers is kept,
/// which is what a committee would open: the next model has the bytes of the real thing. Nothing is encrypted.
/// </summary>
/// <remarks>Memory: one sum with secure aggregation, else the updates of one round.</remarks>
internal sealed class RoundSum
{
    private readonly RunSpec _spec;
    private readonly ModelState _model;
    private readonly int _round;
    private readonly double _whole;
    private readonly UpdateEncoding? _encoding;
    private readonly EncodedSum? _encoded;
    private readonly Dictionary<string, TrainingResult> _clear = new(StringComparer.Ordinal);
    private int _contributors;

    /// <param name="spec">As it is in the round.</param>
    /// <param name="cohort">Clients that may contribute.</param>
    /// <param name="siteClip">Of the run's state.</param>
    public RoundSum(RunSpec spec, ModelState model, UpdateShape shape, int round, int cohort, double? siteClip)
    {
        (_spec, _model, _round, Shape) = (spec, model, round, shape);
        if (spec.Privacy is { Unit: DpUnit.Site } privacy) _whole = siteClip ?? SiteClip.First(privacy);
        if (spec.SecureAggregation is null) return;
        _encoding = SecureEncoding.Of(spec, shape.Values, cohort, siteClip);
        _encoded = new EncodedSum(_encoding);
    }

    public UpdateShape Shape { get; }

    /// <summary>Any number of threads may add at once.</summary>
    public void Add(LearningTask task, TrainingResult update)
    {
        if (_encoding is null)
        {
            lock (_clear) _clear.Add(task.Site, update);
            return;
        }

        float[] mean = Mean(update);
        if (_spec.Privacy is { Unit: DpUnit.Site } privacy) mean = SiteClip.Vector(privacy, mean, _encoding.Clip);
        using SecureRandom noise = task.NoiseOf(Opening.Update, _round);
        byte[] key = SecureEncoding.RoundingKey(task.Spec, (ulong)_round, task.Site, Convert.FromHexString(_model.Sha256));
        _encoded!.Add(mean, Math.Min((double)update.Weight, _encoding.LargestWeight), key, noise);
        Interlocked.Increment(ref _contributors);
    }

    /// <summary>The next model, and the event that the run's rules take.</summary>
    /// <param name="state">What the strategy keeps; null: nothing. Kept by this.</param>
    /// <exception cref="AggregationException">The updates cannot be summed into a model.</exception>
    public (ModelState Model, Aggregated Event) Close(Aggregate aggregate, Strategy strategy, StrategyState? state)
    {
        using var model = new MemoryStream(_model.ToBytes(), writable: false) { Position = _model.Header.DataStart };
        using var made = new MemoryStream(checked((int)_model.Header.FileLength));
        made.Write(_model.Header.Bytes);
        int contributors = aggregate.Contributions.Count;
        var next = new NextModel(model, made, strategy, state, Shape, new RoundFigures(1, 1, _model.Header.ValueCount));
        (double? clip, string note) = _encoding is null ? Plain(aggregate, next) : Opened(next, contributors);
        state?.Keep();
        made.Position = 0;
        ModelState result = ModelState.Read(made, made.Length);
        return (result, new Aggregated(aggregate.Round, result.Sha256, SiteClip: clip, Note: note, StrategyKept: state is not null));
    }

    private (double? Clip, string Note) Plain(Aggregate aggregate, NextModel next)
    {
        List<Stream> streams = [];
        List<VisibleUpdate> updates = [];
        ulong weight = 0;
        foreach (string site in aggregate.Contributions.Keys)
        {
            TrainingResult update = _clear[site];
            var stream = new MemoryStream(Data(update.WeightedDelta), writable: false);
            streams.Add(stream);
            updates.Add(new VisibleUpdate(site, stream, update.Weight));
            weight += update.Weight;
            _clear[site] = update with { WeightedDelta = new ModelState([]) }; // held once
        }

        if (_spec.Privacy is { IsCentral: true } privacy)
        {
            var task = new LearningTask("simulation", "coordinator", _spec, null);
            using SecureRandom random = task.NoiseOf("central", _round);
            double vote = NoisyMean.WriteNext(next, streams, Shape.Header.DataLength, privacy, _whole, CentralNoise.Of(_spec, Shape.Values, random), CancellationToken.None);
            return SiteClip.Votes(privacy) == 0 ? (null, "") : Told(privacy, SiteClip.Next(privacy, _whole, vote));
        }

        (IMeanUpdate mean, string note) = PlainSums.MeanOf(_spec.Strategy, Shape.Values, aggregate, streams, updates, weight);
        next.AddAll(mean, Shape.Values, CancellationToken.None);
        return (null, note);
    }

    private (double? Clip, string Note) Opened(NextModel next, int contributors)
    {
        if (_contributors != contributors) throw new InvalidOperationException($"{_contributors} updates were summed, {contributors} counted.");
        (float[] values, _) = _encoded!.Open(SecureEncoding.Weights(_spec) == WeightRule.One ? contributors : null);
        next.Add(values.AsSpan(0, Shape.Values));
        next.End();
        return SiteClip.Votes(_spec.Privacy) == 0 ? (null, "") : Told(_spec.Privacy!, SiteClip.Next(_spec.Privacy!, _encoding!.Clip, values[^1]));
    }

    private (double? Clip, string Note) Told(PrivacySpec privacy, double clip) => (clip, PlainSums.Says(privacy, _round, clip));

    /// <summary>The mean update, tensor after tensor in the file's order.</summary>
    private static float[] Mean(TrainingResult update)
    {
        float[] values = new float[update.WeightedDelta.Header.ValueCount];
        int done = 0;
        foreach (NamedTensor tensor in update.WeightedDelta.Tensors)
        {
            foreach (float value in tensor.Values) values[done++] = (float)(value / (double)update.Weight);
        }

        return values;
    }

    private static byte[] Data(ModelState update)
    {
        byte[] data = new byte[update.Header.DataLength];
        int done = 0;
        foreach (NamedTensor tensor in update.Tensors)
        {
            MemoryMarshal.AsBytes(tensor.Values.AsSpan()).CopyTo(data.AsSpan(done));
            done += tensor.Values.Length * sizeof(float);
        }

        return data;
    }
}

using Federation.Formats.Runs;
using Federation.Privacy.Accounting;
using Federation.Privacy.Mechanisms;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>
/// DP-SGD around one's own loop: each step samples units, clips their gradients, adds noise and lets the optimizer (SGD, Adam, AdamW or any other) go on with the noisy mean. What a model shows after any number of steps costs <see cref="Epsilon"/>.
/// </summary>
/// <remarks>
/// Abadi et al. 2016, Algorithm 1, with Poisson sampling and division by a public number in place of the batch's size; neighbours differ by one unit more or less. The model and what is released of it must come from these steps alone, and all of them are counted.
/// Not thread-safe; one trainer at a time may hold a model.
/// </remarks>
public sealed class DpTrainer : IDisposable
{
    private readonly optim.Optimizer _optimizer;
    private readonly ClippedSample _sample;
    private readonly GradientNoise _noise;

    /// <param name="model">Its parameters that require a gradient now are trained; their <c>grad</c> is the trainer's from then on.</param>
    /// <param name="optimizer">Of the model's parameters; it sees noisy gradients only.</param>
    /// <param name="units">Of the training records.</param>
    /// <param name="random">For sampling and noise; a generator with a known key makes a run repeatable and worth no privacy.</param>
    /// <param name="rules">Of own modules; null: the built-in ones.</param>
    /// <exception cref="LearningException">The model cannot be trained this way; says what to do.</exception>
    public DpTrainer(nn.Module model, optim.Optimizer optimizer, PrivacyUnits units, DpSgdParameters parameters, SecureRandom random, LayerRules? rules = null)
        : this(model, optimizer, units, parameters, random, rules, modelIsKnown: false)
    {
    }

    /// <param name="modelIsKnown">See <see cref="ClippedSample"/>.</param>
    internal DpTrainer(nn.Module model, optim.Optimizer optimizer, PrivacyUnits units, DpSgdParameters parameters, SecureRandom random, LayerRules? rules, bool modelIsKnown)
    {
        _optimizer = optimizer;
        _sample = new(model, units, parameters, random, rules, modelIsKnown);
        try
        {
            _noise = new(checked((int)Sums.Flat.numel()), Sensitivity * (1 + PrivacySpec.NormRounding), new(parameters.NoiseMultiplier.Value / (1 + PrivacySpec.NormRounding)), parameters.SamplingRate, parameters.ExpectedBatchSize, random);
        }
        catch
        {
            _sample.Dispose();
            throw;
        }
    }

    /// <summary>Steps that were released.</summary>
    public long Steps { get; private set; }

    /// <summary>C: how far one unit more or less moves the sum of clipped gradients, in L2 norm.</summary>
    public double Sensitivity => _sample.Sensitivity;

    /// <summary>The way in which clipped sums are found.</summary>
    public ClippedSumMethod Method => MethodReason is null ? ClippedSumMethod.BookKeeping : ClippedSumMethod.RecordByRecord;

    /// <summary>Why it is <see cref="ClippedSumMethod.RecordByRecord"/>; null where it is not.</summary>
    public string? MethodReason => _sample.MethodReason;

    /// <summary>What the steps so far released, for a ledger or an accountant.</summary>
    public IReadOnlyList<PrivacyEvent> Events => Steps == 0 ? [] : [new RepeatedEvent(_noise.Event, Steps)];

    /// <summary>Of the last step's release, this parameter's part: the noisy mean that the optimizer saw. A view, overwritten by the next step.</summary>
    internal Tensor Released(string parameter) => Sums[parameter];

    /// <summary>What one more step would release.</summary>
    public PrivacyEvent StepEvent => _noise.Event;

    /// <summary>ε at δ of all steps so far, by privacy loss distributions, for one unit more or less.</summary>
    public PrivacyLoss Epsilon(double delta) => new PldAccountant().AtDelta(Events, delta, NeighboringRelation.AddOrRemoveOne);

    /// <summary>One step: sample, clip, add noise, let the optimizer go on. A sample without any unit is a step of noise alone.</summary>
    /// <param name="losses">From record indices [B] (int64, on the model's device) to the records' losses [B], each of its own record alone. Called for some of the sample at a time, or not at all.</param>
    /// <returns>Private figures of the sample, before noise: not for release. A unit whose loss or gradient is not finite counts as a gradient of 0 and in <see cref="PrivateFigures.NonFinite"/>; the step is as any other, because ending it would tell of the unit without noise.</returns>
    /// <exception cref="NonFiniteTrainingException">The clipping norm is so great that the sum lies beyond the grid of the noise. Nothing was released, the model is unchanged.</exception>
    public PrivateFigures Step(Func<Tensor, Tensor> losses)
    {
        using IDisposable scope = NewDisposeScope();
        PrivateFigures figures;
        bool released = false;
        try
        {
            figures = _sample.Take(losses, drawn: _noise.Draw); // the noise after the sample, so that one key gives one stream
            _noise.Apply(Sums.Flat);
            Steps++; // counted before anything is changed by it
            released = true;
        }
        finally
        {
            if (!released)
            {
                _sample.Clear(); // what was not noised must not stay in the parameters' grad
                _noise.Discard();
            }
        }

        // Each time, because a loop that is used to zero_grad may have taken them away.
        for (int i = 0; i < Sums.Names.Count; i++) Sums.Parameters[i].grad = Sums[Sums.Names[i]];
        _optimizer.step();
        return figures;
    }

    public void Dispose()
    {
        foreach (Tensor parameter in Sums.Parameters) parameter.grad = null;
        _noise.Discard();
        _sample.Dispose();
    }

    private GradientBuffer Sums => _sample.Sums;
}

using System.Collections.Frozen;
using Federation.Formats;
using Federation.Formats.Data;
using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Privacy.Canonical;
using Federation.Privacy.Mechanisms;

namespace Federation.Learning;

/// <summary>A run as one site sees it.</summary>
/// <param name="Schema">Null for a run of one's own model.</param>
public sealed record LearningTask(string RunId, string Site, RunSpec Spec, DataSchema? Schema)
{
    /// <summary>SCAFFOLD's c − cᵢ, added to the gradient of each step, a tensor for each of the model's; null: nothing is.</summary>
    public ModelState? Drift { get; init; }

    /// <summary>Nothing that depends on what is trained leaves this site: it is trained without differential privacy, whatever the spec says.</summary>
    public bool StaysHere { get; init; }

    /// <summary>Told each epoch's number, from 1, and its mean training loss when it ends; for this site's own eyes. Private training has no epochs, and tells nothing.</summary>
    public Action<int, double>? EpochEnded { get; init; }

    /// <summary>The differential privacy of the records that training has to keep: none where the site itself is the unit, whose update is clipped as a whole.</summary>
    internal PrivacySpec? RecordPrivacy => !StaysHere && Spec.Privacy is { Unit: not DpUnit.Site } privacy ? privacy : null;

    /// <summary>For the noise and the samples of one of the task's releases: of a fresh key, unless the spec asks for <see cref="PrivacySpec.InsecureSeededNoise"/>.</summary>
    public SecureRandom NoiseOf(string purpose, int round) => Spec.Privacy is { InsecureSeededNoise: true }
        ? SecureRandom.WithKnownKey(new CanonicalWriter("insecure-seeded-noise").Field(Spec.Seed).Field(purpose).Field((ulong)round).Field(Site).Hash())
        : new SecureRandom();
}

/// <param name="WeightedDelta">(model after training − global model) × weight, in the global model's layout, float32.</param>
/// <param name="Weight">Examples trained on.</param>
/// <param name="Loss">Mean training loss of the last epoch.</param>
public sealed record TrainingResult(ModelState WeightedDelta, ulong Weight, double Loss)
{
    /// <summary>A site's part that moves nothing, and counts 1.</summary>
    public static TrainingResult Nothing(ModelState start) => new(start.Zeros(), 1, 0);

    /// <summary>Optimizer steps taken, for strategies that reckon with them; 0: not said.</summary>
    public long Steps { get; init; }

    /// <summary>The global model's mean loss on the training examples, where the run's strategy asks for it; else NaN.</summary>
    public double StartLoss { get; init; } = double.NaN;

    /// <summary>Of private training: how often a record or person was left out of a step's sum, because its loss or gradient was not finite. For this site's own log: it is of the records, without noise.</summary>
    public long NonFinite { get; init; }

    /// <summary>Tensors of the model that are no parameters: training sets them without a gradient, as running means of batch normalisation. They are averaged like the others, and count for no norm of gradients.</summary>
    public IReadOnlySet<string> Buffers { get; init; } = FrozenSet<string>.Empty;

    /// <summary>The same with the weight 1, for runs in which every site counts the same: how many examples it had is left out.</summary>
    public TrainingResult AsOne() => this with { WeightedDelta = new ModelState(WeightedDelta.Tensors.Select(tensor => tensor with { Values = [.. tensor.Values.Select(value => (float)(value / (double)Weight))] })), Weight = 1 };
}

/// <summary>What a site does with a task: the built-in one reads tables (<see cref="TabularLearner"/>), the other trains a module of the user's own (<see cref="ModuleLearner"/>).</summary>
public interface ILocalLearner : IDisposable
{
    /// <summary>Everything that keeps this site from taking part, one sentence each; empty: ready. Called once a run, before the first round. The sentences are sent to the coordinator.</summary>
    /// <exception cref="InvalidInputException">This site's files do not fit. The node's log gets every problem; of those with a line the coordinator hears only file and column.</exception>
    IReadOnlyList<string> Check(LearningTask task, ModelState initial);

    /// <summary>What this site's own log should say of the run: sentences that may quote its records, and are sent nowhere. Called after <see cref="Check"/>.</summary>
    IReadOnlyList<string> NotesOn(LearningTask task) => [];

    /// <summary>One round of local training; the task's spec is as it is in that round (<see cref="RunSpec.At"/>). The same task, round and start give the same bytes on one machine type and thread count.</summary>
    /// <exception cref="LearningException">The model does not fit, or training gave a value that is not finite.</exception>
    TrainingResult Train(LearningTask task, int round, ModelState start, CancellationToken cancellationToken);

    /// <summary>Sums over this site's test rows; no examples where it holds none.</summary>
    /// <exception cref="LearningException">The model does not fit.</exception>
    EvaluationSums Evaluate(LearningTask task, ModelState model, CancellationToken cancellationToken);
}

/// <summary>A task that cannot be done; the message says why and what would be right.</summary>
public sealed class LearningException(string message) : Exception(message);

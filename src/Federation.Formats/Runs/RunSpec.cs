namespace Federation.Formats.Runs;

/// <summary>One training job over many rounds. Checked: an instance read from a file holds only valid values.</summary>
public sealed partial record RunSpec
{
    /// <summary>Lower-case letters, digits and hyphens, at most 63.</summary>
    public required string Name { get; init; }

    /// <summary>Absent for a run of one's own model, whose data the node's own program supplies.</summary>
    public DataSpec? Data { get; init; }

    public required ModelSpec Model { get; init; }

    /// <summary>Absent for a run of one's own model.</summary>
    public TaskSpec? Task { get; init; }

    /// <summary>How many rounds change the model; 1 to 1,000,000.</summary>
    public required int Rounds { get; init; }

    /// <summary>Fixes initial weights, data order and stochastic rounding; never keys, noise or Poisson sampling.</summary>
    public required ulong Seed { get; init; }

    public required CohortSpec Cohort { get; init; }

    public required LocalSpec Local { get; init; }

    public required StrategySpec Strategy { get; init; }

    /// <summary>What of the model is each site's own. Null: nothing.</summary>
    public PersonalSpec? Personal { get; init; }

    /// <summary>Null: none, the coordinator sees each update.</summary>
    public SecureAggregationSpec? SecureAggregation { get; init; }

    /// <summary>Of training, or of statistics. Null: none; what is opened may say everything about single records.</summary>
    public PrivacySpec? Privacy { get; init; }

    /// <summary>σ of its differential privacy, as written or the least that keeps its ε over all rounds and evaluations.</summary>
    /// <exception cref="Federation.Privacy.Accounting.UnreachableTargetException">No noise is enough.</exception>
    /// <exception cref="InvalidOperationException">It has none.</exception>
    public double Sigma => (Privacy ?? throw new InvalidOperationException("The run has no differential privacy.")).Sigma(Rounds, Evaluate);

    /// <summary>Federated evaluation on the sites' own test rows; absent: none.</summary>
    public EvaluateSpec? Evaluate { get; init; }

    /// <summary>What changes from a round on; in the order of rounds. Empty: nothing does.</summary>
    public IReadOnlyList<RoundSettings> Schedule { get; init; } = [];

    /// <summary>When the run ends before its last round; null: never.</summary>
    public StopSpec? Stop { get; init; }

    /// <summary>Asks the sites' tables for sums instead of training; then one sum is opened, and model, task, seed and local training say nothing. Null: the run trains.</summary>
    public StatisticsSpec? Statistics { get; init; }

    /// <summary>The rounds that a site takes part in at most where a run has so many: a tenth more, three at least, may have to be repeated, and of those given up something may have been seen.</summary>
    public static int WithRepeats(int rounds) => checked(rounds + Math.Max(3, rounds / 10));

    /// <summary>How it is tried on one machine; null: not at all. Coordinators and nodes ignore it.</summary>
    public SimulationSpec? Simulation { get; init; }

    /// <summary>The spec as it is in one round: with the local training of that round.</summary>
    public RunSpec At(int round)
    {
        LocalSpec local = Local;
        foreach (RoundSettings change in Schedule.TakeWhile(change => change.FromRound <= round))
        {
            local = local with { Optimizer = local.Optimizer with { LearningRate = change.LearningRate ?? local.Optimizer.LearningRate }, BatchSize = change.BatchSize ?? local.BatchSize, Epochs = change.Epochs ?? local.Epochs };
        }

        // Once a round's rate is settled there is nothing left to follow.
        if (local.RateSchedule is { IsOverSteps: false } rates) local = local with { Optimizer = local.Optimizer with { LearningRate = local.Optimizer.LearningRate * rates.FactorAt(round - 1, Rounds) }, RateSchedule = null };
        return this with { Local = local };
    }
}

/// <summary>Local training from a round on, until a later entry says otherwise. Rounds are counted as they are opened, those that were abandoned too.</summary>
/// <param name="FromRound">At least 2.</param>
/// <param name="LearningRate">Null, like the others: as before.</param>
public sealed record RoundSettings(int FromRound, double? LearningRate = null, int? BatchSize = null, int? Epochs = null);

/// <summary>Ends a run by what its federated evaluations show; under differential privacy that is post-processing of what was paid for.</summary>
/// <param name="Metric">One that the run evaluates.</param>
/// <param name="Patience">So many evaluations in a row that are no better than the best before; null: no number is too many.</param>
/// <param name="MinDelta">What is better by no more than this is no better; at least 0.</param>
/// <param name="Target">Reached, it is enough; null: none.</param>
public sealed record StopSpec(string Metric, int? Patience, double MinDelta, double? Target)
{
    /// <summary>Whether more is better: of accuracy and auc, not of log-loss and brier.</summary>
    public bool IsHigherBetter => Metric is "accuracy" or "auc";
}

/// <param name="Columns">Names in the schema; null: all that are not ignored.</param>
/// <param name="Bins">Of a number's histogram over its public range; 1 to 1000.</param>
public sealed record StatisticsSpec(IReadOnlyList<string>? Columns, int Bins);

/// <param name="Schema">Path of the data schema, relative to the spec's folder.</param>
/// <param name="Scaling">How numbers become features.</param>
/// <param name="MissingIndicators">Adds a 0/1 feature for every column that may be missing.</param>
public sealed record DataSpec(string Schema, Scaling Scaling = Scaling.PublicRanges, bool MissingIndicators = true);

public enum Scaling
{
    /// <summary><c>public-ranges</c>: the schema's [lo, hi] becomes [-1, 1]; says nothing about any record.</summary>
    PublicRanges,

    /// <summary><c>per-site</c>: every feature is standardised by the mean and deviation of the site's own training rows.</summary>
    PerSite,
}

/// <param name="Kind">logistic, mlp or custom.</param>
/// <param name="Hidden">Widths of the hidden layers of an mlp, ReLU between them.</param>
/// <param name="Initial">Path of a safetensors file to start from, relative to the spec's folder; required for custom.</param>
public sealed record ModelSpec(ModelKind Kind, IReadOnlyList<int> Hidden, string? Initial = null);

public enum ModelKind
{
    Logistic,
    Mlp,

    /// <summary>A module of the user's own program at every site.</summary>
    Custom,
}

/// <param name="Label">Name of the schema's label column.</param>
public sealed record TaskSpec(TaskKind Kind, string Label);

public enum TaskKind
{
    /// <summary><c>binary-classification</c>: one score through a sigmoid, binary cross entropy.</summary>
    BinaryClassification,

    /// <summary><c>multiclass-classification</c>: a score for each class through a softmax, cross entropy.</summary>
    MulticlassClassification,
}

/// <param name="Sites">The sites asked, or null for all that are enrolled as trainers.</param>
/// <param name="MinContributors">A round with fewer updates than this changes nothing; at least 1.</param>
/// <param name="Deadline">How long a round waits for its cohort; the only time in a spec.</param>
public sealed record CohortSpec(IReadOnlyList<string>? Sites, int MinContributors, TimeSpan Deadline)
{
    /// <summary>Only sites whose own labels have these values; null: any. What a site says of itself is its own claim.</summary>
    public IReadOnlyDictionary<string, string>? Labels { get; init; }

    /// <summary>A part of the sites is drawn for each round; null: all are asked.</summary>
    public DrawSpec? Draw { get; init; }
}

/// <summary>How many of the sites are drawn for a round. The draw follows from the run's seed, which everybody knows, so it hides nobody's part and nothing in the accounting counts on it.</summary>
/// <param name="Count">So many; null: by <paramref name="Fraction"/>.</param>
/// <param name="Fraction">In (0, 1]: of the sites that said yes, rounded up, at least minContributors.</param>
/// <param name="OverSelect">Times as many are asked, rounded up, and the round closes with the updates it wants; in [1, 10].</param>
public sealed record DrawSpec(int? Count, double? Fraction, double OverSelect = 1)
{
    /// <summary>How many updates a round wants, and how many sites it asks for them.</summary>
    /// <param name="ready">Sites that said yes.</param>
    public (int Wanted, int Asked) Of(int ready, int minContributors)
    {
        // Decimal: 10 · 1.1 is 11, not a little more.
        int wanted = Count ?? Math.Max(minContributors, (int)Math.Ceiling((decimal)Fraction!.Value * ready));
        return (wanted, (int)Math.Ceiling((decimal)OverSelect * wanted));
    }
}

/// <param name="BatchSize">Examples a step; 1 to 1,000,000. Under differential privacy what the noisy sum is divided by: the size that is expected, a public number.</param>
/// <param name="Epochs">Passes over the site's training rows a round; 1 to 10,000.</param>
/// <param name="Proximal">μ of FedProx (Li et al. 2020): each step is pulled back to the global model by μ times the distance from it; 0: none.</param>
public sealed record LocalSpec(OptimizerSpec Optimizer, int BatchSize, int Epochs, double Proximal = 0)
{
    /// <summary>Null: the learning rate stays as it is, but for <see cref="RunSpec.Schedule"/>.</summary>
    public LearningRateSchedule? RateSchedule { get; init; }

    /// <summary>β, in [0, 1): a site's training ends with the exponential moving average of its weights after each step; 0: with the last weights.</summary>
    /// <remarks>Kingma and Ba 2015, section 7.2, with its correction for the start at 0; after Polyak and Juditsky 1992.</remarks>
    public double WeightAverage { get; init; }

    /// <summary>Gradient accumulation: so many examples at most go through the model at once, and their gradients are added up to the step's; it bounds memory. Null: the batch as a whole; under differential privacy as many as the memory for gradients allows.</summary>
    public int? MicroBatchSize { get; init; }
}

/// <param name="Momentum">SGD only; in [0, 1).</param>
/// <param name="WeightDecay">L2 for sgd and adam, decoupled for adamw; at least 0.</param>
public sealed record OptimizerSpec(OptimizerKind Kind, double LearningRate, double Momentum = 0, double WeightDecay = 0);

public enum OptimizerKind
{
    Sgd,
    Adam,
    AdamW,
}

/// <param name="Every">After every this many rounds, and after the last.</param>
/// <param name="Metrics">Names shown, of accuracy, auc, log-loss, brier; under differential privacy of the first two.</param>
/// <param name="NoiseMultiplier">Under differential privacy: the noise of each opened figure over the L2 norm of what one unit adds; null without.</param>
public sealed record EvaluateSpec(int Every, IReadOnlyList<string> Metrics, double? NoiseMultiplier = null)
{
    /// <summary>How many evaluations the first rounds of a run have.</summary>
    /// <param name="rounds">That have changed the model.</param>
    /// <param name="last">The run's number of rounds.</param>
    public static long Evaluations(int every, int rounds, int last) => (rounds / every) + (rounds == last && rounds % every != 0 ? 1 : 0);
}

/// <param name="Threshold">t, the members that have to answer; null: the least that resists one lying or restored member among all sites.</param>
/// <param name="OnCommitteeLoss">What a run does when fewer than t members can answer.</param>
/// <param name="Cut">Values of an update (not weighted) beyond ±this are cut, and counted. Positive.</param>
/// <param name="Bits">The least precision of a value; fewer bits give smaller uploads. Null: one value a coefficient.</param>
/// <param name="MaxWeight">A site's number of examples counts up to this.</param>
/// <param name="MaxOpenings">Of one key epoch.</param>
public sealed record SecureAggregationSpec(int? Threshold = null, CommitteeLoss OnCommitteeLoss = CommitteeLoss.Wait, double Cut = 8, int? Bits = null, int MaxWeight = 10_000, int MaxOpenings = 100)
{
    public const int LeastBits = 6, MostBits = 24;
}

public enum CommitteeLoss
{
    /// <summary>The run waits until members are back.</summary>
    Wait,

    /// <summary>The run fails.</summary>
    Abort,
}

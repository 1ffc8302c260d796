namespace Federation.Formats.Runs;

/// <summary>How the coordinator makes the next global model of a round.</summary>
/// <param name="Numbers">What the kind takes, by name, defaults included.</param>
/// <param name="Name">Of one's own strategy; null for the others.</param>
public sealed record StrategySpec(StrategyKind Kind, IReadOnlyDictionary<string, double> Numbers, string? Name = null)
{
    public static readonly StrategySpec FedAvg = new(StrategyKind.FedAvg, new Dictionary<string, double>());

    /// <summary>Whether it works on the single updates: not under secure aggregation, where only their sum is opened.</summary>
    public bool SeesUpdates => Kind is StrategyKind.Median or StrategyKind.TrimmedMean or StrategyKind.Krum or StrategyKind.NormBound or StrategyKind.FedBuff;

    /// <summary>Whether the mean of a number of the sites' is opened beside that of the updates.</summary>
    public bool HasScalar => Kind is StrategyKind.FedNova or StrategyKind.QFedAvg;

    /// <summary>Whether every site counts the same, however many examples it has.</summary>
    public bool CountsSitesAlike => Kind is StrategyKind.QFedAvg or StrategyKind.Scaffold;

    /// <summary>One of its numbers.</summary>
    /// <exception cref="KeyNotFoundException">It has no such number.</exception>
    public double this[string name] => Numbers[name];

    internal int Count(string name) => (int)Numbers[name];
}

public enum StrategyKind
{
    /// <summary>McMahan et al. 2017, Algorithm 1: the mean of the sites' models weighted by their examples.</summary>
    FedAvg,

    /// <summary>Hsu, Qi, Brown 2019: momentum at the coordinator.</summary>
    FedAvgM,

    /// <summary>Reddi et al. 2021, Algorithm 2, and so the next two.</summary>
    FedAdagrad,
    FedAdam,
    FedYogi,

    /// <summary>Yin et al. 2018, Definition 1: in each coordinate; each site counts the same.</summary>
    Median,

    /// <summary>Yin et al. 2018, Definition 2.</summary>
    TrimmedMean,

    /// <summary>Blanchard et al. 2017, with as many kept as the spec says (Multi-Krum).</summary>
    Krum,

    /// <summary>Sun et al. 2019: updates longer than a bound are shortened to it.</summary>
    NormBound,

    /// <summary>Wang et al. 2020: what a site's model moved by is divided by how far its steps can move it.</summary>
    FedNova,

    /// <summary>Karimireddy et al. 2020, Algorithm 1 with option II: control variates correct each step.</summary>
    Scaffold,

    /// <summary>Li et al. 2020, Algorithm 2: sites count by their loss.</summary>
    QFedAvg,

    /// <summary>Of the coordinator's own program, by its name.</summary>
    Custom,

    /// <summary>Nguyen et al. 2022, Algorithm 1: asynchronous, a step whenever so many updates have come.</summary>
    FedBuff,
}

using Federation.Formats.Yaml;

namespace Federation.Formats.Runs;

/// <summary>How the training examples are dealt out to a simulation's clients. The run's seed fixes it.</summary>
/// <param name="MinExamples">The fewest examples that a client may end up with; at least 1.</param>
public sealed record PartitionSpec(PartitionKind Kind, int MinExamples = 1)
{
    /// <summary><c>iid</c>, which is what an absent partition means.</summary>
    public static readonly PartitionSpec Iid = new(PartitionKind.Iid);

    /// <summary>dirichlet, dirichlet-by-label and quantity: the concentration, in (0, 1,000,000]; small is skewed.</summary>
    public double Alpha { get; init; }

    /// <summary>power-law: client k (from 1) gets a share in proportion to k^−exponent; in (0, 10].</summary>
    public double Exponent { get; init; }

    /// <summary>shards: of each client, 1 to 10,000.</summary>
    public int ShardsPerClient { get; init; }

    /// <summary>noise: the last client's variance, of features as they are normalised; in (0, 1000].</summary>
    public double Level { get; init; }

    /// <summary>rotation: the last client's angle in degrees; in (0, 360].</summary>
    public double Degrees { get; init; }

    /// <summary>natural: the column of the table whose values are the clients.</summary>
    public string? Column { get; init; }

    /// <summary>file: path of a CSV file with the heading <c>index,client</c>, relative to the spec's folder.</summary>
    public string? Path { get; init; }

    /// <param name="yaml">The fields of <c>partition</c> as a document of their own.</param>
    /// <param name="file">Named in errors.</param>
    /// <exception cref="InvalidInputException">Every problem: file, line, field, and what would be right.</exception>
    public static PartitionSpec Parse(string yaml, string file)
    {
        List<Problem> problems = [];
        PartitionSpec spec = PartitionReader.ReadMap(new FieldReader(YamlReader.Read(yaml, file), file, problems));
        return problems.Count == 0 ? spec : throw new InvalidInputException([.. problems.OrderBy(problem => problem.Line)]);
    }
}

public enum PartitionKind
{
    /// <summary><c>iid</c>: a shuffle dealt out in equal parts.</summary>
    Iid,

    /// <summary><c>dirichlet</c>: each client's mix of labels is drawn from Dirichlet(alpha · p), p the labels' shares in the whole; equal parts (Hsu, Qi, Brown 2019).</summary>
    Dirichlet,

    /// <summary><c>dirichlet-by-label</c>: each label's examples are dealt to the clients by shares from Dirichlet(alpha); unequal parts (Yurochkin et al. 2019; Li et al. 2022).</summary>
    DirichletByLabel,

    /// <summary><c>shards</c>: examples sorted by label, cut into equal shards, so many of them to each client.</summary>
    Shards,

    /// <summary><c>quantity</c>: labels alike, shares of the examples drawn from Dirichlet(alpha).</summary>
    Quantity,

    /// <summary><c>power-law</c>: labels alike, shares of the examples by a power law.</summary>
    PowerLaw,

    /// <summary><c>noise</c>: iid, with normal noise on the features whose variance rises from client to client.</summary>
    Noise,

    /// <summary><c>rotation</c>: iid, with images turned by an angle that rises from client to client.</summary>
    Rotation,

    /// <summary><c>natural</c>: the values of a table's column are the clients.</summary>
    Natural,

    /// <summary><c>file</c>: as a file says.</summary>
    File,
}

using Federation.Formats.Yaml;

namespace Federation.Formats.Runs;

/// <summary>Which examples a simulation deals out to its clients, and which public ones it is measured on.</summary>
/// <param name="Path">A folder, or for npz and csv a file, relative to the spec's folder. Null: the folder of the kind's name in <c>FED_DATA</c>; never of npz and csv.</param>
/// <param name="Normalization">Of images; public constants, never taken from the examples.</param>
public sealed record SimulatedData(SimulatedDataKind Kind, string? Path, ImageNormalization Normalization)
{
    /// <summary>Labels of npz and synthetic are 0 to this, exclusive; 2 to 65,536. The other kinds know.</summary>
    public int? Classes { get; init; }

    /// <summary>csv: path of the data schema, relative to the spec's folder; null: the run's own (<c>data.schema</c>).</summary>
    public string? Schema { get; init; }

    /// <summary>csv: the schema's label; null: the run's own (<c>task.label</c>).</summary>
    public string? Label { get; init; }

    /// <summary>csv: adds a 0/1 feature for every column that may be missing.</summary>
    public bool MissingIndicators { get; init; } = true;

    /// <summary>Of the kind synthetic, and no other.</summary>
    public SyntheticData? Synthetic { get; init; }

    /// <param name="yaml">The fields of <c>data</c> as a document of their own.</param>
    /// <param name="file">Named in errors.</param>
    /// <exception cref="InvalidInputException">Every problem: file, line, field, and what would be right.</exception>
    public static SimulatedData Parse(string yaml, string file)
    {
        List<Problem> problems = [];
        var fields = new FieldReader(YamlReader.Read(yaml, file), file, problems);
        SimulatedData data = SimulatedDataReader.ReadMap(fields);
        return problems.Count == 0 ? data : throw new InvalidInputException([.. problems.OrderBy(problem => problem.Line)]);
    }
}

public enum SimulatedDataKind
{
    /// <summary><c>mnist</c>: four idx files, 28 × 28, ten digits.</summary>
    Mnist,

    /// <summary><c>fashion-mnist</c>: the same files with ten kinds of clothing.</summary>
    FashionMnist,

    /// <summary><c>cifar10</c>: the binary version's six batches, 3 × 32 × 32.</summary>
    Cifar10,

    /// <summary><c>npz</c>: arrays named as in MedMNIST.</summary>
    Npz,

    /// <summary><c>csv</c>: a table with a schema.</summary>
    Csv,

    /// <summary><c>synthetic</c>: made up, for trials of speed and of protocols.</summary>
    Synthetic,
}

/// <summary>How pixels 0 to 255 become features.</summary>
/// <param name="Mean">Of each channel, of pixels scaled to [0, 1]; one value is every channel's.</param>
/// <param name="Deviation">As many, positive.</param>
/// <param name="PerRecord">Each image by its own mean and deviation instead, which say nothing of any other.</param>
public sealed record ImageNormalization(IReadOnlyList<double> Mean, IReadOnlyList<double> Deviation, bool PerRecord = false)
{
    /// <summary><c>none</c>: pixels in [0, 1].</summary>
    public static readonly ImageNormalization None = new([0], [1]);

    /// <summary><c>per-record</c>.</summary>
    public static readonly ImageNormalization ByRecord = new([0], [1], PerRecord: true);

    /// <summary>Published constants of a data set's training images; elsewhere <see cref="None"/>.</summary>
    public static ImageNormalization Usual(SimulatedDataKind kind) => kind switch
    {
        SimulatedDataKind.Mnist => new([0.1307], [0.3081]),
        SimulatedDataKind.FashionMnist => new([0.2860], [0.3530]),
        SimulatedDataKind.Cifar10 => new([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
        _ => None,
    };
}

/// <summary>Points around one centre a class: made when they are read, so that any number of them takes no memory.</summary>
/// <param name="Examples">For training; 1 to 100,000,000.</param>
/// <param name="TestExamples">At least 1.</param>
/// <param name="Shape">Of an example: [features], or [channels, height, width].</param>
/// <param name="Separation">Centres are uniform in [−separation, separation], examples are normal around them with deviation 1.</param>
public sealed record SyntheticData(int Examples, int TestExamples, IReadOnlyList<int> Shape, double Separation);

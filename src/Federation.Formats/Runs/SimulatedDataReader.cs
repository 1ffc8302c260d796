using Federation.Formats.Yaml;

namespace Federation.Formats.Runs;

/// <summary>Reads <c>data</c> of a simulation.</summary>
internal static class SimulatedDataReader
{
    private const int MostExamples = 100_000_000, MostClasses = 65_536, LargestSide = 1_000_000, MostChannels = 4;

    private static readonly Dictionary<string, SimulatedDataKind> Kinds = new()
    {
        ["mnist"] = SimulatedDataKind.Mnist,
        ["fashion-mnist"] = SimulatedDataKind.FashionMnist,
        ["cifar10"] = SimulatedDataKind.Cifar10,
        ["npz"] = SimulatedDataKind.Npz,
        ["csv"] = SimulatedDataKind.Csv,
        ["synthetic"] = SimulatedDataKind.Synthetic,
    };

    /// <summary>Whose each field is, where it is not everybody's.</summary>
    private static readonly (string Field, SimulatedDataKind[] Kinds)[] s_owners =
    [
        ("path", [SimulatedDataKind.Mnist, SimulatedDataKind.FashionMnist, SimulatedDataKind.Cifar10, SimulatedDataKind.Npz, SimulatedDataKind.Csv]),
        ("normalization", [SimulatedDataKind.Mnist, SimulatedDataKind.FashionMnist, SimulatedDataKind.Cifar10, SimulatedDataKind.Npz]),
        ("classes", [SimulatedDataKind.Npz, SimulatedDataKind.Synthetic]),
        ("schema", [SimulatedDataKind.Csv]),
        ("label", [SimulatedDataKind.Csv]),
        ("missingIndicators", [SimulatedDataKind.Csv]),
        ("examples", [SimulatedDataKind.Synthetic]),
        ("testExamples", [SimulatedDataKind.Synthetic]),
        ("shape", [SimulatedDataKind.Synthetic]),
        ("separation", [SimulatedDataKind.Synthetic]),
    ];

    /// <param name="fields">The map that has the field <c>data</c>.</param>
    /// <returns>Null: it is absent, or no map (then the problem is noted).</returns>
    public static SimulatedData? Read(FieldReader fields, bool required) => fields.Map("data", required) is { } data ? ReadMap(data) : null;

    public static SimulatedData ReadMap(FieldReader data)
    {
        SimulatedDataKind kind = data.Choice("kind", Kinds);
        bool isFile = kind is SimulatedDataKind.Npz or SimulatedDataKind.Csv;
        var read = new SimulatedData(kind, isFile ? data.Text("path") : data.OptionalText("path"), ReadNormalization(data, kind))
        {
            Classes = data.Has("classes") || kind is SimulatedDataKind.Npz or SimulatedDataKind.Synthetic ? (int)data.Integer("classes", 2, MostClasses) : null,
            Schema = data.OptionalText("schema"),
            Label = data.OptionalText("label"),
            MissingIndicators = data.Boolean("missingIndicators", true),
            Synthetic = ReadSynthetic(data, kind),
        };
        foreach ((string field, SimulatedDataKind[] owners) in s_owners.Where(owner => data.Has(owner.Field) && !owner.Kinds.Contains(kind)))
        {
            data.Add(field, $"belongs to kind: {string.Join(" or ", Kinds.Where(entry => owners.Contains(entry.Value)).Select(entry => entry.Key))}.", "Remove it.");
        }

        data.Close();
        return read;
    }

    private static SyntheticData? ReadSynthetic(FieldReader data, SimulatedDataKind kind)
    {
        bool isMade = kind == SimulatedDataKind.Synthetic;
        List<int> shape = [];
        foreach (YamlValue size in data.List("shape", required: isMade))
        {
            if (size is YamlScalar scalar && YamlText.TryInteger(scalar.Text, out long number) && number is >= 1 and <= LargestSide) shape.Add((int)number);
            else data.Add("shape", $"{FieldReader.Show(size)} is no size; whole numbers from 1 to {LargestSide} are right.");
        }

        if (isMade && data.Has("shape") && (shape.Count is not (1 or 3) || shape.Aggregate(1.0, (product, size) => product * size) > LargestSide))
        {
            data.Add("shape", $"is none of an example: one or three sizes whose product is at most {LargestSide} are right.", "Write [20] for a table, or [1, 28, 28] for an image: channels, height, width.");
        }

        // Asked for in every kind, so that the reader knows the names.
        int examples = Count(data, "examples", isMade), test = Count(data, "testExamples", isMade);
        double separation = data.Number("separation", value => value is >= 0 and <= 1000, "in [0, 1000]", 1);
        return isMade ? new SyntheticData(examples, test, shape, separation) : null;
    }

    private static int Count(FieldReader data, string name, bool required) => (int)data.Integer(name, 1, MostExamples, required ? null : 1);

    private static ImageNormalization ReadNormalization(FieldReader data, SimulatedDataKind kind)
    {
        switch (data.Value("normalization"))
        {
            case null: return ImageNormalization.Usual(kind);
            case YamlScalar { Text: "none" }: return ImageNormalization.None;
            case YamlScalar { Text: "per-record" }: return ImageNormalization.ByRecord;
            case YamlMap: return ReadConstants(data.Map("normalization", required: true)!);
            case var value:
                data.Add("normalization", $"{FieldReader.Show(value)} is not known.", "Write none, per-record, or public constants such as { mean: 0.1307, deviation: 0.3081 }.");
                return ImageNormalization.None;
        }
    }

    private static ImageNormalization ReadConstants(FieldReader map)
    {
        double[] mean = Numbers(map, "mean", value => value is >= 0 and <= 1, "in [0, 1]"), deviation = Numbers(map, "deviation", value => value is > 0 and <= 1, "in (0, 1]");
        if (map.Has("mean") && map.Has("deviation") && mean.Length != deviation.Length) map.Add("deviation", $"has {deviation.Length} values and mean {mean.Length}; as many are right.");
        map.Close();
        return new(mean, deviation);
    }

    private static double[] Numbers(FieldReader map, string name, Func<double, bool> valid, string rule)
    {
        if (map.Value(name) is not YamlList list) return [map.Number(name, valid, rule)];
        if (list.Items.Count is 0 or > MostChannels) map.Add(name, $"has {list.Items.Count} values; one for each of an image's 1 to {MostChannels} channels is right.");
        List<double> numbers = [];
        foreach (YamlValue value in list.Items)
        {
            if (value is YamlScalar scalar && YamlText.TryNumber(scalar.Text, out double number) && valid(number)) numbers.Add(number);
            else map.Add(name, $"{FieldReader.Show(value)} is not allowed; a number {rule} is right.");
        }

        return [.. numbers];
    }
}

using Federation.Formats.Yaml;

namespace Federation.Formats.Runs;

public sealed partial record RunSpec
{
    private static readonly Dictionary<string, Scaling> Scalings = new() { ["public-ranges"] = Scaling.PublicRanges, ["per-site"] = Scaling.PerSite };
    internal static readonly Dictionary<string, ModelKind> Models = new() { ["logistic"] = ModelKind.Logistic, ["mlp"] = ModelKind.Mlp, ["custom"] = ModelKind.Custom };
    private static readonly Dictionary<string, OptimizerKind> Optimizers = new() { ["sgd"] = OptimizerKind.Sgd, ["adam"] = OptimizerKind.Adam, ["adamw"] = OptimizerKind.AdamW };
    private static readonly string[] MetricNames = ["accuracy", "auc", "log-loss", "brier"];

    private static readonly Dictionary<string, TaskKind> Tasks = new()
    {
        ["binary-classification"] = TaskKind.BinaryClassification,
        ["multiclass-classification"] = TaskKind.MulticlassClassification,
    };

    /// <exception cref="InvalidInputException">Every problem: file, line, field, and what would be right.</exception>
    public static RunSpec Load(string path) => Parse(TextFile.Read(path), path);

    /// <param name="file">Named in errors.</param>
    /// <exception cref="InvalidInputException">Every problem: file, line, field, and what would be right.</exception>
    public static RunSpec Parse(string yaml, string file) => Parse(YamlReader.Read(yaml, file), file, simulated: false);

    /// <summary>A spec for <c>fed simulate</c>: it says <c>simulation</c>, and <c>data</c> and <c>task</c> may be absent, because the simulation's examples say what they are.</summary>
    /// <param name="file">Named in errors.</param>
    /// <exception cref="InvalidInputException">Every problem: file, line, field, and what would be right.</exception>
    /// <param name="changes">Fields by their dotted paths, and what stands there instead.</param>
    public static RunSpec ParseSimulation(string yaml, string file, params IEnumerable<(string Field, string Value)> changes) =>
        Parse(changes.Aggregate(YamlReader.Read(yaml, file), (map, change) => FieldChange.In(map, change.Field, change.Value)), file, simulated: true);

    private static RunSpec Parse(YamlMap map, string file, bool simulated)
    {
        List<Problem> problems = [];
        var fields = new FieldReader(map, file, problems);
        RunSpec spec = fields.Has("statistics") ? StatisticsReader.Read(fields, ReadData(fields, required: true), CohortReader.Read(fields)) : ReadTraining(fields, simulated);
        if (simulated && spec.Statistics is not null) fields.Add("statistics", "opens one sum of tables and trains nothing; there is nothing to simulate.", "Write model, rounds, seed, local and privacy.");
        spec = spec with { Simulation = SimulationReader.Read(fields) };
        if (simulated && spec.Simulation is null && !fields.Has("simulation")) fields.Add("simulation", "is missing: it says how many clients there are, and of what examples.", "Write simulation: { clients: 100, … } (docs/simulation.md).");
        if (spec.SecureAggregation is not null && fields.Map("cohort", required: false)?.Has("minContributors") == true && spec.Cohort.MinContributors < SecureAggregationReader.FewestContributors)
        {
            fields.Add("cohort", $"minContributors is {spec.Cohort.MinContributors}; with secure aggregation at least {SecureAggregationReader.FewestContributors} sites must contribute, because of two each would know the other's update.", "Raise it, or write 'secureAggregation: none'.");
        }

        if (spec is { SecureAggregation.MaxOpenings: 1, Evaluate: not null }) fields.Add("secureAggregation", "maxOpenings is 1; a round that is evaluated opens 2 sums with one key, its update's and its evaluation's.", "Write maxOpenings: 2 or more, or remove 'evaluate'.");
        fields.Close();
        return problems.Count == 0 ? spec : throw new InvalidInputException([.. problems.OrderBy(problem => problem.Line)]);
    }

    private static RunSpec ReadTraining(FieldReader fields, bool simulated)
    {
        ModelSpec model = ReadModel(fields);
        bool custom = model.Kind == ModelKind.Custom;
        var spec = new RunSpec
        {
            Name = fields.Text("name", Names.IsSiteName, Names.Rule),
            Data = ReadData(fields, required: !custom && !simulated),
            Model = model,
            Task = ReadTask(fields, required: !custom && !simulated),
            Rounds = (int)fields.Integer("rounds", 1, 1_000_000),
            Seed = fields.Unsigned("seed"),
            Cohort = CohortReader.Read(fields),
            Local = ReadLocal(fields),
            Strategy = StrategyReader.Read(fields),
            Personal = PersonalReader.Read(fields),
            SecureAggregation = SecureAggregationReader.Read(fields),
            Evaluate = ReadEvaluate(fields),
        };
        spec = spec with { Privacy = PrivacyReader.Read(fields, spec) };
        spec = spec with { Schedule = ScheduleReader.Read(fields, spec), Stop = ScheduleReader.ReadStop(fields, spec) };
        LearningRateReader.Check(fields, spec);
        StrategyReader.Check(fields, spec);
        PersonalReader.Check(fields, spec);
        if (spec.Privacy is null && spec.Evaluate?.NoiseMultiplier is not null) fields.Add("evaluate", "noiseMultiplier belongs to differential privacy; the run has none.", "Remove it, or write privacy.");
        if (custom && (fields.Has("data") || fields.Has("task"))) fields.Add("model", "A custom model brings its own data and loss; 'data' and 'task' have no meaning.", "Remove both.");
        return spec;
    }

    private static DataSpec? ReadData(FieldReader fields, bool required)
    {
        if (fields.Map("data", required) is not { } data) return null;
        var spec = new DataSpec(data.Text("schema"), data.Choice<Scaling>("scaling", Scalings, Scaling.PublicRanges), data.Boolean("missingIndicators", true));
        data.Close();
        return spec;
    }

    private static ModelSpec ReadModel(FieldReader fields)
    {
        if (fields.Map("model", required: true) is not { } model) return new ModelSpec(ModelKind.Logistic, []);
        ModelKind kind = model.Choice("kind", Models);
        List<int> hidden = [];
        foreach (YamlValue width in model.List("hidden", required: kind == ModelKind.Mlp))
        {
            if (width is YamlScalar scalar && YamlText.TryInteger(scalar.Text, out long number) && number is >= 1 and <= 65_536) hidden.Add((int)number);
            else model.Add("hidden", $"{FieldReader.Show(width)} is no width; whole numbers from 1 to 65536 are right.");
        }

        if (kind == ModelKind.Mlp && model.Has("hidden") && hidden.Count is 0 or > 16) model.Add("hidden", $"{hidden.Count} layers are not allowed; 1 to 16 are right.");
        if (kind != ModelKind.Mlp && model.Has("hidden")) model.Add("hidden", "only an mlp has hidden layers.", "Remove it, or write kind: mlp.");
        var spec = new ModelSpec(kind, hidden, model.OptionalText("initial"));
        model.Close();
        return spec;
    }

    private static TaskSpec? ReadTask(FieldReader fields, bool required)
    {
        if (fields.Map("task", required) is not { } task) return null;
        var spec = new TaskSpec(task.Choice("kind", Tasks), task.Text("label"));
        task.Close();
        return spec;
    }

    private static LocalSpec ReadLocal(FieldReader fields)
    {
        var harmless = new OptimizerSpec(OptimizerKind.Sgd, 1);
        if (fields.Map("local", required: true) is not { } local) return new LocalSpec(harmless, 1, 1);
        OptimizerSpec optimizer = local.Map("optimizer", required: true) is { } reader ? ReadOptimizer(reader) : harmless;
        var spec = new LocalSpec(optimizer, (int)local.Integer("batchSize", 1, 1_000_000), (int)local.Integer("epochs", 1, 10_000, fallback: 1), local.Number("proximal", value => value is >= 0 and <= 1000, "in [0, 1000]", 0))
        {
            RateSchedule = LearningRateReader.Read(local),
            WeightAverage = local.Number("weightAverage", value => value is >= 0 and < 1, "in [0, 1)", 0),
            MicroBatchSize = local.Has("microBatchSize") ? (int)local.Integer("microBatchSize", 1, 1_000_000) : null,
        };
        if (spec.MicroBatchSize > spec.BatchSize && local.Has("batchSize")) local.Add("microBatchSize", $"{spec.MicroBatchSize} is more than the batchSize of {spec.BatchSize}, which is then never parted.", "Lower it, or remove it.");
        local.Close();
        return spec;
    }

    private static OptimizerSpec ReadOptimizer(FieldReader optimizer)
    {
        OptimizerKind kind = optimizer.Choice("kind", Optimizers);
        var spec = new OptimizerSpec(
            kind,
            optimizer.Number("learningRate", rate => rate is > 0 and <= 1000, "in (0, 1000]"),
            optimizer.Number("momentum", momentum => momentum is >= 0 and < 1, "in [0, 1)", 0),
            optimizer.Number("weightDecay", decay => decay is >= 0 and <= 1000, "in [0, 1000]", 0));
        if (kind != OptimizerKind.Sgd && optimizer.Has("momentum")) optimizer.Add("momentum", "only sgd has momentum.", "Remove it.");
        optimizer.Close();
        return spec;
    }

    private static EvaluateSpec? ReadEvaluate(FieldReader fields)
    {
        if (fields.Map("evaluate", required: false) is not { } evaluate) return null;
        IReadOnlyList<string> metrics = evaluate.Has("metrics") ? evaluate.Texts("metrics") : ["accuracy", "auc"];
        foreach (string metric in metrics.Where(metric => !MetricNames.Contains(metric)))
        {
            evaluate.Add("metrics", $"'{metric}' is not known.", Nearest.Repair(metric, MetricNames));
        }

        double? noise = evaluate.Has("noiseMultiplier") ? evaluate.Number("noiseMultiplier", value => value is > 0 and <= 1e6, "in (0, 1000000]") : null;
        var spec = new EvaluateSpec((int)evaluate.Integer("every", 1, 1_000_000), metrics, noise);
        evaluate.Close();
        return spec;
    }
}

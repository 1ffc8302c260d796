using System.CommandLine;
using Federation.Cli.CommandLine;
using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Formats;
using Federation.Privacy.Accounting;
using Federation.Privacy.Ledger;
using static System.FormattableString;

namespace Federation.Cli.Verbs;

/// <summary><c>fed privacy</c>: what releases cost, before they happen and after. Nothing leaves the machine.</summary>
internal static class PrivacyVerbs
{
    private static readonly Option<double?> Delta = Numbers.Real("--delta", "δ, in (0, 1).", "delta");

    private static readonly Option<double?> Epsilon = Numbers.Real("--epsilon", "The ε to stay within.", "epsilon");

    private static readonly Option<string> Accountant = new("--accountant") { Description = "pld (tight), rdp (the usual list of orders) or rdp-continuous (the best real order).", HelpName = "name", DefaultValueFactory = _ => "pld" };

    private static readonly Option<string> Relation = new("--relation") { Description = "add-or-remove-one or replace-one: what makes two data sets neighbours.", HelpName = "name", DefaultValueFactory = _ => "add-or-remove-one" };

    private static readonly Option<string?> EventsFile = new("--events") { Description = "A JSON array of privacy events; - for standard input.", HelpName = "events.json" };

    private static readonly Option<string?> BatchFile = new("--batch") { Description = "One JSON object a line, each with id, delta, accountant and events; - for standard input.", HelpName = "cases.jsonl" };

    private static readonly Option<double?> NoiseMultiplier = Numbers.Real("--noise-multiplier", "Noise standard deviation over sensitivity.", "sigma");

    private static readonly Option<double?> SamplingRate = Numbers.Real("--sampling-rate", "Of Poisson sampling, in (0, 1].", "q");

    private static readonly Option<long?> Steps = Numbers.Whole("--steps", "How often.", "n");

    private static readonly Option<long?> Examples = Numbers.Whole("--examples", "Records in the data set.", "n");

    private static readonly Option<long?> BatchSize = Numbers.Whole("--batch-size", "Expected number of records in a step.", "n");

    private static readonly Option<double?> Epochs = Numbers.Real("--epochs", "Passes over the data set.", "n");

    private const long MostExamples = 1_000_000_000_000_000;

    public static Verb Create() => new Verb("privacy", "What releases cost, what is left, and what it means.", "fed privacy plan --epsilon 3 --examples 60000 --batch-size 256 --epochs 10\nfed privacy report heart.ledger.db")
        .With(
            new Verb("epsilon", "ε of a list of privacy events, or of sampled Gaussian steps.", "fed privacy epsilon --noise-multiplier 1.1 --sampling-rate 0.01 --steps 1000 --delta 1e-5\nfed privacy epsilon --delta 1e-5 --accountant pld --events events.json --json\nfed privacy epsilon --batch cases.jsonl --json", "privacy-epsilon")
                .With(EventsFile, BatchFile, NoiseMultiplier, SamplingRate, Steps, Delta, Accountant, Relation).Does(EpsilonAsync),
            new Verb("calibrate", "The least noise for an ε; or the most steps, or the largest sampling rate, if that is what is left out.", "fed privacy calibrate --epsilon 2 --delta 1e-5 --sampling-rate 0.01 --steps 1000 --accountant pld --json", "privacy-calibrate")
                .With(Epsilon, Delta, NoiseMultiplier, SamplingRate, Steps, Accountant, Relation).Does(CalibrateAsync),
            new Verb("plan", "From a target ε, the data set's size, batch size and epochs: the noise multiplier, and a table of nearby choices.", "fed privacy plan --epsilon 3 --examples 60000 --batch-size 256 --epochs 10 --delta 1e-5", "privacy-plan")
                .With(Epsilon, Delta, Examples, BatchSize, Epochs, Accountant, Relation).Does(PlanAsync),
            LedgerVerbs.Ledger(),
            LedgerVerbs.Verify(),
            ReportVerb.Create(),
            PrivacyAuditVerb.Create());

    private static async Task<int> EpsilonAsync(Invocation invocation)
    {
        string[] given = [.. new[] { (EventsFile.Name, invocation.Get(EventsFile) is not null), (BatchFile.Name, invocation.Get(BatchFile) is not null), (NoiseMultiplier.Name, invocation.Get(NoiseMultiplier) is not null) }.Where(option => option.Item2).Select(option => option.Item1)];
        if (given.Length != 1) throw new InvalidInputException(new Problem(given.Length == 0 ? "There are no events." : $"{string.Join(" and ", given)} exclude each other.", Repair: "One of --events, --batch and --noise-multiplier is right."));
        string? idle = new[] { (Steps.Name, invocation.Get(Steps) is not null), (SamplingRate.Name, invocation.Get(SamplingRate) is not null) }.FirstOrDefault(option => option.Item2).Item1;
        if (idle is not null && given[0] != NoiseMultiplier.Name) throw new InvalidInputException(new Problem($"{idle} and {given[0]} exclude each other.", Field: idle, Repair: "Write it into the events."));
        if (invocation.Get(BatchFile) is { } batch) return await PrivacyBatch.RunAsync(invocation, batch, invocation.Get(Delta) is { } common ? PrivacyCase.DeltaOf(common, Delta.Name) : null, invocation.Get(Accountant)!, invocation.Get(Relation)!);
        double delta = PrivacyCase.DeltaOf(Required(invocation, Delta), Delta.Name);
        IPrivacyAccountant accountant = PrivacyCase.AccountantOf(invocation.Get(Accountant)!, Accountant.Name);
        NeighboringRelation relation = PrivacyCase.RelationOf(invocation.Get(Relation)!, Relation.Name);
        IReadOnlyList<PrivacyEvent> events = invocation.Get(EventsFile) is { } file ? ReadEvents(file) : [Step(invocation)];
        double epsilon = new PrivacyCase(events, delta, accountant, relation).Epsilon();
        invocation.Output.Result(new EpsilonResult(epsilon, delta, accountant.Name, events.Count), double.IsPositiveInfinity(epsilon)
            ? Invariant($"ε = ∞: something is released without noise, or with too little to bound at δ = {delta}.")
            : Invariant($"ε = {epsilon:G6} at δ = {delta} by the {accountant.Name} accountant, under {LedgerNames.Of(relation)}"));
        return ExitCode.Done;
    }

    private static IReadOnlyList<PrivacyEvent> ReadEvents(string file)
    {
        using JsonPlaces json = JsonPlaces.Parse(file == "-" ? Console.In.ReadToEnd() : TextFile.Read(file), file, "events");
        return PrivacyCase.ReadEvents(json, json.Root, "events", file);
    }

    private static RepeatedEvent Step(Invocation invocation)
    {
        GaussianEvent one = new(Checked(Required(invocation, NoiseMultiplier), NoiseMultiplier.Name, value => new NoiseMultiplier(value)), Rate(invocation.Get(SamplingRate) ?? 1));
        return new RepeatedEvent(one, Count(invocation.Get(Steps) ?? 1));
    }

    private static Task<int> CalibrateAsync(Invocation invocation)
    {
        PrivacyLoss target = Target(invocation, Required(invocation, Delta));
        IPrivacyAccountant accountant = PrivacyCase.AccountantOf(invocation.Get(Accountant)!, Accountant.Name);
        (double? noise, double? rate, long? steps) = (invocation.Get(NoiseMultiplier), invocation.Get(SamplingRate), invocation.Get(Steps));
        switch (noise, rate, steps)
        {
            case (null, { } q, { } n):
            {
                SamplingRate sampling = Rate(q);
                long count = Count(n);
                NoiseMultiplier found = Calibrated(() => Calibration.NoiseMultiplier(accountant, target, sigma => [new RepeatedEvent(new GaussianEvent(sigma, sampling), count)]));
                invocation.Output.Result(new CalibrationResult(found.Value), Invariant($"noise multiplier {found.Value:G8}: ε ≤ {target.Epsilon} at δ = {target.Delta}"));
                return Task.FromResult(ExitCode.Done);
            }

            case ({ } sigma, { } q, null):
            {
                GaussianEvent step = new(Checked(sigma, NoiseMultiplier.Name, value => new NoiseMultiplier(value)), Rate(q));
                long found = Calibrated(() => Calibration.Steps(accountant, target, step));
                invocation.Output.Result(new CalibrationResult(null, Steps: found), Invariant($"{found} steps: ε ≤ {target.Epsilon} at δ = {target.Delta}"));
                return Task.FromResult(ExitCode.Done);
            }

            case ({ } sigma, null, { } n):
            {
                NoiseMultiplier known = Checked(sigma, NoiseMultiplier.Name, value => new NoiseMultiplier(value));
                long count = Count(n);
                SamplingRate found = Calibrated(() => Calibration.SamplingRate(accountant, target, q => [new RepeatedEvent(new GaussianEvent(known, q), count)]));
                invocation.Output.Result(new CalibrationResult(null, SamplingRate: found.Value), Invariant($"sampling rate {found.Value:G8}: ε ≤ {target.Epsilon} at δ = {target.Delta}"));
                return Task.FromResult(ExitCode.Done);
            }

            default:
                throw new InvalidInputException(new Problem("Two of noise multiplier, sampling rate and steps must be known; the third is found.", Repair: "Give exactly two of --noise-multiplier, --sampling-rate and --steps."));
        }
    }

    private static Task<int> PlanAsync(Invocation invocation)
    {
        long examples = Positive(Required(invocation, Examples), Examples.Name), batch = Positive(Required(invocation, BatchSize), BatchSize.Name);
        double epochs = Required(invocation, Epochs);
        if (examples > MostExamples) throw new InvalidInputException(new Problem($"{examples} is not possible.", Field: Examples.Name, Repair: $"At most {MostExamples} is right."));
        if (batch > examples) throw new InvalidInputException(new Problem($"A batch of {batch} is more than the {examples} records.", Field: BatchSize.Name));
        if (epochs is not (> 0 and <= 1e9)) throw new InvalidInputException(new Problem(Invariant($"{epochs} epochs are not possible."), Field: Epochs.Name, Repair: "A positive number is right."));
        double delta = invocation.Get(Delta) ?? Math.Min(0.1, 0.1 / examples);
        PrivacyLoss target = Target(invocation, delta);
        IPrivacyAccountant accountant = PrivacyCase.AccountantOf(invocation.Get(Accountant)!, Accountant.Name);
        (long Batch, double Epochs)[] choices = [.. from b in (double[])[0.5, 1, 2] from e in (double[])[0.5, 1, 2] let size = (long)Math.Clamp(Math.Round(b * batch), 1, examples) select (size, e * epochs)];
        PlanChoice[] all = [.. choices.Prepend((batch, epochs)).Distinct().AsParallel().AsOrdered().Select(choice => Choose(choice.Item1, choice.Item2))];
        PlanResult result = new(target.Epsilon, delta, accountant.Name, examples, all[0], [.. all.Skip(1)]);
        invocation.Output.Result(result, Lines(result, invocation.Get(Delta) is null));
        return Task.FromResult(ExitCode.Done);

        PlanChoice Choose(long size, double passes)
        {
            SamplingRate rate = new((double)size / examples);
            long count = Math.Max(1, (long)Math.Ceiling(passes * examples / size));
            double sigma = Calibrated(() => Calibration.NoiseMultiplier(accountant, target, noise => [new RepeatedEvent(new GaussianEvent(noise, rate), count)])).Value;
            return new(size, passes, rate.Value, count, sigma, sigma / size);
        }
    }

    private static IEnumerable<string> Lines(PlanResult plan, bool defaultDelta)
    {
        yield return Invariant($"Noise multiplier {plan.Choice.NoiseMultiplier:F4} keeps ε ≤ {plan.Epsilon} at δ = {plan.Delta:G3} over {plan.Choice.Steps} steps ({plan.Accountant} accountant).");
        if (defaultDelta) yield return Invariant($"δ is a tenth of 1/{plan.Examples}, because none was given: it should be well below one over the number of records.");
        yield return "";
        IEnumerable<PlanChoice> rows = plan.Nearby.Append(plan.Choice).OrderBy(row => row.BatchSize).ThenBy(row => row.Epochs);
        foreach (string line in TextTable.Lines([">batch", ">epochs", ">steps", ">sampling rate", ">noise multiplier", ">noise / batch", ""], rows.Select(row => (string[])[
            $"{row.BatchSize}", Invariant($"{row.Epochs:G4}"), $"{row.Steps}", Invariant($"{row.SamplingRate:G4}"), Invariant($"{row.NoiseMultiplier:F4}"), Invariant($"{row.NoisePerGradient:E2}"), row == plan.Choice ? "chosen" : ""])))
        {
            yield return line;
        }

        yield return "";
        yield return "noise / batch: what is left of the noise on a step's mean gradient, in clipping norms. Smaller is better for the model; privacy is the same in every row.";
    }

    private static PrivacyLoss Target(Invocation invocation, double delta)
    {
        double epsilon = Required(invocation, Epsilon);
        if (epsilon is not (> 0 and < double.PositiveInfinity)) throw new InvalidInputException(new Problem(Invariant($"ε = {epsilon} is not possible."), Field: Epsilon.Name, Repair: "A number above 0 is right."));
        return new(epsilon, PrivacyCase.DeltaOf(delta, Delta.Name), PrivacyCase.RelationOf(invocation.Get(Relation)!, Relation.Name));
    }

    private static T Calibrated<T>(Func<T> work)
    {
        try
        {
            return work();
        }
        catch (Exception error) when (error is UnreachableTargetException or UnsupportedEventException or OverflowException)
        {
            throw new InvalidInputException(new Problem(error.Message));
        }
    }

    private static T Required<T>(Invocation invocation, Option<T?> option)
        where T : struct => invocation.Get(option) ?? throw new InvalidInputException(new Problem($"{option.Name} is missing.", Field: option.Name, Repair: option.Description));

    private static SamplingRate Rate(double value) => Checked(value, SamplingRate.Name, rate => new SamplingRate(rate));

    private static T Checked<T>(double value, string field, Func<double, T> make)
    {
        try
        {
            return make(value);
        }
        catch (ArgumentOutOfRangeException error)
        {
            throw new InvalidInputException(new Problem(Invariant($"{value} is not possible. {error.Message.Split(" (Parameter")[0]}"), Field: field));
        }
    }

    private static long Count(long value) => Positive(value, Steps.Name);

    private static long Positive(long value, string field) => value > 0 ? value : throw new InvalidInputException(new Problem($"{value} is not possible.", Field: field, Repair: "A positive integer is right."));
}

using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Federation.Cli.CommandLine;
using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Formats;
using Federation.Formats.Data;
using Federation.Formats.Runs;
using Federation.Formats.Statistics;
using Federation.Privacy.Ledger;
using Federation.V1;
using Grpc.Core;

namespace Federation.Cli.Verbs;

/// <summary><c>fed data stats</c>: statistics over all sites' tables, from one opened sum.</summary>
internal static class StatisticsVerb
{
    private const int MostBytes = 64 << 20, Bar = 40;

    private static readonly Argument<string?> SchemaFile = new("SCHEMA") { Description = "The data schema, with public ranges for numbers.", Arity = ArgumentArity.ZeroOrOne };

    private static readonly Option<string?> Run = new("--run") { Description = "Show what an earlier run opened; asks nothing of the sites.", HelpName = "run" };

    private static readonly Option<string[]> Columns = new("--column") { Description = "A column; may be given again. Default: all that are not ignored.", HelpName = "name" };

    private static readonly Option<int> Bins = new("--bins") { Description = "Of a number's histogram over its public range.", DefaultValueFactory = _ => 50 };

    private static readonly Option<string[]> Sites = new("--site") { Description = "A site; may be given again. Default: all. Those whose policy does not allow it take no part. Members refuse a set that is almost one asked before.", HelpName = "name" };

    private static readonly Option<int> Least = new("--min-contributors") { Description = "At least so many sites in the sum; 3 or more.", DefaultValueFactory = _ => 3 };

    private static readonly Option<double?> Epsilon = Numbers.Real("--epsilon", "Add noise so that what is opened costs each record at most this ε; sites with a budget ask for it.", "epsilon");

    private static readonly Option<double?> Delta = Numbers.Real("--delta", "δ of --epsilon; default 1e-5.", "delta");

    private static readonly Option<string?> Noise = new("--noise") { Description = "With --epsilon: own, each site adds all the noise (default), or shared, the sites' parts add up to one.", HelpName = "own" };

    private static readonly Option<string> Deadline = new("--deadline") { Description = "How long sites are waited for.", HelpName = "10m", DefaultValueFactory = _ => "10m" };

    public static Verb Create() => new Verb(
        "stats", "Counts, missing values, mean, deviation and quantiles over all consenting sites: of the sums only the total is opened. Sites consent with `statistics: allowed` in the policy of their node.yaml.",
        "fed data stats heart-disease.schema.yaml --column age --column chol\nfed data stats heart-disease.schema.yaml --column age --bins 10 --epsilon 0.5 --noise shared\nfed data stats --run latest", "data-stats")
        .With(SchemaFile, Run, Columns, Bins, Sites, Least, Epsilon, Delta, Noise, Deadline, OperatorConnection.Key).With(OperatorConnection.Options).Does(StatsAsync);

    private static async Task<int> StatsAsync(Invocation invocation)
    {
        string? schemaPath = invocation.Arguments.GetValue(SchemaFile), earlier = invocation.Get(Run);
        if (schemaPath is null == earlier is null) throw new InvalidInputException(new Problem("Name a data schema to ask the sites, or --run to show what was opened.", Field: schemaPath is null ? "SCHEMA" : Run.Name));
        Submission? submission = schemaPath is null ? null : Prepare(invocation, schemaPath);
        using OperatorConnection connection = OperatorConnection.Open(invocation);
        string run = earlier ?? (await submission!.SendAsync(connection, invocation)).Run;
        if (submission is not null)
        {
            invocation.Output.Note($"Asked in run {run}.");
            if (RunWatcher.CodeOf(await RunWatcher.FollowAsync(connection.Client, run, invocation, printEvents: false)) is var code && code != ExitCode.Done) return code;
        }

        RunDetails details = await connection.Client.ShowRunAsync(new ShowRunRequest { RunId = run }, cancellationToken: invocation.Cancellation);
        if (details.StatisticsSha256.Length == 0) throw new InvalidInputException(new Problem($"The run {details.Summary.RunId} ({details.Summary.Name}) has opened no statistics.", Field: Run.Name, Repair: $"`fed run show {details.Summary.RunId}` says what it does."));
        FederatedStatistics statistics = await ReadAsync(connection.Client, details.StatisticsSha256, invocation.Cancellation);
        invocation.Output.Result(new StatisticsReport(details.Summary.RunId, statistics), Lines(statistics));
        return ExitCode.Done;
    }

    private static Submission Prepare(Invocation invocation, string schemaPath)
    {
        string schemaYaml = TextFile.Read(schemaPath);
        DataSchema schema = DataSchema.Parse(schemaYaml, schemaPath);
        string columns = invocation.Get(Columns) is { Length: > 0 } names ? $"columns: {YamlList(names)}, " : "", sites = invocation.Get(Sites) is { Length: > 0 } some ? YamlList(some) : "all";
        if (invocation.Get(Epsilon) is null && (invocation.Get(Delta) is not null || invocation.Get(Noise) is not null)) throw new InvalidInputException(new Problem("--delta and --noise belong to --epsilon.", Field: Epsilon.Name, Repair: "Say --epsilon 1."));
        string privacy = invocation.Get(Epsilon) is { } epsilon ? string.Create(CultureInfo.InvariantCulture, $", privacy: {{ noiseMultiplier: auto, maxEpsilon: {epsilon:R}, delta: {invocation.Get(Delta) ?? PrivacyBudget.UsualDelta:R}, noise: {YamlText(invocation.Get(Noise) ?? "own")} }}") : "";
        string yaml = string.Create(CultureInfo.InvariantCulture, $$"""
            name: statistics
            data: { schema: {{YamlText(Path.GetFileName(schemaPath))}} }
            statistics: { {{columns}}bins: {{invocation.Get(Bins)}}{{privacy}} }
            cohort: { sites: {{sites}}, minContributors: {{invocation.Get(Least)}}, deadline: {{YamlText(invocation.Get(Deadline)!)}} }

            """);
        RunSpec spec = RunSpec.Parse(yaml, "fed data stats");
        StatisticsQuery.Of(spec, schema);
        return new Submission(spec, yaml, schemaYaml, null);
    }

    // A JSON text is a YAML text, whatever is in it.
    private static string YamlText(string text) => JsonSerializer.Serialize(text);

    private static string YamlList(string[] texts) => $"[{string.Join(", ", texts.Select(YamlText))}]";

    private static async Task<FederatedStatistics> ReadAsync(Operator.OperatorClient client, string sha256, CancellationToken cancellation)
    {
        using var bytes = new MemoryStream();
        using AsyncServerStreamingCall<Chunk> call = client.DownloadModel(new DownloadRequest { Sha256 = sha256 }, cancellationToken: cancellation);
        await foreach (Chunk chunk in call.ResponseStream.ReadAllAsync(cancellation))
        {
            if (bytes.Length + chunk.Data.Length > MostBytes) throw new IOException($"The coordinator sends statistics of more than {MostBytes} bytes.");
            bytes.Write(chunk.Data.Span);
        }

        return JsonSerializer.Deserialize<FederatedStatistics>(bytes.ToArray(), JsonSerializerOptions.Web) ?? throw new IOException("The coordinator sent no statistics.");
    }

    private static IEnumerable<string> Lines(FederatedStatistics statistics)
    {
        yield return $"{statistics.Data}{(statistics.Version is { } version ? $", version {version}" : "")}: {statistics.Rows} rows of {string.Join(", ", statistics.Sites)}";
        if (statistics.NoiseDeviation is { } noise) yield return string.Create(CultureInfo.InvariantCulture, $"Every count has noise of standard deviation {noise:0.#}: differences of a few times that mean nothing.");
        ColumnStatistics[] numbers = [.. statistics.Columns.Where(column => column.Numbers is not null)];
        if (numbers.Length > 0)
        {
            yield return "";
            string[] quantiles = [.. (numbers.FirstOrDefault(column => column.Numbers!.Quantiles.Count > 0)?.Numbers!.Quantiles ?? []).Select(quantile => string.Create(CultureInfo.InvariantCulture, $">{quantile.Probability * 100:0.#} %"))];
            foreach (string line in TextTable.Lines(["column", "unit", ">count", ">missing", ">beyond", ">mean", ">deviation", .. quantiles, ">±"], numbers.Select(column => Row(column, quantiles.Length)))) yield return line;
            yield return "Quantiles come from the histogram and are right to ± one bin; values beyond the public range count as its nearer bound.";
        }

        foreach (ColumnStatistics column in statistics.Columns.Where(column => column.Categories is not null))
        {
            yield return "";
            yield return $"{column.Column}: {column.Count} values, {column.Missing} missing";
            ulong most = Math.Max(1, column.Categories!.Max(category => category.Count));
            foreach (string line in TextTable.Lines(["", ">count", ">share", ""], column.Categories!.Select(category => (string[])[category.Category, $"{category.Count}", Share(category.Count, column.Count), new string('█', (int)(Bar * category.Count / most))])).Skip(1)) yield return "  " + line;
        }
    }

    private static string[] Row(ColumnStatistics column, int quantiles)
    {
        NumberStatistics numbers = column.Numbers!;
        double bin = (numbers.Histogram.High - numbers.Histogram.Low) / numbers.Histogram.Counts.Count;
        IEnumerable<string> shown = numbers.Quantiles.Count == 0 ? Enumerable.Repeat("", quantiles) : numbers.Quantiles.Select(quantile => Figure(quantile.Value));
        return [column.Column, column.Unit ?? "", $"{column.Count}", $"{column.Missing}", $"{numbers.Below + numbers.Above}", Figure(numbers.Mean), Figure(numbers.StandardDeviation), .. shown, Figure(bin)];
    }

    private static string Figure(double? value) => value is { } number ? number.ToString("G5", CultureInfo.InvariantCulture) : "";

    private static string Share(ulong count, ulong of) => of == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"{100.0 * count / of:0.0} %");
}

using System.Globalization;
using Federation.Formats.Yaml;

namespace Federation.Formats.Configuration;

public sealed partial record NodeConfiguration
{
    private static readonly Dictionary<string, NodeRole> Roles = new() { ["trainer"] = NodeRole.Trainer, ["evaluator"] = NodeRole.Evaluator };

    /// <summary>Reads <c>node.yaml</c>; relative paths are relative to its folder.</summary>
    /// <param name="state">Overrides the file's state folder (<c>--state</c>, <c>FED_STATE</c>); relative to the current folder.</param>
    /// <exception cref="InvalidInputException">Every problem: file, line, field, and what would be right.</exception>
    public static NodeConfiguration Load(string path, string? state = null) => Parse(TextFile.Read(path), path, state);

    /// <summary>As <see cref="Load"/>, of a text that stands, or will stand, in the file.</summary>
    internal static NodeConfiguration Parse(string yaml, string path, string? state = null)
    {
        List<Problem> problems = [];
        var fields = new FieldReader(YamlReader.Read(yaml, path), path, problems);
        string folder = Path.GetDirectoryName(Path.GetFullPath(path)) ?? "/";
        string address = fields.Text("coordinator");
        if (!Uri.TryCreate(address, UriKind.Absolute, out Uri? coordinator) || coordinator.Scheme != Uri.UriSchemeHttps)
        {
            if (address.Length > 0) fields.Add("coordinator", $"'{address}' is no address of a coordinator; https://host:8443 is right.");
            coordinator = new Uri("https://invalid");
        }

        string? policyFile = fields.Value("policy") is YamlScalar { IsNull: false } ? Full(fields.Text("policy"), folder) : null;
        NodePolicy policy = policyFile is null ? PolicyReader.Read(fields) : NodePolicy.Load(policyFile);
        var configuration = new NodeConfiguration
        {
            Coordinator = coordinator,
            State = StateFolder.Resolve(state, fields.OptionalText("state"), folder),
            Role = fields.Choice<NodeRole>("role", Roles, NodeRole.Trainer),
            Device = fields.Text("device", "cpu"),
            Threads = (int)fields.Integer("threads", 1, 4096, 1),
            Labels = SiteLabels.Read(fields, "labels"),
            Data = [.. ReadData(fields, folder).Select(source => source with { Budget = source.Budget ?? policy.Budget })],
            Policy = policy,
            PolicyFile = policyFile,
        };
        fields.Close();
        return problems.Count == 0 ? configuration : throw new InvalidInputException([.. problems.OrderBy(problem => problem.Line)]);
    }

    private static List<DataSource> ReadData(FieldReader fields, string folder)
    {
        List<DataSource> sources = [];
        IReadOnlyList<YamlValue> entries = fields.List("data", required: false);
        for (int i = 0; i < entries.Count; i++)
        {
            if (fields.Entry("data", i, entries[i]) is not { } entry) continue;
            string id = entry.Text("id", Names.IsSiteName, Names.Rule);
            sources.Add(new DataSource(id, Path.GetFullPath(entry.Text("path"), folder), Full(entry.OptionalText("schema"), folder), Full(entry.OptionalText("split"), folder), Full(entry.OptionalText("ledger"), folder), PolicyReader.ReadBudget(entry), entry.OptionalText("person")));
            if (sources[^1].Ledger is { } ledger && Path.GetExtension(ledger) is not (".db" or ".sqlite")) entry.Add("ledger", $"'{Path.GetFileName(ledger)}' is no name of a ledger; one that ends in .db is right. Its key lies beside it and ends in .key.");
            if (sources.Count(source => source.Id == id) > 1) entry.Add("id", $"'{id}' names two data sets.");
            entry.Close();
        }

        return sources;
    }

    private static string? Full(string? path, string folder) => path is null ? null : Path.GetFullPath(path, folder);
}

public sealed partial record ServerConfiguration
{
    /// <summary>Reads <c>server.yaml</c>; relative paths are relative to its folder.</summary>
    /// <param name="state">Overrides the file's state folder (<c>--state</c>, <c>FED_STATE</c>); relative to the current folder.</param>
    /// <param name="store">Overrides the file's store (<c>--store</c>, <c>FED_STORE</c>), as <see cref="ConnectionString.Resolve"/> takes it; a file's name is relative to the current folder.</param>
    /// <exception cref="InvalidInputException">Every problem: file, line, field, and what would be right.</exception>
    public static ServerConfiguration Load(string path, string? state = null, string? store = null)
    {
        List<Problem> problems = [];
        var fields = new FieldReader(YamlReader.Read(TextFile.Read(path), path), path, problems);
        string own = fields.OptionalText("store") ?? "";
        var configuration = new ServerConfiguration
        {
            State = StateFolder.Resolve(state, fields.OptionalText("state"), Path.GetDirectoryName(Path.GetFullPath(path)) ?? "/"),
            Store = FirstStore(store) is { } other ? ConnectionString.Resolve(other, Environment.CurrentDirectory) : ConnectionString.Resolve(own, Path.GetDirectoryName(Path.GetFullPath(path)) ?? "/"),
            Nodes = ReadListener(fields, "nodes", "0.0.0.0:8443"),
            Operators = ReadListener(fields, "operators", "127.0.0.1:8444"),
            NodeBandwidth = ReadBandwidth(fields),
            Retention = ReadRetention(fields),
            SiteCertificates = fields.Duration("siteCertificates", ShortestCertificate, LongestCertificate, LifetimeRule, TimeSpan.FromDays(30)),
        };
        fields.Close();
        return problems.Count == 0 ? configuration : throw new InvalidInputException([.. problems.OrderBy(problem => problem.Line)]);
    }

    /// <summary>Without a file: the flag, else <c>FED_STORE</c>, else SQLite.</summary>
    /// <exception cref="InvalidInputException">As <see cref="ConnectionString.Resolve"/>.</exception>
    public static ConnectionString? ResolveStore(string? flag) => ConnectionString.Resolve(FirstStore(flag) ?? "", Environment.CurrentDirectory);

    private static string? FirstStore(string? flag) => flag is { Length: > 0 } ? flag : Environment.GetEnvironmentVariable("FED_STORE") is { Length: > 0 } variable ? variable : null;

    /// <summary>What a lifetime of sites' certificates looks like.</summary>
    public const string LifetimeRule = "1h to 730d, such as 12h or 30d";

    private static readonly TimeSpan ShortestCertificate = TimeSpan.FromHours(1), LongestCertificate = TimeSpan.FromDays(730);

    /// <summary>A lifetime of sites' certificates; null: the text is none.</summary>
    public static TimeSpan? ParseLifetime(string text) => YamlText.Duration(text, days: true) is { } lifetime && lifetime >= ShortestCertificate && lifetime <= LongestCertificate ? lifetime : null;

    /// <summary>What a bandwidth looks like.</summary>
    public const string BandwidthRule = "1kB to 100GB (powers of 1000), such as 500kB, 20MB or 1GB";

    /// <summary>Bytes a second; null: the text is no bandwidth.</summary>
    public static long? ParseBandwidth(string text)
    {
        (string Unit, long Bytes)[] units = [("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000)];
        foreach ((string unit, long bytes) in units)
        {
            if (!text.EndsWith(unit, StringComparison.Ordinal)) continue;
            return int.TryParse(text[..^unit.Length], NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number is >= 1 && number * (decimal)bytes <= 100_000_000_000 ? number * bytes : null;
        }

        return null;
    }

    private static long? ReadBandwidth(FieldReader fields)
    {
        if (fields.OptionalText("nodeBandwidth") is not { } text) return null;
        if (ParseBandwidth(text) is not { } bytes)
        {
            fields.Add("nodeBandwidth", $"'{text}' is no bandwidth; {BandwidthRule} a second is right.");
            return null;
        }

        return bytes;
    }

    private static RetentionRule? ReadRetention(FieldReader fields)
    {
        if (fields.Map("retention", required: false) is not { } retention) return null;
        var rule = new RetentionRule((int)retention.Integer("models", 1, 1_000_000), (int)retention.Integer("days", 0, 36_500, RetentionRule.DefaultDays));
        retention.Close();
        return rule;
    }

    private static string ReadListener(FieldReader fields, string name, string fallback)
    {
        string text = fields.Text(name, fallback);
        if (!IsListener(text)) fields.Add(name, $"'{text}' is no listener; address:port is right, such as {fallback}.");
        return text;
    }

    /// <summary>Whether the text is an IP address and a port.</summary>
    public static bool IsListener(string text) => System.Net.IPEndPoint.TryParse(text, out _) && text.Contains(':', StringComparison.Ordinal);
}

/// <summary>Where state lives: the flag, else <c>FED_STATE</c>, else the file's field, else <c>./fed-state</c>.</summary>
public static class StateFolder
{
    public const string Default = "fed-state";

    /// <param name="flag">From the command line, or null.</param>
    /// <param name="field">From a configuration file in <paramref name="folder"/>, or null.</param>
    /// <returns>An absolute path.</returns>
    public static string Resolve(string? flag, string? field = null, string? folder = null)
    {
        if (flag is { Length: > 0 }) return Path.GetFullPath(flag);
        if (Environment.GetEnvironmentVariable("FED_STATE") is { Length: > 0 } variable) return Path.GetFullPath(variable);
        return field is { Length: > 0 } ? Path.GetFullPath(field, folder ?? Environment.CurrentDirectory) : Path.GetFullPath(Default);
    }
}

using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Client;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Protocol.Identity;
using static System.FormattableString;

namespace Federation.Cli.Verbs;

/// <summary>Everything a node needs, looked at before its first run: its certificate, the coordinator and what that says of it, data, device, disk, budgets. Joins nothing.</summary>
internal static class NodeCheck
{
    private const long LeastFreeBytes = 256_000_000;

    public static async Task<NodeReport> OfAsync(NodeConfiguration configuration, CancellationToken cancellationToken)
    {
        using Credential? credential = LoadCredential(configuration.State, out List<CheckLine> lines);
        CoordinatorAnswer? answer = null;
        if (credential is not null) answer = await CoordinatorLines.AddAsync(lines, configuration.Coordinator, credential, cancellationToken);
        else lines.Add(new CheckLine("connection", false, $"{CoordinatorLines.Way(configuration.Coordinator)} was not called: without its certificate this site cannot show who it is.", "Enrol first, then check again."));
        if (configuration.Data.Count == 0) lines.Add(new CheckLine("data", false, "No data set is named; the node could take part in no run.", "Add data: [ { id: NAME, path: FILE.csv } ] to node.yaml."));
        NodeData[] data = [.. configuration.Data.Select(source => CheckData(source, lines))];
        lines.AddRange(Tried("device", () => Device(configuration.Device, configuration.Threads)));
        foreach (string folder in configuration.Data.Select(source => Path.GetDirectoryName(NodeLedgers.PathOf(configuration, source))!).Prepend(configuration.State).Distinct()) lines.AddRange(Tried("disk", () => Disk(folder)));
        if (configuration.Role == NodeRole.Trainer)
        {
            foreach (DataSource source in configuration.Data) lines.AddRange(Tried("budget", () => BudgetLines.Of(configuration, source, answer?.LedgerHeads)));
        }

        return new NodeReport(
            credential?.Name, credential?.Certificate.NotAfter.ToUniversalTime(), configuration.Coordinator, configuration.State, configuration.Role == NodeRole.Evaluator ? "evaluator" : "trainer",
            configuration.Device, configuration.Threads, data, lines);
    }

    public static IEnumerable<string> Lines(NodeReport report)
    {
        int width = report.Checks.Max(line => line.Check.Length);
        foreach (CheckLine line in report.Checks)
        {
            yield return $"{(line.Ok ? line.Repair is null ? "ok   " : "note " : "WRONG")}  {line.Check.PadRight(width)}  {line.Message}{(line.Repair is null ? "" : " " + line.Repair)}";
        }

        int wrong = report.Checks.Count(line => !line.Ok);
        yield return wrong == 0 ? "Nothing is wrong: `fed node` can be started." : $"{Text.Count((ulong)wrong, "check")} of {report.Checks.Count} found something wrong.";
    }

    private static Credential? LoadCredential(string state, out List<CheckLine> lines)
    {
        string path = Path.Combine(state, "identity.pem");
        lines = [];
        if (!File.Exists(path))
        {
            lines.Add(new CheckLine("certificate", false, $"This site has no certificate yet: there is no {path}.", "Run `fed node enroll` with the invitation that the operator sent."));
            return null;
        }

        Credential? credential = null;
        lines.AddRange(Tried("certificate", () =>
        {
            credential = Credential.Load(path, Path.Combine(state, "identity.key"));
            return CertificateLine(credential, path);
        }));
        return credential;
    }

    private static CheckLine CertificateLine(Credential credential, string path)
    {
        DateTimeOffset expires = credential.Certificate.NotAfter.ToUniversalTime();
        if (CertificateProfile.RoleOf(credential.Certificate) != CertificateRole.Site) return new CheckLine("certificate", false, $"{path} is not a site's certificate.", "Use what `fed node enroll` wrote.");
        return CertificateProfile.StatusOf(credential.Certificate, credential.CaCertificate, TimeProvider.System.GetUtcNow()) switch
        {
            CertificateStatus.OutOfDate => new CheckLine("certificate", false, $"The certificate is not valid now; it ends {Text.Local(expires)}.", "Check this machine's clock; where it is right, ask the operator for a new invitation."),
            CertificateStatus.Foreign => new CheckLine("certificate", false, $"The certificate in {path} was not issued by the CA beside it.", "Enrol again."),
            _ => new CheckLine("certificate", true, $"Site '{credential.Name}', valid until {Text.Local(expires)}; a node that runs renews it from {Text.Local(CertificateProfile.RenewalOf(credential.Certificate))} on."),
        };
    }

    private static NodeData CheckData(DataSource source, List<CheckLine> lines)
    {
        DataReport? report = null;
        lines.AddRange(Tried("data", () =>
        {
            if (source.Schema is not { } path)
            {
                TextFile.Read(source.Path);
                if (source.Split is { } split) TextFile.Read(split);
                return new CheckLine("data", true, $"'{source.Id}': {source.Path} can be read.", $"With schema: FILE.yaml in its entry it is compared with your own description of it.");
            }

            var schema = DataSchema.Load(path);
            if (schema.Name != source.Id) return new CheckLine("data", false, $"'{source.Id}': the schema {path} is of '{schema.Name}'.", "A node answers a run by the id; make both equal.");
            report = DataVerbs.Report(source, schema, new DataSpec(path), DataVerbs.OnlyTask(schema, path));
            return new CheckLine("data", true, $"'{source.Id}': {source.Path} fits its schema; {report.TrainRows} train and {report.TestRows} test rows, {report.RowsWithoutLabel} without a label.");
        }));
        return new NodeData(source.Id, source.Path, report);
    }

    private static CheckLine Device(string name, int threads)
    {
        TorchDevice.Parse(name);
        string message = $"{name}, {Text.Count((ulong)threads, "thread")}; this machine has {Text.Count((ulong)Environment.ProcessorCount, "processor")}.";
        return new CheckLine("device", true, message, threads > Environment.ProcessorCount ? $"More threads than processors are slower: threads: {Environment.ProcessorCount} in node.yaml." : null);
    }

    /// <summary>Whether files can be written there, and how much room there is.</summary>
    private static CheckLine Disk(string folder)
    {
        try
        {
            PrivateFile.CreateFolder(folder);
            using (File.Create(Path.Combine(folder, $".check-{Guid.NewGuid():N}"), 1, FileOptions.DeleteOnClose))
            {
            }

            long free = new DriveInfo(folder).AvailableFreeSpace;
            string message = $"{Text.Bytes((ulong)free)} are free in {folder}";
            return free < LeastFreeBytes
                ? new CheckLine("disk", false, $"Only {message}.", "Make room: models and updates are kept there while a run goes on. Or name another folder with state: in node.yaml.")
                : new CheckLine("disk", true, $"{message}, where files can be written.");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return new CheckLine("disk", false, $"No file can be written in {folder}: {error.Message}", "Give this user the right to write there, or name another folder with state: in node.yaml.");
        }
    }

    private static IReadOnlyList<CheckLine> Tried(string check, Func<CheckLine> look)
    {
        try
        {
            return [look()];
        }
        catch (InvalidInputException error)
        {
            return [.. error.Problems.Select(problem => new CheckLine(check, false, (problem with { Repair = null }).ToString(), problem.Repair))];
        }
    }
}

using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Protocol.Identity;

namespace Federation.Cli.Verbs;

/// <summary>Everything a node needs, looked at without joining: credential, device, data.</summary>
internal static class NodeCheck
{
    public static (NodeReport Report, IReadOnlyList<Problem> Problems) Of(NodeConfiguration configuration)
    {
        List<Problem> problems = [];
        (string? site, DateTimeOffset? expires) = CheckCredential(configuration.State, problems);
        Collect(problems, () => TorchDevice.Parse(configuration.Device));
        if (configuration.Data.Count == 0) problems.Add(new Problem("No data set is named; the node could take part in no run.", Field: "data", Repair: "Add data: [ { id: NAME, path: FILE.csv } ]."));
        NodeData[] data = [.. configuration.Data.Select(source => CheckData(source, problems))];
        var report = new NodeReport(
            site, expires, configuration.Coordinator, configuration.State, configuration.Role == NodeRole.Evaluator ? "evaluator" : "trainer",
            configuration.Device, configuration.Threads, data, [.. problems.Select(problem => problem.ToString())]);
        return (report, problems);
    }

    public static IEnumerable<string> Lines(NodeReport report)
    {
        yield return report.Site is { } site ? $"Site '{site}', certificate valid until {Text.Local(report.CertificateExpires)}" : "No usable credential";
        yield return $"Coordinator {report.Coordinator.GetLeftPart(UriPartial.Authority)}, role {report.Role}, device {report.Device}, {Text.Count((ulong)report.Threads, "thread")}";
        yield return $"State {report.State}";
        foreach (NodeData data in report.Data)
        {
            yield return data.Report is { } rows
                ? $"Data '{data.Id}': {data.Path}, {rows.TrainRows} train and {rows.TestRows} test rows, {rows.RowsWithoutLabel} without a label"
                : $"Data '{data.Id}': {data.Path}, not checked against a schema of its own";
        }

        yield return report.Problems.Count == 0 ? "Nothing is wrong." : $"{Text.Count((ulong)report.Problems.Count, "problem")}:";
    }

    private static (string? Site, DateTimeOffset? Expires) CheckCredential(string state, List<Problem> problems)
    {
        string path = Path.Combine(state, "identity.pem");
        if (!File.Exists(path))
        {
            problems.Add(new Problem("This site has no certificate yet.", path, Repair: "Run `fed node enroll` with the invitation that the operator sent."));
            return (null, null);
        }

        (string?, DateTimeOffset?) found = (null, null);
        Collect(problems, () =>
        {
            using Credential credential = Credential.Load(path, Path.Combine(state, "identity.key"));
            DateTimeOffset expires = credential.Certificate.NotAfter.ToUniversalTime();
            found = (credential.Name, expires);
            if (CertificateProfile.RoleOf(credential.Certificate) != CertificateRole.Site) problems.Add(new Problem("The certificate is not one of a site.", path, Repair: "Use what `fed node enroll` wrote."));
            switch (CertificateProfile.StatusOf(credential.Certificate, credential.CaCertificate, TimeProvider.System.GetUtcNow()))
            {
                case CertificateStatus.OutOfDate: problems.Add(new Problem($"The certificate is not valid now; it ends {Text.Local(expires)}.", path, Repair: "Ask the operator for a new invitation, and check this machine's clock.")); break;
                case CertificateStatus.Foreign: problems.Add(new Problem("The certificate was not issued by the CA beside it.", path, Repair: "Enrol again.")); break;
                default: break;
            }
        });
        return found;
    }

    private static NodeData CheckData(DataSource source, List<Problem> problems)
    {
        DataReport? report = null;
        if (source.Schema is { } path)
        {
            Collect(problems, () =>
            {
                var schema = DataSchema.Load(path);
                if (schema.Name != source.Id) problems.Add(new Problem($"The schema is of '{schema.Name}', the data set's id is '{source.Id}'.", path, Field: "name", Repair: "A node answers a run by the id; make both equal."));
                report = DataVerbs.Report(source, schema, new DataSpec(path), DataVerbs.OnlyTask(schema, path));
            });
        }
        else
        {
            Collect(problems, () => TextFile.Read(source.Path));
            if (source.Split is { } split) Collect(problems, () => TextFile.Read(split));
        }

        return new NodeData(source.Id, source.Path, report);
    }

    private static void Collect(List<Problem> problems, Action check)
    {
        try
        {
            check();
        }
        catch (InvalidInputException error)
        {
            problems.AddRange(error.Problems);
        }
    }
}

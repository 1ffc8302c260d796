using System.CommandLine;
using System.Globalization;
using Federation.Cli.CommandLine;
using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Privacy.Canonical;
using Federation.Privacy.Ledger;
using Federation.Server.Identity;
using Federation.Server.Storage;

namespace Federation.Cli.Verbs;

/// <summary><c>fed audit</c>: what a node refused, or what administrators did at a coordinator, and whether the record of it is whole. They read; node and coordinator write.</summary>
internal static class AuditVerbs
{
    private static readonly Argument<string?> LogPath = new("LOG") { Description = "The audit log; default: audit.jsonl in the state folder.", Arity = ArgumentArity.ZeroOrOne, DefaultValueFactory = _ => null };

    private static readonly Option<string?> Run = new("--run") { Description = "Only what was of this run.", HelpName = "run" };

    private static readonly Option<string?> Kind = new("--kind") { Description = "Only this kind, such as opening-refused.", HelpName = "kind" };

    private static readonly Option<string?> Known = new("--known") { Description = "A head that somebody has kept, as `fed audit verify` prints it: shows whether the end was cut off.", HelpName = "count:hash" };

    public static Verb Create() => new Verb("audit", "What this site's node refused to do, and who tried it; what administrators did at this coordinator.", "fed audit show --state ./node\nfed audit verify --state ./node\nfed audit show --state ./coordinator")
        .With(
            new Verb("show", "Show the audit log: time, kind, run, round, what was tried or done. Exit code 1 if its chain does not hold.", "fed audit show --state ./node\nfed audit show --kind opening-refused", "audit-show")
                .With(LogPath, Run, Kind, CommonOptions.State).Does(Show),
            new Verb("verify", "Check every line of the audit log. Exit code 1 if the chain does not hold; names the line.", "fed audit verify --state ./node\nfed audit verify --known 12:3f0c6d", "audit-verify")
                .With(LogPath, Known, CommonOptions.State).Does(Verify));

    private static Task<int> Show(Invocation invocation)
    {
        string path = PathOf(invocation);
        var log = AuditVerification.Of(path);
        AuditLine[] lines = [.. log.Entries.Where(entry => Matches(entry.Run, Run) && Matches(entry.Kind, Kind)).Select(entry => new AuditLine(entry.Number, entry.Time, entry.Kind, entry.Run.Length > 0 ? entry.Run : null, entry.Round > 0 ? entry.Round : null, entry.What, entry.Times))];
        List<string> text = lines.Length == 0 ? ["Nothing was refused."] : [.. TextTable.Lines([">line", "time", "kind", "run", ">round", ">times", "what"], lines.Select(line => (string[])[
            $"{line.Number}", Text.Local(line.Time), line.Kind, line.Run ?? "", line.Round is { } round ? $"{round}" : "", $"{line.Times}", Output.OneLine(line.What)]))];
        if (log.Problems.Count > 0) text.Add("The chain does NOT hold: `fed audit verify` says where.");
        invocation.Output.Result(new AuditReport(Path.GetFullPath(path), log.Problems.Count == 0, lines), text);
        return Task.FromResult(log.Problems.Count == 0 ? ExitCode.Done : ExitCode.Failed);

        bool Matches(string value, Option<string?> wanted) => invocation.Get(wanted) is not { } text || text == value;
    }

    private static Task<int> Verify(Invocation invocation)
    {
        string path = PathOf(invocation);
        (long Count, string Hash)? known = invocation.Get(Known) is { } text ? ParseKnown(text) : null;
        // Before the log: the coordinator writes the line first.
        (long Count, string Hash)? kept = invocation.Get(LogPath) is null ? KeptHead.In(new CoordinatorFolder(StateFolder.Resolve(invocation.Get(CommonOptions.State)))) : null;
        var log = AuditVerification.Of(path);
        string[] problems = [.. log.Problems, .. DifferenceFrom(log, known, ""), .. DifferenceFrom(log, kept, " The coordinator's database knows it.")];
        VerifiedAudit result = new(Path.GetFullPath(path), problems.Length == 0, log.Entries.Count, log.Count, log.Hash, log.IsUnfinished, problems);
        List<string> lines = [result.Valid ? $"{Text.Count((ulong)log.Count, "line")}, each follows the one before. Head {log.Count}:{log.Hash}: kept elsewhere, it shows later whether the end was cut off (--known)." : "The chain does not hold.", .. problems.Select(problem => "  " + problem)];
        lines.AddRange(log.Entries.Where(entry => entry.Kind.StartsWith("log-", StringComparison.Ordinal)).Select(entry => $"Line {entry.Number} says: {entry.What}"));
        if (log.IsUnfinished) lines.Add("The last line is not whole: a crash cut it short, or it is being written. It does not count.");
        invocation.Output.Result(result, lines);
        return Task.FromResult(result.Valid ? ExitCode.Done : ExitCode.Failed);
    }

    private static string[] DifferenceFrom(AuditVerification log, (long Count, string Hash)? head, string more) => head is var (count, hash) && log.DifferenceFrom(count, hash) is { } difference ? [difference + more] : [];

    private static string PathOf(Invocation invocation)
    {
        string path = invocation.Get(LogPath) ?? Path.Combine(StateFolder.Resolve(invocation.Get(CommonOptions.State)), AuditLog.FileName);
        return File.Exists(path) ? path : throw new InvalidInputException(new Problem("There is no audit log.", path, Repair: "Name the file, or the state folder of the node or coordinator with --state. A node makes it with its first refusal, a coordinator when it is made."));
    }

    private static (long Count, string Hash) ParseKnown(string text) =>
        text.Split(':') is [var count, { Length: >= 6 } hash] && long.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out long number) && number > 0 && Sha256Hex.IsValid(hash.PadRight(64, '0'))
            ? (number, hash)
            : throw new InvalidInputException(new Problem($"'{text}' is no head.", Field: Known.Name, Repair: "count:hash is right, such as 12:3f0c6d…, with at least 6 hexadecimal digits."));
}

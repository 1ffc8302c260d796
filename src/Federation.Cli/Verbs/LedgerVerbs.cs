using System.CommandLine;
using System.Globalization;
using Federation.Cli.CommandLine;
using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Privacy.Accounting;
using Federation.Privacy.Canonical;
using Federation.Privacy.Ledger;

namespace Federation.Cli.Verbs;

/// <summary><c>fed privacy ledger</c> and <c>verify</c>: what a site has released, and whether the record of it is whole. They read; the node writes.</summary>
internal static class LedgerVerbs
{
    public static readonly Argument<string?> LedgerPath = new("LEDGER") { Description = "The ledger file; default: ledger.db in the state folder.", Arity = ArgumentArity.ZeroOrOne, DefaultValueFactory = _ => null };

    public static readonly Option<string?> DataSet = new("--data-set") { Description = "One data set's ledger, where the file holds several.", HelpName = "id" };

    public static readonly Option<double?> Delta = Numbers.Real("--delta", "δ at which ε is shown; default: the budget's, else 1e-5.", "delta");

    private static readonly Option<bool> Records = new("--records") { Description = "Every record too." };

    private static readonly Option<string?> ExportFile = new("--export") { Description = "Write the signed records as JSON lines.", HelpName = "file.jsonl" };

    private static readonly Option<string?> ImportFile = new("--import") { Description = "Check exported JSON lines and make a ledger of them.", HelpName = "file.jsonl" };

    private static readonly Option<string?> Known = new("--known") { Description = "What somebody else has seen of it, such as the coordinator (`fed site list`): count:hash.", HelpName = "count:hash" };

    public static Verb Ledger() => new Verb("ledger", "Show what a site has released and what is left of its budget; export and import the records.", "fed privacy ledger --state ./node\nfed privacy ledger ledger.db --records\nfed privacy ledger ledger.db --export heart.jsonl", "privacy-ledger")
        .With(LedgerPath, DataSet, Delta, Records, ExportFile, ImportFile, CommonOptions.Force, CommonOptions.State).Does(ShowAsync);

    public static Verb Verify() => new Verb("verify", "Check every hash, link, signature and sum of a ledger. Exit code 1 if anything is wrong.", "fed privacy verify ledger.db\nfed privacy verify ledger.db --known 812:3f0c6d", "privacy-verify")
        .With(LedgerPath, DataSet, Known, CommonOptions.State).Does(VerifyAsync);

    /// <summary>The file that is meant.</summary>
    /// <exception cref="InvalidInputException">There is none.</exception>
    public static string PathOf(Invocation invocation)
    {
        string path = invocation.Get(LedgerPath) ?? Path.Combine(StateFolder.Resolve(invocation.Get(CommonOptions.State)), "ledger.db");
        return File.Exists(path) ? path : throw new InvalidInputException(new Problem("There is no such ledger.", path, Repair: "Name the file, or the node's state folder with --state."));
    }

    /// <summary>The data sets that are meant: the one named, else all.</summary>
    /// <exception cref="InvalidInputException">There is no such one.</exception>
    public static IReadOnlyList<string> DataSetsOf(Invocation invocation, string path)
    {
        IReadOnlyList<string> all = LedgerVerification.DataSets(path);
        if (invocation.Get(DataSet) is not { } named) return all;
        return all.Contains(named) ? [named] : throw new InvalidInputException(new Problem($"The ledger holds nothing of '{named}'.", path, Field: DataSet.Name, Repair: Nearest.Repair(named, [.. all])));
    }

    /// <exception cref="InvalidInputException">The file holds none or several, and none was named.</exception>
    public static string OneDataSetOf(Invocation invocation, string path)
    {
        IReadOnlyList<string> dataSets = DataSetsOf(invocation, path);
        if (dataSets is [var only]) return only;
        throw new InvalidInputException(new Problem($"The file holds {dataSets.Count} ledgers.", path, Repair: dataSets.Count == 0 ? "A node writes one when it takes part in a run." : $"Name one with --data-set: {string.Join(", ", dataSets)}."));
    }

    /// <summary>δ to show ε at: as told, else the budget's, else the usual one.</summary>
    public static double DeltaOf(Invocation invocation, LedgerVerification ledger) => invocation.Get(Delta) is { } told ? PrivacyCase.DeltaOf(told, Delta.Name) : ledger.Budget?.Delta ?? PrivacyBudget.UsualDelta;

    private static async Task<int> ShowAsync(Invocation invocation)
    {
        if (invocation.Get(ImportFile) is { } from) return Import(invocation, from);
        string path = PathOf(invocation);
        if (invocation.Get(ExportFile) is { } to) return await ExportAsync(invocation, path, to);
        List<LedgerSummary> summaries = [];
        foreach (string dataSet in DataSetsOf(invocation, path))
        {
            var ledger = LedgerVerification.Of(path, dataSet);
            summaries.Add(Summary(ledger, DeltaOf(invocation, ledger), invocation.Get(Records)));
        }

        LedgerList result = new(Path.GetFullPath(path), summaries);
        invocation.Output.Result(result, Lines(result));
        return result.DataSets.All(summary => summary.Valid) ? ExitCode.Done : ExitCode.Failed;
    }

    private static LedgerSummary Summary(LedgerVerification ledger, double delta, bool records)
    {
        NeighboringRelation relation = ledger.Terms?.Relation ?? NeighboringRelation.AddOrRemoveOne;
        (PrivacyLoss spent, string accountant) = LedgerFigures.Spent(ledger.Records, delta, relation);
        return new LedgerSummary(
            ledger.DataSet, ledger.LedgerId, ledger.Terms is { } terms ? LedgerNames.Of(terms.Unit) : "unknown", LedgerNames.Of(relation), ledger.Valid, ledger.Head?.Count ?? 0,
            ledger.Records.Count(record => record is ReservedRecord), ledger.Uncommitted.Count, ledger.Records.Count(record => record is LostRecord),
            ledger.Budget is { } budget ? new BudgetEntry(budget.Epsilon, budget.Delta) : null, spent.Epsilon, LedgerFigures.SpentOutside(ledger.Records, spent).Epsilon, delta, accountant, records ? [.. ledger.Records.Select(record => LedgerEntry.Of(record, ledger.Uncommitted))] : null);
    }

    private static IEnumerable<string> Lines(LedgerList list)
    {
        foreach (string line in TextTable.Lines(["data set", "unit", "relation", ">records", ">releases", ">unconfirmed", ">ε spent", ">outside", ">budget", ">at δ", "by", "chain"], list.DataSets.Select(one => (string[])[
            one.DataSet, one.Unit, one.Relation, $"{one.Records}", $"{one.Releases}", $"{one.Uncommitted}", Text.Privacy(one.Epsilon, "G5"), Text.Privacy(one.EpsilonOutside, "G5"), one.Budget is { } budget ? Text.Privacy(budget.Epsilon, "G5") : "none", one.Delta.ToString("G3", CultureInfo.InvariantCulture), one.Accountant, one.Valid ? "verifies" : "BROKEN: fed privacy verify"])))
        {
            yield return line;
        }

        foreach (LedgerSummary one in list.DataSets.Where(one => one.Entries is not null))
        {
            yield return "";
            foreach (string line in TextTable.Lines([">record", "time", "kind", "run", ">round", "purpose", "to", "what"], one.Entries!.Select(entry => (string[])[
                $"{entry.Number}", Text.Local(entry.Time), entry.Kind, entry.Run ?? "", entry.Round is { } round ? $"{round}" : "", entry.Purpose ?? "", entry.Recipient ?? "", entry.Text])))
            {
                yield return line;
            }
        }
    }

    private static async Task<int> ExportAsync(Invocation invocation, string path, string to)
    {
        string dataSet = OneDataSetOf(invocation, path);
        OutputFile file = OutputFile.Claim(to, invocation.Get(CommonOptions.Force));
        long count = 0;
        await file.WriteAsync(async stream =>
        {
            await using StreamWriter writer = new(stream, leaveOpen: true);
            count = LedgerExchange.Export(path, dataSet, writer);
        });
        invocation.Output.Result(new LedgerList(Path.GetFullPath(path), [Summary(LedgerVerification.Of(path, dataSet), PrivacyBudget.UsualDelta, records: false)]), $"{to}: {count} records of '{dataSet}'");
        return ExitCode.Done;
    }

    private static int Import(Invocation invocation, string from)
    {
        string path = invocation.Get(LedgerPath) ?? throw new InvalidInputException(new Problem("The ledger to make is missing.", Field: LedgerPath.Name, Repair: "fed privacy ledger NEW.db --import FILE is right."));
        using StringReader lines = new(TextFile.Read(from));
        LedgerVerification imported;
        try
        {
            imported = LedgerExchange.Import(lines, path);
        }
        catch (LedgerException error) when (error.Fault == LedgerFault.Broken)
        {
            throw new InvalidInputException(new Problem(error.Message, from, error.Line));
        }

        invocation.Output.Result(new LedgerList(Path.GetFullPath(path), [Summary(imported, imported.Budget?.Delta ?? PrivacyBudget.UsualDelta, records: false)]), $"{path}: {imported.Records.Count} records of '{imported.DataSet}'");
        return ExitCode.Done;
    }

    private static Task<int> VerifyAsync(Invocation invocation)
    {
        string path = PathOf(invocation);
        (long Count, string Hash)? known = invocation.Get(Known) is { } text ? ParseKnown(text) : null;
        IReadOnlyList<string> dataSets = known is null ? DataSetsOf(invocation, path) : [OneDataSetOf(invocation, path)];
        VerifiedLedger[] verified = [.. dataSets.Select(dataSet =>
        {
            var ledger = LedgerVerification.Of(path, dataSet);
            string[] problems = [.. ledger.Problems, .. known is { } head && ledger.DifferenceFrom(head.Count, head.Hash) is { } difference ? (string[])[difference] : []];
            return new VerifiedLedger(dataSet, problems.Length == 0, ledger.LedgerId, ledger.KeySha256, ledger.Records.Count, ledger.Head?.Count ?? 0, ledger.Head?.Hash, problems);
        })];
        VerificationResult result = new(Path.GetFullPath(path), verified.Length > 0 && verified.All(ledger => ledger.Valid), verified);
        invocation.Output.Result(result, result.Ledgers.Count == 0 ? ["The file holds no ledger."] : result.Ledgers.SelectMany(Lines));
        return Task.FromResult(result.Valid ? ExitCode.Done : ExitCode.Failed);
    }

    private static IEnumerable<string> Lines(VerifiedLedger ledger)
    {
        yield return ledger.Valid
            ? $"{ledger.DataSet}: {ledger.Records} records, each as it was signed, none missing. Head {ledger.Count}:{ledger.Hash}, key {Text.Short(ledger.KeySha256 ?? "")}."
            : $"{ledger.DataSet}: the ledger is broken.";
        foreach (string problem in ledger.Problems) yield return "  " + problem;
    }

    private static (long Count, string Hash) ParseKnown(string text)
    {
        string[] parts = text.Split(':');
        if (parts is [var count, { Length: >= 6 } hash] && long.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out long number) && number > 0 && Sha256Hex.IsValid(hash.PadRight(64, '0'))) return (number, hash);
        throw new InvalidInputException(new Problem($"'{text}' is no head.", Field: Known.Name, Repair: "count:hash is right, such as 812:3f0c6d…, with at least 6 hexadecimal digits."));
    }
}

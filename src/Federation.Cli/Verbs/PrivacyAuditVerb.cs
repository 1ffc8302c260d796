using System.CommandLine;
using Federation.Cli.CommandLine;
using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Learning.Auditing;
using Federation.Learning.Data;
using Federation.Learning.Models;
using static System.FormattableString;

namespace Federation.Cli.Verbs;

/// <summary><c>fed privacy audit</c>: a private run rehearsed on one's own table and attacked. Nothing leaves the machine.</summary>
internal static class PrivacyAuditVerb
{
    private static readonly Argument<string> SpecFile = new("SPEC") { Description = "The run spec, with privacy; names the schema and the model." };

    private static readonly Option<string> Data = new("--data") { Description = "The site's CSV file; its training rows are trained on.", HelpName = "table.csv", Required = true };

    private static readonly Option<string?> Split = new("--split") { Description = "CSV `line,set`, as in node.yaml.", HelpName = "split.csv" };

    private static readonly Option<long?> Canaries = Numbers.Whole("--canaries", $"Of the one-run audit; {SiteAudit.LeastCanaries} to {SiteAudit.MostCanaries}, {SiteAudit.DefaultCanaries} by default. More show more.", "n");

    private static readonly Option<string> Attack = new("--attack") { Description = "one-run (canaries in one run, the attacker sees every noisy sum), lira (many runs, he sees the last model) or both.", HelpName = "name", DefaultValueFactory = _ => "one-run" };

    private static readonly Option<long?> Runs = Numbers.Whole("--runs", $"Of lira; at least {MembershipAudit.LeastRuns}, {DefaultRuns} by default.", "n");

    private static readonly Option<double?> Confidence = Numbers.Real("--confidence", "Of all that is said together, in (0, 1); 0.95 by default.", "p");

    private static readonly string[] Attacks = ["one-run", "lira", "both"];

    private const long DefaultRuns = 300;

    private const string Rehearsed = "A rehearsal on this machine: nothing was released and no budget spent. What stands here is about private rows and should stay with the site.";

    public static Verb Create() => new Verb("audit", "Rehearse a private run on your own table, attack it, and hold what the attack shows (a lower bound on ε) against the accountant's upper bound. Exit code 1 if the claim is refuted. Releases nothing.", "fed privacy audit run.yaml --data heart.csv\nfed privacy audit run.yaml --data heart.csv --attack both --canaries 4000 --json", "privacy-audit")
        .With(SpecFile, Data, Split, Canaries, Attack, Runs, Confidence).Does(AuditAsync);

    private static Task<int> AuditAsync(Invocation invocation)
    {
        string specPath = invocation.Get(SpecFile), attack = invocation.Get(Attack)!;
        if (!Attacks.Contains(attack)) throw new InvalidInputException(new Problem($"'{attack}' is no attack.", Field: Attack.Name, Repair: Nearest.Repair(attack, Attacks)));
        if (attack == "lira" && invocation.Get(Canaries) is not null) throw new InvalidInputException(new Problem("lira attacks one record; it takes no canaries.", Field: Canaries.Name, Repair: $"Leave it out, or write {Attack.Name} both."));
        if (attack == "one-run" && invocation.Get(Runs) is not null) throw new InvalidInputException(new Problem("one-run is one run.", Field: Runs.Name, Repair: $"Leave it out, or write {Attack.Name} both."));
        double confidence = invocation.Get(Confidence) ?? 0.95;
        if (confidence is not (> 0 and < 1)) throw new InvalidInputException(new Problem(Invariant($"A confidence of {confidence} is not possible."), Field: Confidence.Name, Repair: "A number in (0, 1), such as 0.95, is right."));
        int canaries = Count(invocation, Canaries, SiteAudit.DefaultCanaries, SiteAudit.LeastCanaries, SiteAudit.MostCanaries), runs = Count(invocation, Runs, DefaultRuns, MembershipAudit.LeastRuns, 1_000_000);
        TabularFiles files = TabularFiles.Load(specPath);
        if (files.Spec.Privacy is not { } privacy) throw new InvalidInputException(new Problem("The run has no differential privacy: there is no claim to audit.", specPath, Field: "privacy", Repair: "Write privacy: { … } into the spec."));
        TabularDataSet data = SpecProblems.Place(specPath, () => TabularDataSet.Load(new DataSource(files.Schema.Name, invocation.Get(Data)!, Split: invocation.Get(Split)), files.Schema, files.Data, files.Task));
        ModelState initial = TabularModel.Initial(files.Spec, files.Schema, Path.GetDirectoryName(Path.GetFullPath(specPath)) ?? "/");
        var task = new LearningTask("audit", "audit", files.Spec, files.Schema);
        TorchDevice.SetThreads(1); // batches are small: more threads wait for each other
        // Two attacks share the error, so that both hold together as often as was asked for.
        double each = attack == "both" ? 1 - ((1 - confidence) / 2) : confidence;
        CanaryAudit? oneRun = attack == "lira" ? null : SpecProblems.Place(specPath, () => SiteAudit.OneRun(task, initial, data, canaries, each, invocation.Cancellation));
        MembershipAudit? lira = attack == "one-run" ? null : SpecProblems.Place(specPath, () => SiteAudit.Membership(task, initial, data, runs, each, Progress(invocation.Output, runs), invocation.Cancellation));
        PrivacyAuditResult result = PrivacyAuditResult.Of(files.Spec, Path.GetFullPath(invocation.Get(Data)!), data.Train.Count, confidence, oneRun, lira);
        invocation.Output.Result(result, Lines(result, privacy));
        return Task.FromResult(Conclude(invocation.Output, result));
    }

    /// <summary>Says what refutes the claim.</summary>
    /// <returns>The exit code.</returns>
    internal static int Conclude(Output output, PrivacyAuditResult result)
    {
        if (result.Holds) return ExitCode.Done;
        string chance = Invariant($"At most one honest run in {1 / (1 - result.Confidence):G4} looks like this; if a second audit, with more canaries, says so too, do not run it.");
        AuditAttack refuting = result.Attacks.First(attack => !attack.Holds);
        output.Note(refuting.LowerBound > result.UpperBound
            ? Invariant($"The claim is refuted: ε is at least {refuting.LowerBound:G4}, and the accountant says at most {result.UpperBound:G4} at δ = {result.Delta:G3}. {chance}")
            : Invariant($"The claim is refuted: {refuting.CorrectOfAll} of {refuting.Canaries} canaries were guessed right, where the accountant allows {refuting.ExpectedOfAll:F0} on average (p ≤ {refuting.PValue:G2}). Less noise or larger gradients than claimed do that. {chance}"));
        return ExitCode.Failed;
    }

    private static IEnumerable<string> Lines(PrivacyAuditResult result, PrivacySpec privacy)
    {
        string against = privacy.Noise == NoiseSource.Shared ? $"against {privacy.MaxColluding} colluding contributors" : "against everybody else";
        yield return Invariant($"{result.Run}: {result.Rounds} rounds at one site of {result.TrainRows} training rows; δ = {result.Delta:G3}, one record more or less, confidence {result.Confidence:G4}.");
        yield return "";
        foreach (string line in TextTable.Lines(["", ">ε at least", ">ε at most", "how"], Rows(result, against))) yield return line;
        yield return "";
        yield return result.Shows;
        yield return Rehearsed;
    }

    private static IEnumerable<string[]> Rows(PrivacyAuditResult result, string against)
    {
        yield return ["accountant", "", Figure(result.UpperBound), $"{result.Accountant}, {against}"];
        foreach (AuditAttack attack in result.Attacks)
        {
            yield return [attack.Attack, Figure(attack.LowerBound), "", attack.Attack == "one-run"
                ? Invariant($"{attack.Canaries} canaries in one run, {attack.Correct} of {attack.Guesses} guesses right")
                : Invariant($"{attack.Runs} runs with or without one record: right alarms {100 * attack.TruePositiveRate:F0} %, false ones {100 * attack.FalsePositiveRate:F0} %")];
            if (attack.GaussianEpsilon is { } gaussian) yield return ["", Figure(gaussian), "", Invariant($"if the loss has the shape of Gaussian noise: {attack.CorrectOfAll} of all {attack.Canaries} right, {attack.ExpectedOfAll:F0} expected at most")];
        }
    }

    private static string Figure(double epsilon) => double.IsPositiveInfinity(epsilon) ? "∞" : Invariant($"{epsilon:F3}");

    private static int Count(Invocation invocation, Option<long?> option, long standard, long least, long most)
    {
        long value = invocation.Get(option) ?? standard;
        return value >= least && value <= most ? (int)value : throw new InvalidInputException(new Problem($"{value} is not possible.", Field: option.Name, Repair: $"{least} to {most} is right."));
    }

    /// <summary>Ten lines on stderr, however many runs.</summary>
    private static Action<int> Progress(Output output, int runs) => done =>
    {
        if (done * 10L / runs != (done - 1) * 10L / runs) output.Note($"run {done} of {runs}");
    };
}

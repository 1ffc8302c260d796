using System.CommandLine;
using System.Security.Cryptography;
using Federation.Cli.CommandLine;
using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Runs;
using Federation.Protocol;
using Federation.V1;

namespace Federation.Cli.Verbs;

/// <summary><c>fed run approve</c>: co-signs a run for the sites whose policy asks for it. What is signed is computed here, from the very texts that are shown.</summary>
internal static class ApproveVerb
{
    private static readonly Option<bool> Show = new("--show") { Description = "Show what would be signed, and sign nothing." };

    private static readonly Option<string?> Spec = new("--spec") { Description = "Sign only if the spec's hash is this: sha256: and the 64 digits that --show, or `fed node policy check`, printed.", HelpName = "hash" };

    public static Verb Create(Argument<string> run) => new Verb(
        "approve", "Co-sign a run: the sites whose policy lists your key among its cosigners count you. Shows the spec and the schema that are signed.",
        "fed run approve latest --show\nfed run approve latest --spec sha256:9c1f0e8d7b6a59483726150413f2e1d0c9b8a7968574635241302f1e0d9c8b7a --key data-protection.key", "run-approve")
        .With(run, Show, Spec, OperatorConnection.Key).With(OperatorConnection.Options).Does(invocation => ApproveAsync(invocation, run));

    private static async Task<int> ApproveAsync(Invocation invocation, Argument<string> argument)
    {
        string? expected = invocation.Get(Spec) is { } text ? ParseHash(text) : null;
        using OperatorConnection connection = OperatorConnection.Open(invocation);
        RunDetails details = await connection.Client.ShowRunAsync(new ShowRunRequest { RunId = invocation.Get(argument) }, cancellationToken: invocation.Cancellation);
        SignedSubmission submission = details.Submission.ToDomain();
        byte[] signed = submission.ToSign(connection.FederationSha256, details.SpecYaml, details.SchemaYaml);
        string spec = submission.SpecSha256(details.SpecYaml, details.SchemaYaml), name = $"{details.Summary.RunId} ({details.Summary.Name})";
        if (submission.Submitter?.Signs(signed) == false) throw new IOException($"The run {name} is not what its submitter signed: the coordinator shows another spec, schema or initial model. Nothing was signed.");
        if (expected is not null && expected != spec) throw new InvalidInputException(new Problem($"The run {name} has the spec {RosterPin.Prefix}{spec}; {RosterPin.Prefix}{expected} was expected. Nothing was signed.", Field: Spec.Name, Repair: "Look at what it is: --show."));
        if (invocation.Get(Show))
        {
            invocation.Output.Result(ApprovedRun.Of(details, submission, null), Lines(details, submission));
            return ExitCode.Done;
        }

        if (submission.Nonce.Length == 0) throw new InvalidInputException(new Problem($"The run {name} was submitted in a way that nobody can co-sign.", Field: argument.Name, Repair: "Submit it with `fed run submit`."));
        using ECDsa key = connection.KeyFor(invocation) ?? throw new InvalidInputException(new Problem("There is no key to sign with: the credential is a token.", Field: OperatorConnection.Key.Name, Repair: "Name your key's file with --key."));
        RunSignature approval = RunSignature.Of(key, SignedSubmission.ToApprove(signed));
        RunDetails after = await connection.Client.ApproveRunAsync(new ApproveRunRequest { RunId = details.Summary.RunId, Approval = approval.ToMessage() }, cancellationToken: invocation.Cancellation);
        invocation.Output.Result(ApprovedRun.Of(details, after.Submission.ToDomain(), approval.KeySha256), [.. Lines(details, submission), "", $"Signed with the key {RosterPin.Prefix}{approval.KeySha256}."]);
        return ExitCode.Done;
    }

    private static IEnumerable<string> Lines(RunDetails details, SignedSubmission submission)
    {
        yield return $"Run {details.Summary.RunId} ({details.Summary.Name})";
        foreach (string line in RunText.Signatures(SubmissionEntry.Of(submission, details.SpecYaml, details.SchemaYaml))) yield return line;
        yield return "";
        yield return "Spec:";
        foreach (string line in Indented(details.SpecYaml)) yield return line;
        if (details.SchemaYaml.Length == 0) yield break;
        yield return "";
        yield return "Schema:";
        foreach (string line in Indented(details.SchemaYaml)) yield return line;
    }

    private static IEnumerable<string> Indented(string text) => text.TrimEnd().Split('\n').Select(line => "  " + line.TrimEnd('\r'));

    private static string ParseHash(string text)
    {
        string digits = RosterPin.DigitsOf(text);
        return Privacy.Canonical.Sha256Hex.IsValid(digits) ? digits : throw new InvalidInputException(new Problem($"'{text}' is no spec's hash.", Field: Spec.Name, Repair: $"Write {RosterPin.Prefix} and 64 digits, as --show prints them."));
    }
}

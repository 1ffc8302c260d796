using Federation.Formats.Configuration;
using Federation.Formats.Runs;

namespace Federation.Cli.Results;

/// <summary>What of a run is signed, and with which keys; whether they count, each site's policy says.</summary>
/// <param name="SpecSha256">Of spec, schema and initial model together, computed here: what sites approve.</param>
/// <param name="InitialModelSha256">Null: the run asks for statistics.</param>
/// <param name="KeySha256">The submitter's; null: unsigned.</param>
/// <param name="Approvals">Keys of the co-signers.</param>
internal sealed record SubmissionEntry(string SpecSha256, string? InitialModelSha256, string? KeySha256, IReadOnlyList<string> Approvals)
{
    public static SubmissionEntry Of(SignedSubmission submission, string specYaml, string schemaYaml) => new(
        submission.SpecSha256(specYaml, schemaYaml), submission.InitialModelSha256.Length == 0 ? null : submission.InitialModelSha256, submission.Submitter?.KeySha256, [.. submission.Approvals.Select(approval => approval.KeySha256)]);
}

/// <summary>What was co-signed, or would be.</summary>
/// <param name="SchemaYaml">Null: the run has none.</param>
/// <param name="SignedWith">The key's hash; null: it was only shown.</param>
internal sealed record ApprovedRun(string Run, string Name, SubmissionEntry Submission, string SpecYaml, string? SchemaYaml, string? SignedWith)
{
    public static ApprovedRun Of(V1.RunDetails details, SignedSubmission submission, string? signedWith) => new(
        details.Summary.RunId, details.Summary.Name, SubmissionEntry.Of(submission, details.SpecYaml, details.SchemaYaml), details.SpecYaml, details.SchemaYaml.Length == 0 ? null : details.SchemaYaml, signedWith);
}

/// <param name="File">Where the key is.</param>
/// <param name="Words">The first 24 bytes of the hash, to be read aloud.</param>
internal sealed record PublicKeyReport(string File, string KeySha256, string Words);

/// <summary>Whose signatures a site asks for.</summary>
/// <param name="Submitters">Null: anybody's run will do.</param>
/// <param name="CosignersRequired">So many of <paramref name="Cosigners"/>; 0: none.</param>
internal sealed record ApprovalNeeds(IReadOnlyList<KeyEntry>? Submitters, int CosignersRequired, IReadOnlyList<KeyEntry> Cosigners)
{
    public static ApprovalNeeds Of(ApprovalPolicy? policy) => new(policy?.Submitters?.Select(KeyEntry.Of).ToArray(), policy?.Cosigners?.Required ?? 0, [.. policy?.Cosigners?.Keys.Select(KeyEntry.Of) ?? []]);
}

internal sealed record KeyEntry(string Name, string KeySha256)
{
    public static KeyEntry Of(NamedKey key) => new(key.Name, key.Sha256);
}

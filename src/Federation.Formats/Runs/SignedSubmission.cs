using System.Security.Cryptography;
using System.Text;
using Federation.Privacy.Canonical;

namespace Federation.Formats.Runs;

/// <summary>
/// What of a run is signed beside its spec and schema, with the signatures that there are. The spec's hash is over everything that its submitter chooses; the submission's, which is signed,
/// also over the federation and a nonce, so that it is one run of one federation. A strategy, also one's own, is named with its parameters in the spec, hence signed with it.
/// </summary>
/// <param name="InitialModelSha256">Whether it came from a file or from the seed; empty: the run asks for statistics.</param>
/// <param name="Nonce">The submitter's; empty: the run is unsigned, and nobody can approve it.</param>
/// <param name="Submitter">Null: unsigned.</param>
/// <param name="Approvals">Co-signatures, each of another key.</param>
public sealed record SignedSubmission(string InitialModelSha256, byte[] Nonce, RunSignature? Submitter, IReadOnlyList<RunSignature> Approvals)
{
    public const int NonceBytes = 32;

    /// <summary>Of one run.</summary>
    public const int MostApprovals = 64;

    /// <summary>The hash that sites approve: any changed byte of spec, schema or initial model makes another.</summary>
    /// <param name="schemaYaml">Empty: the run has none.</param>
    /// <returns>SHA-256 of <c>fed/v1/run-spec</c>: the hashes of the spec's text, the schema's (empty: none) and the initial model (empty: none).</returns>
    public static string SpecSha256(string specYaml, string schemaYaml, string initialModelSha256) =>
        Convert.ToHexStringLower(new CanonicalWriter("run-spec").Field(HashOf(specYaml)).Field(schemaYaml.Length == 0 ? "" : HashOf(schemaYaml)).Field(initialModelSha256).Hash());

    /// <inheritdoc cref="SpecSha256(string, string, string)"/>
    public string SpecSha256(string specYaml, string schemaYaml) => SpecSha256(specYaml, schemaYaml, InitialModelSha256);

    /// <summary>A submission with a nonce of its own, signed where there is a key.</summary>
    /// <param name="federationSha256">Of the SubjectPublicKeyInfo of the federation's CA.</param>
    public static SignedSubmission Make(string federationSha256, string specYaml, string schemaYaml, string initialModelSha256, ECDsa? key)
    {
        SignedSubmission unsigned = new(initialModelSha256, RandomNumberGenerator.GetBytes(NonceBytes), null, []);
        return key is null ? unsigned : unsigned with { Submitter = RunSignature.Of(key, unsigned.ToSign(federationSha256, specYaml, schemaYaml)) };
    }

    /// <summary>What the submitter signs: <c>fed/v1/submission</c> with the federation, the spec's hash and the nonce.</summary>
    public byte[] ToSign(string federationSha256, string specYaml, string schemaYaml) =>
        new CanonicalWriter("submission").Field(federationSha256).Field(SpecSha256(specYaml, schemaYaml)).Field(Nonce).ToArray();

    /// <summary>What a co-signer signs: <c>fed/v1/approval</c> with the submission's hash. Neither signature can stand for the other.</summary>
    /// <param name="submission">As <see cref="ToSign"/> gives it.</param>
    public static byte[] ToApprove(ReadOnlySpan<byte> submission) => new CanonicalWriter("approval").Field(Sha256Hex.Of(submission)).ToArray();

    private static string HashOf(string text) => Sha256Hex.Of(Encoding.UTF8.GetBytes(text));
}

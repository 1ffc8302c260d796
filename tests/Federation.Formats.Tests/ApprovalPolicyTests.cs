using System.Security.Cryptography;
using Federation.Formats.Configuration;
using Federation.Formats.Runs;
using Federation.Privacy.Canonical;

namespace Federation.Formats.Tests;

/// <summary>Whose signatures and which hashes a policy asks for: as it is written, and what it says to a run.</summary>
public sealed class ApprovalPolicyTests : IDisposable
{
    private const string Spec = "name: x\n", Schema = "name: s\n";
    private static readonly string s_federation = Sha256Hex.Of("federation"u8), s_model = Sha256Hex.Of("model"u8), s_other = Sha256Hex.Of("other"u8);

    private readonly ECDsa _ann = Key(), _bob = Key(), _eve = Key();

    public void Dispose()
    {
        foreach (ECDsa key in new[] { _ann, _bob, _eve }) key.Dispose();
    }

    [Fact]
    public void Read_EveryField_IsThere()
    {
        ApprovalPolicy policy = Policy($"submitters: [ {Entry("Ann, St. Vincent", _ann)} ]\ncosigners: {{ required: 1, keys: [ {Entry("bob", _bob)}, {Entry("eve", _eve)} ] }}\napproved: {{ specs: [], models: sha256:{s_model} }}")!;
        Assert.Equal([new NamedKey("Ann, St. Vincent", HashOf(_ann))], policy.Submitters!);
        Assert.Equal((1, 2), (policy.Cosigners!.Required, policy.Cosigners.Keys.Count));
        Assert.Empty(policy.Specs!);
        Assert.Equal([s_model], policy.Models!);
        Assert.Equal(2, Policy($"cosigners: {{ keys: [ {Entry("bob", _bob)}, {Entry("eve", _eve)} ] }}")!.Cosigners!.Required); // all
        Assert.Null(Policy("minContributors: 3"));
    }

    [Theory]
    [InlineData("submitters: []", 2, "submitters", "names nobody")]
    [InlineData("submitters: [ { name: ann, key: abc } ]", 2, "submitters[0].key", "'abc' is no key's hash")]
    [InlineData("submitters:\n  - { name: ann, key: KEY }\n  - { name: bob, key: KEY }", 4, "submitters[1].key", "listed twice")]
    [InlineData("submitters: [ { name: \"\", key: KEY } ]", 2, "submitters[0].name", "is not allowed")]
    [InlineData("submitters: [ { name: ann, key: \"\" } ]", 2, "submitters[0].key", "is no key's hash")]
    [InlineData("submitters: [ { key: KEY } ]", 2, "submitters[0].name", "is missing")]
    [InlineData("cosigners: { required: 2, keys: [ { name: bob, key: KEY } ] }", 2, "cosigners.required", "from 1 to 1")]
    [InlineData("cosigners: { required: 1 }", 2, "cosigners.keys", "is missing")]
    [InlineData("approved: { specs: [ 12 ] }", 2, "approved.specs", "'12' is no hash")]
    [InlineData("approved: { spec: [] }", 2, "approved.spec", "is no known field")]
    public void Read_AMistake_NamesLineAndField(string yaml, int line, string field, string says)
    {
        yaml = "minContributors: 3\n" + yaml.Replace("KEY", $"sha256:{new string('a', 64)}", StringComparison.Ordinal);
        Problem problem = Assert.Single(Assert.Throws<InvalidInputException>(() => NodePolicy.Parse(yaml, "policy.yaml")).Problems);
        Assert.Equal(("policy.yaml", line, field), (problem.File, problem.Line, problem.Field));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Submitters_OnlyTheirOwnSignatureOfThisVeryRun_Counts()
    {
        ApprovalPolicy policy = Policy($"submitters: [ {Entry("ann", _ann)}, {Entry("bob", _bob)} ]")!;
        SignedSubmission right = Submit(_ann);
        Assert.Equal((null, 0), Ask(policy, right));
        Assert.Equal((null, 0), Ask(policy, Submit(_bob)));
        Assert.Contains("is not signed; this site takes part in runs that 'ann' or 'bob' submitted", Ask(policy, Submit(null)).Refusal, StringComparison.Ordinal);
        Assert.Contains($"the key sha256:{HashOf(_eve)}", Ask(policy, Submit(_eve)).Refusal, StringComparison.Ordinal);
        Assert.Contains("another than was signed", Ask(policy, right, Spec + "#").Refusal, StringComparison.Ordinal);
        Assert.Contains("another than was signed", Ask(policy, right with { InitialModelSha256 = s_other }).Refusal, StringComparison.Ordinal);
        Assert.Contains("another than was signed", Ask(policy, right with { Nonce = new byte[32] }).Refusal, StringComparison.Ordinal);
        Assert.Contains("another than was signed", Ask(policy, right with { Submitter = right.Submitter! with { PublicKey = _bob.ExportSubjectPublicKeyInfo() } }).Refusal, StringComparison.Ordinal);
        Assert.Contains("another than was signed", policy.Check(s_other, Spec, Schema, right, trains: true).Refusal, StringComparison.Ordinal); // of another federation
        // A key that is listed to co-sign submits nothing, and the other way round.
        Assert.NotNull(Ask(policy, Submit(null) with { Approvals = [Approve(Submit(null), _ann)] }).Refusal);
    }

    [Fact]
    public void Cosigners_EachKeyOnce_UntilEnoughAreThere()
    {
        ApprovalPolicy policy = Policy($"cosigners: {{ required: 2, keys: [ {Entry("ann", _ann)}, {Entry("bob", _bob)}, {Entry("eve", _eve)} ] }}")!;
        SignedSubmission run = Submit(_ann); // by a key that is a co-signer's too: submitting is not co-signing
        Assert.Contains("0 of 2 are there, and 'ann', 'bob' or 'eve' can still sign", Missing(run), StringComparison.Ordinal);
        RunSignature bob = Approve(run, _bob);
        Assert.Contains("1 of 2 are there, and 'ann' or 'eve' can", Missing(run with { Approvals = [bob, bob, Approve(run, _bob)] }), StringComparison.Ordinal);
        Assert.Contains("1 of 2", Missing(run with { Approvals = [bob, run.Submitter!] }), StringComparison.Ordinal); // a submitter's signature is none of a co-signer
        Assert.Contains("1 of 2", Missing(run with { Approvals = [bob, Approve(Submit(_ann), _eve)] }), StringComparison.Ordinal); // of another submission
        using ECDsa stranger = Key();
        Assert.Contains("1 of 2", Missing(run with { Approvals = [bob, Approve(run, stranger)] }), StringComparison.Ordinal);
        Assert.Equal((null, 0), Ask(policy, run with { Approvals = [bob, Approve(run, _ann)] })); // the submitter, listed and signed as such
        SignedSubmission unsigned = Submit(null);
        Assert.Equal((null, 0), Ask(policy, unsigned with { Approvals = [Approve(unsigned, _bob), Approve(unsigned, _eve)] }));
        Assert.Contains("nobody can co-sign", Ask(policy, new(s_model, [], null, [])).Refusal, StringComparison.Ordinal);

        string Missing(SignedSubmission submission) => Assert.Single(policy.Check(s_federation, Spec, Schema, submission, trains: true).Missing);
    }

    [Fact]
    public void Approved_ByHash_NothingElseRuns()
    {
        string spec = Submit(null).SpecSha256(Spec, Schema);
        ApprovalPolicy policy = Policy($"approved: {{ specs: [ \"sha256:{spec}\" ], models: [ \"sha256:{s_model}\" ] }}")!;
        SignedSubmission run = new(s_model, [], null, []); // no signature is asked for
        Assert.Equal((null, 0), Ask(policy, run));
        Assert.Equal((null, 1), Ask(policy, run, Spec + "\n"));
        Assert.Equal((null, 2), Ask(policy, run with { InitialModelSha256 = s_other }));
        Assert.Contains("does not say what the run's initial model is", Ask(policy, run with { InitialModelSha256 = "" }).Refusal, StringComparison.Ordinal);
        Assert.Single(policy.Check(s_federation, Spec, Schema, run with { InitialModelSha256 = "" }, trains: false).Missing); // statistics have no model; the spec is another
        Assert.Equal((null, 1), Ask(Policy("approved: { specs: [] }")!, run));
    }

    private static ApprovalPolicy? Policy(string yaml) => NodePolicy.Parse(yaml, "policy.yaml").Approval;

    private static (string? Refusal, int Missing) Ask(ApprovalPolicy policy, SignedSubmission submission, string spec = Spec)
    {
        ApprovalAnswer answer = policy.Check(s_federation, spec, Schema, submission, trains: true);
        return (answer.Refusal, answer.Missing.Count);
    }

    private static SignedSubmission Submit(ECDsa? key) => SignedSubmission.Make(s_federation, Spec, Schema, s_model, key);

    private static RunSignature Approve(SignedSubmission submission, ECDsa key) => RunSignature.Of(key, SignedSubmission.ToApprove(submission.ToSign(s_federation, Spec, Schema)));

    private static string Entry(string name, ECDsa key) => $"{{ name: \"{name}\", key: \"sha256:{HashOf(key)}\" }}";

    private static string HashOf(ECDsa key) => Sha256Hex.Of(key.ExportSubjectPublicKeyInfo());

    private static ECDsa Key() => ECDsa.Create(ECCurve.NamedCurves.nistP256);
}

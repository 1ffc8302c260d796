using System.Security.Cryptography;
using CsCheck;
using Federation.Formats.Configuration;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Privacy.Canonical;
using Federation.Privacy.SecureAggregation;
using Federation.Protocol;
using Federation.V1;
using Google.Protobuf;
using Refusal = Federation.Privacy.SecureAggregation.Refusal;

namespace Federation.Client.Tests;

/// <summary>What a site asks of a run's signatures holds for as long as the run goes on, over restarts; and what was signed is one run.</summary>
public sealed class ApprovedRunsTests : IDisposable
{
    private const string Spec = """
        name: agreed
        data: { schema: s }
        model: { kind: logistic }
        task: { kind: binary-classification, label: y }
        rounds: 3
        seed: 1
        cohort: { sites: all, minContributors: 3, deadline: 60s }
        local: { optimizer: { kind: sgd, learningRate: 0.1 }, batchSize: 4, epochs: 1 }
        privacy: none
        """;

    private const string Schema = "name: s\ncolumns:\n  - { name: x, kind: number, unit: none, range: [0, 1] }\n  - { name: y, kind: label, categories: [0, 1] }\n";
    private static readonly string s_federation = Sha256Hex.Of("federation"u8), s_model = Sha256Hex.Of("model"u8);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("fed-approved");
    private readonly ECDsa _ann = ECDsa.Create(ECCurve.NamedCurves.nistP256), _bob = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public void Dispose()
    {
        _ann.Dispose();
        _bob.Dispose();
        _folder.Delete(recursive: true);
    }

    internal static AgreedRuns Runs(string folder, NodePolicy policy)
    {
        var state = new NodeFolder(folder);
        return new(state, "a", policy, new RunApproval(state, s_federation, policy));
    }

    [Fact] // the process is another one each time
    public void Agree_TheSameSubmissionAsAnotherRun_IsRefusedForGood()
    {
        SignedSubmission submission = Submit();
        Signed.Agree(Describe(submission));
        Signed.Agree(Describe(submission)); // the same run: nothing new
        Assert.Contains("What was signed for run run is shown again for run other", Refused(Refusal.SubmittedBefore, Signed, Describe(submission, "other")), StringComparison.Ordinal);
        Signed.Forget("run"); // whatever becomes of the run, also where it was refused since
        Refused(Refusal.SubmittedBefore, Signed, Describe(submission, "other"));
        Signed.Agree(Describe(submission));
        Signed.Agree(Describe(Submit(), "other")); // submitted anew
    }

    [Fact] // a site whose policy asks for nothing yet takes it down too
    public void Agree_BeforeThePolicyAskedForSignatures_CountsAsTheFirstRun()
    {
        SignedSubmission submission = Submit();
        Runs(_folder.FullName, new NodePolicy()).Agree(Describe(submission));
        Refused(Refusal.SubmittedBefore, Signed, Describe(submission, "other"));
    }

    [Fact]
    public void Agree_AnythingButWhatWasSigned_IsRefusedAndNotKept()
    {
        RunDescription Sent(Action<RunDescription> change)
        {
            RunDescription run = Describe(Submit());
            change(run);
            return run;
        }

        Refused(Refusal.NotApproved, Signed, Sent(run => run.SpecYaml += "\n#"));
        Refused(Refusal.NotApproved, Signed, Sent(run => run.SchemaYaml += "\n#"));
        Refused(Refusal.NotApproved, Signed, Sent(run => run.Submission.InitialModelSha256 = new string('0', 64)));
        Refused(Refusal.NotApproved, Signed, Sent(run => run.Submission.Submitter = null));
        Refused(Refusal.NotApproved, Signed, Sent(run => run.Submission = null));
        Refused(Refusal.Malformed, Signed, Sent(run => run.Submission.Nonce = ByteString.CopyFrom(1, 2)));
        Refused(Refusal.Malformed, Signed, Sent(run => run.Submission.Submitter.Signature = ByteString.Empty));
        Assert.False(Signed.Has("run"));
        Assert.False(Directory.Exists(Path.Combine(_folder.FullName, "submissions")) && Directory.EnumerateFiles(Path.Combine(_folder.FullName, "submissions")).Any());
    }

    [Fact] // it takes more signatures later; the policy is read when the node starts
    public void Agree_StricterPolicyLater_AsksAgainAndTakesWhatHasCome()
    {
        SignedSubmission submission = Submit();
        LearningTask task = Signed.Agree(Describe(submission));
        AgreedRuns stricter = Runs(_folder.FullName, Policy(Cosigners()));
        Assert.Equal(Refusal.AwaitsApproval, Assert.Throws<ProtocolException>(() => stricter.RequirePolicy(task)).Reason);
        Assert.Equal(Refusal.AwaitsApproval, Assert.Throws<ProtocolException>(() => stricter.RequireApproval("run")).Reason);
        Assert.Contains("'bob' can still sign", Refused(Refusal.AwaitsApproval, stricter, Describe(submission)), StringComparison.Ordinal);
        stricter.Agree(Describe(submission with { Approvals = [RunSignature.Of(_bob, SignedSubmission.ToApprove(submission.ToSign(s_federation, Spec, Schema)))] }));
        stricter.RequirePolicy(task);
        Runs(_folder.FullName, Policy(Cosigners())).RequireApproval("run"); // after a restart
    }

    [Fact]
    public void RequireModel_TheFirstRoundsModel_IsTheOneThatWasApproved()
    {
        LearningTask task = Signed.Agree(Describe(Submit()));
        Signed.RequireModel(task, 1, s_model);
        Assert.Contains($"the run's initial model is {s_model}", Assert.Throws<ProtocolException>(() => Signed.RequireModel(task, 1, new string('0', 64))).Message, StringComparison.Ordinal);
        Runs(_folder.FullName, new NodePolicy()).RequireModel(task, 1, new string('0', 64)); // a policy that asks for nothing
    }

    [Fact] // keys are made by all sites of the roster, also those that a run does not ask
    public void RequireApproval_OfARunThatWasNotAgreedTo_IsRefused()
    {
        Assert.Equal(Refusal.NotApproved, Assert.Throws<ProtocolException>(() => Signed.RequireApproval("unknown")).Reason);
        Runs(_folder.FullName, new NodePolicy()).RequireApproval("unknown");
    }

    [Fact] // every run passes, also one that asks for statistics alone
    public void Agree_ARunForStatistics_IsHeldAgainstTheSamePolicy()
    {
        const string statistics = "name: statistics\ndata: { schema: s }\nstatistics: { columns: [x], bins: 5 }\ncohort: { sites: all, minContributors: 3, deadline: 60s }\n";
        RunDescription Sent(ECDsa? key) => new() { RunId = "run", SpecYaml = statistics, SchemaYaml = Schema, Submission = SignedSubmission.Make(s_federation, statistics, Schema, "", key).ToMessage() };
        AgreedRuns runs = Runs(_folder.FullName, Policy(null) with { AllowStatistics = true });
        Refused(Refusal.NotApproved, runs, Sent(null));
        Refused(Refusal.NotApproved, runs, Sent(_bob));
        runs.Agree(Sent(_ann));
    }

    [Fact] // another submission under the id of a run that goes on
    public void Agree_AnotherSubmissionOfARunThatWasAgreedTo_IsRefused()
    {
        Signed.Agree(Describe(Submit()));
        Refused(Refusal.AnotherOpening, Signed, Describe(Submit()));
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("{\"Nonce\":3}")]
    public void Find_SignaturesCutShort_IsNoAgreement(string left)
    {
        SignedSubmission submission = Submit();
        Signed.Agree(Describe(submission));
        string path = Path.Combine(new NodeFolder(_folder.FullName).Run("run"), "submission.json");
        File.WriteAllText(path, left);
        Assert.False(Signed.Has("run"));
        Signed.Agree(Describe(submission));
        Assert.True(Signed.Has("run"));
    }

    [Fact] // any text, and the file with a piece of it changed
    public void Find_AnySignaturesFile_IsAnAgreementOrNone()
    {
        Signed.Agree(Describe(Submit()));
        string path = Path.Combine(new NodeFolder(_folder.FullName).Run("run"), "submission.json"), good = File.ReadAllText(path);
        Gen.Select(Gen.String, Gen.Int[0, good.Length - 1], Gen.String[0, 3]).Sample(
            (text, at, piece) =>
            {
                foreach (string candidate in new[] { text, good[..at], good[..at] + piece + good[(at + 1)..] })
                {
                    File.WriteAllText(path, candidate);
                    if (Signed.Find("run") is { } task && Record.Exception(() => Signed.RequirePolicy(task)) is { } refused) Assert.IsType<ProtocolException>(refused);
                }
            },
            iter: 300, threads: 1);
    }

    private AgreedRuns Signed => Runs(_folder.FullName, Policy(null));

    private NodePolicy Policy(CosignerPolicy? cosigners) => new() { Approval = new([new("ann", HashOf(_ann))], cosigners, null, null) };

    private CosignerPolicy Cosigners() => new(1, [new("bob", HashOf(_bob))]);

    private SignedSubmission Submit() => SignedSubmission.Make(s_federation, Spec, Schema, s_model, _ann);

    private static RunDescription Describe(SignedSubmission submission, string run = "run") => new() { RunId = run, SpecYaml = Spec, SchemaYaml = Schema, Submission = submission.ToMessage() };

    private static string HashOf(ECDsa key) => Sha256Hex.Of(key.ExportSubjectPublicKeyInfo());

    private static string Refused(Refusal reason, AgreedRuns runs, RunDescription run)
    {
        ProtocolException refused = Assert.Throws<ProtocolException>(() => runs.Agree(run));
        Assert.Equal(reason, refused.Reason);
        return refused.Message;
    }
}

using System.Security.Cryptography;
using Federation.Client;
using Federation.Learning;
using Federation.Privacy.Ledger;
using Federation.Privacy.SecureAggregation;
using Federation.V1;
using Google.Protobuf;
using Opening = Federation.Privacy.SecureAggregation.Opening;

namespace Federation.EndToEnd.Tests;

/// <summary>A coordinator that lies to one site: the site does not do what it is told, and says what was tried, to the coordinator and in its audit log.</summary>
public sealed class SecureLieTests
{
    private static readonly string[] s_sites = ["a", "b", "c", "d"];

    [Fact]
    public async Task Train_InTheClear_IsRefused() => await RefusedAsync("asks for an update in the clear", _ => task =>
    {
        if (task.Train is { } train) train.Secure = null;
        return task;
    });

    [Fact] // the same run, now without secure aggregation
    public async Task Train_AfterTheSpecWasChanged_IsRefused() => await RefusedAsync("another spec, schema or initial model for run", _ => task =>
        task.Train is { } train ? new NodeTask { Evaluate = new Evaluate { Run = new RunDescription { RunId = train.RunId, SpecYaml = Spec.Replace("{ kind: threshold-bfv, threshold: 3 }", "none", StringComparison.Ordinal), SchemaYaml = SyntheticSites.SchemaYaml }, Round = train.Round, ModelSha256 = train.ModelSha256 } } : task);

    [Fact]
    public async Task Train_WithAnInventedSite_IsRefused() => await RefusedAsync("names 'invented'", _ => Described(descriptor => descriptor with { Cohort = [.. descriptor.Cohort, "invented"], Encoding = Formats.Runs.SecureEncoding.Of(Formats.Runs.RunSpec.Parse(Spec, "x"), 5, 5) }));

    [Fact]
    public async Task Train_WithAnotherModelForOneSite_IsRefused() => await RefusedAsync("described for another model", _ => Described(descriptor => descriptor with { Model = new byte[32] }));

    [Fact] // in round 2 once more the model of round 1, whose sum this site has helped to open
    public async Task Train_OnAModelAlreadyContributedTo_IsRefused()
    {
        string first = "";
        await RefusedAsync("from the model of round 1", _ => task =>
        {
            if (task.Train is { Round: 1 } one) first = one.ModelSha256;
            if (task.Train is not { Round: 2 } two) return task;
            (two.ModelSha256, two.Model) = (first, Google.Protobuf.ByteString.Empty);
            return Described(descriptor => descriptor with { Model = Convert.FromHexString(first) })(task);
        });
    }

    [Fact] // of a size that no run may have
    public async Task Train_WithAMinimumOfTwo_IsRefused() => await RefusedAsync("from 3 to", _ => Described(descriptor => descriptor with { MinContributors = 2 }));

    [Fact] // the spec that all agreed to says four; this site is told three
    public async Task Train_WithAnotherMinimumForOneSite_IsRefused() =>
        await RefusedAsync("opened with 3 contributors; spec and policy ask for 4", _ => Described(descriptor => descriptor with { MinContributors = 3 }), Spec.Replace("minContributors: 3", "minContributors: 4", StringComparison.Ordinal));

    [Fact] // another schema of the table: other scaling, other columns
    public async Task Train_WithOtherTrainingSettingsForOneSite_IsRefused() => await RefusedAsync("described for other training settings", _ => Described(descriptor => descriptor with { LocalTraining = new byte[32] }));

    [Fact] // the certificate that all have signed, with a public key of the coordinator's choice in it
    public async Task Train_UnderAnotherKeyThanTheCertifiedOne_IsRefused() => await RefusedAsync("signed another certificate", liar => task =>
    {
        if (task.Train is not { } train) return task;
        byte[] certificate = liar.Fetched(train.Secure.CertificateSha256);
        certificate[certificate.Length / 2] ^= 1; // far the most of it is the key
        train.Secure.CertificateSha256 = liar.Plant(certificate);
        return task;
    });

    [Fact] // chosen once the others' parts were seen, to know the key: a part that was not committed to before
    public async Task Epoch_WithAPartChosenAfterTheOthers_IsRefused() => await RefusedAsync("revealed something else than it committed to", liar => task =>
    {
        if (task.Epoch is not { Step: 5 } epoch) return task;
        EpochReveal[] reveals = [.. EpochReveal.DecodeList(liar.Fetched(epoch.ContentSha256))];
        reveals[^1] = reveals[^1] with { Packed = [.. reveals[^1].Packed] };
        reveals[^1].Packed[7] ^= 1;
        epoch.ContentSha256 = liar.Plant(EpochReveal.Encode(reveals));
        return task;
    });

    [Fact]
    public async Task Epoch_WithAThresholdThatResistsNobody_IsRefused() => await RefusedAsync("asks for 1: a threshold of 3 at least", _ => task =>
    {
        if (task.Epoch is { Step: 0 } epoch)
        {
            EpochDescriptor asked = EpochDescriptor.Decode(epoch.Descriptor_.Span);
            epoch.Descriptor_ = ByteString.CopyFrom(new EpochDescriptor(asked.RosterHash, asked.Epoch, asked.Attempt, 2, asked.Members).Encode());
        }

        return task;
    });

    [Fact] // with the certificate of the roster that the site has checked, another one is named: the share is kept with the first, and is of use
    public async Task Epoch_FinishedUnderAnotherRoster_KeepsTheOneThatWasChecked()
    {
        string run = "";
        await RefusedAsync("fewer than 3 is not opened", liar => task =>
        {
            if (task.Epoch is { Step: 6 } epoch) epoch.RosterSha256 = liar.Plant(new Roster(9, "", [new("a", new string('1', 64)), new("invented", new string('2', 64))]).Encode());
            if (task.Open is { } open) run = open.RunId;
            return Asked(liar, request => request with { Contributions = [.. request.Contributions.Take(2)] })(task);
        });
        Assert.NotEqual("", run); // asked, and it held a share
    }

    [Fact] // after new keys: the certificate of the epoch before, for one site
    public async Task Train_UnderTheKeysOfAnOlderEpoch_IsRefused()
    {
        SecureRound? first = null;
        await RefusedAsync("under the keys of epoch 1, after those of epoch 2", _ => task =>
        {
            if (task.Train is { Round: 1 } one) first = one.Secure;
            if (task.Train is { Round: 3, Secure: var secure }) (secure.CertificateSha256, secure.TestSha256, secure.RosterSha256, secure.Epoch) = (first!.CertificateSha256, first.TestSha256, first.RosterSha256, first.Epoch);
            return task;
        }, Spec.Replace("threshold: 3 }", "threshold: 3, maxOpenings: 1 }", StringComparison.Ordinal).Replace("rounds: 2", "rounds: 3", StringComparison.Ordinal));
    }

    [Fact] // a member's share is of a newer epoch: no mishap of its own
    public async Task Open_ASumOfAnOlderEpoch_IsRefused() => await RefusedAsync("nothing of the old ones is opened", liar => Asked(liar, request => request with { Opening = new(request.Opening.Run, request.Opening.Epoch - 1, request.Opening.Round, request.Opening.Purpose) }));

    [Fact] // of four contributions the member is shown two, and asked to open their sum
    public async Task Open_OfFewerThanTheMinimum_IsRefused() => await RefusedAsync("a sum of fewer than 3 is not opened", liar => Asked(liar, request => request with { Contributions = [.. request.Contributions.Take(2)] }));

    [Fact]
    public async Task Open_WithANonMember_IsRefused() => await RefusedAsync("is not 3 distinct members", liar => Asked(liar, request => request with { Active = [.. request.Active.Take(2), 9] }));

    [Fact] // to others it showed another run under the same id
    public async Task Open_OfAnotherSpec_IsRefused() => await RefusedAsync("of another spec or schema", liar => Asked(liar, request => request with { Round = request.Round with { RunSpec = new byte[32] } }));

    [Fact]
    public async Task Open_OfOneContributionTwice_IsRefused() => await RefusedAsync("is in the set twice", liar => Asked(liar, request => request with { Contributions = [.. request.Contributions.Skip(1), request.Contributions[1]] }));

    [Fact] // in the place of a site's contribution one that somebody else has signed in its name
    public async Task Open_WithAForeignContribution_IsRefused()
    {
        using ECDsa foreign = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        await RefusedAsync("with this key is not in roster 1", liar => Asked(liar, request => request with { Contributions = [SignedMessage.Sign(request.Contributions[0].Site, foreign, request.Contributions[0].Body.ToArray()), .. request.Contributions.Skip(1)] }));
    }

    [Fact] // after the honest answer: the same round once more, without one site
    public async Task Open_AnotherSetForTheSameRound_IsRefused()
    {
        OpenTask? later = null;
        await RefusedAsync("Another set of contributors was answered", liar => task =>
        {
            if (task.Open is { } open && later is null)
            {
                OpeningRequest request = OpeningRequest.Decode(liar.Fetched(open.RequestSha256));
                later = new OpenTask { RunId = open.RunId, RequestSha256 = liar.Plant((request with { Contributions = [.. request.Contributions.Take(3)] }).Encode()), SecondsSha256 = liar.Plant(liar.Fetched(open.SecondsSha256)) };
                return task;
            }

            if (later is null || task.TaskCase is not (NodeTask.TaskOneofCase.Train or NodeTask.TaskOneofCase.RunEnded)) return task;
            return new NodeTask { Open = later };
        });
    }

    [Fact] // a ciphertext of the coordinator's own, as a test or as anything else
    public async Task Open_ATestThatSomebodySupplies_IsRefused() => await RefusedAsync("never asked for with ciphertexts", liar => Asked(liar, request => request with { Opening = new(request.Opening.Run, request.Opening.Epoch, request.Opening.Round, Opening.Test) }));

    private static string Spec => SyntheticSites.Spec(rounds: 2, least: 3, deadline: "5s", secure: "{ kind: threshold-bfv, threshold: 3 }");

    private static Func<NodeTask, NodeTask> Described(Func<RoundDescriptor, RoundDescriptor> change) => task =>
    {
        if (task.Train is { } train) train.Secure.Descriptor_ = ByteString.CopyFrom(change(RoundDescriptor.Decode(train.Secure.Descriptor_.Span)).Encode());
        return task;
    };

    private static Func<NodeTask, NodeTask> Asked(LyingCoordinator liar, Func<OpeningRequest, OpeningRequest> change) => task =>
    {
        if (task.Open is { } open) open.RequestSha256 = liar.Plant(change(OpeningRequest.Decode(liar.Fetched(open.RequestSha256))).Encode());
        return task;
    };

    private static async Task RefusedAsync(string why, Func<LyingCoordinator, Func<NodeTask, NodeTask>> lie, string? spec = null)
    {
        spec ??= Spec;
        await using TestFederation federation = await TestFederation.StartAsync();
        foreach (string site in s_sites) await federation.EnrollAsync(site);
        await using LyingCoordinator liar = await LyingCoordinator.StartAsync(federation, "a");
        liar.Lie = lie(liar);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        List<ILocalLearner> learners = [];
        List<Task> nodes = [];
        foreach (string site in s_sites)
        {
            learners.Add(SyntheticSites.Learner(SyntheticSites.Write(federation.Folder, site)));
            nodes.Add(federation.RunNodeAsync(site, learners[^1], coordinator: site == "a" ? liar.Address : null, data: [SyntheticSites.Write(federation.Folder, site)], cancellationToken: stop.Token));
        }

        string run = await federation.SubmitAsync(spec, SyntheticSites.SchemaYaml, SyntheticSites.Initial(spec));
        using var late = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        late.CancelAfter(TimeSpan.FromMinutes(1));
        while (!liar.Refusals.Any(refusal => refusal.Contains(why, StringComparison.Ordinal)))
        {
            Assert.False((await federation.ShowAsync(run)).Summary.State is "completed" or "failed", $"The run ended without a refusal; said were: {string.Join(" | ", liar.Refusals)}");
            await Task.WhenAny(liar.Refused, Task.WhenAll(nodes)).WaitAsync(late.Token);
        }

        // What was tried is kept at the site, with the run, before anybody else hears of it.
        var audit = AuditVerification.Of(new NodeFolder(federation.NodeState("a")).Audit);
        Assert.Empty(audit.Problems);
        Assert.Contains(audit.Entries, entry => entry.Run == run && entry.What.Contains(why, StringComparison.Ordinal));

        await federation.Operator.CancelRunAsync(new CancelRunRequest { RunId = run });
        await stop.CancelAsync();
        await Task.WhenAll(nodes).ContinueWith(_ => { }, TaskScheduler.Default);
        foreach (ILocalLearner learner in learners) learner.Dispose();
    }
}

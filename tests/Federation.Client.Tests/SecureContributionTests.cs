using System.Security.Cryptography;
using System.Text;
using Federation.Client.SecureAggregation;
using Federation.Formats.Configuration;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Privacy.Canonical;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;
using Federation.V1;
using Google.Protobuf;
using Microsoft.Extensions.Logging.Abstractions;
using Opening = Federation.Privacy.SecureAggregation.Opening;

namespace Federation.Client.Tests;

/// <summary>What an honest site refuses to encrypt, whatever the coordinator says. The coordinator's content lies in the node's folder already, so no call is made.</summary>
public sealed class SecureContributionTests : IDisposable
{
    private const string Spec = """
        name: lied-to
        model: { kind: custom }
        rounds: 3
        seed: 1
        cohort: { sites: all, minContributors: 3, deadline: 60s }
        local: { optimizer: { kind: sgd, learningRate: 0.1 }, batchSize: 4, epochs: 1 }
        privacy: none
        secureAggregation: { kind: threshold-bfv, threshold: 3 }
        """;

    private const int Values = 50;

    private static readonly string[] s_sites = ["a", "b", "c", "d"];
    private static readonly string s_model = new('1', 64);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("fed-secure");
    private readonly ECDsa[] _identities = [.. s_sites.Select(_ => ECDsa.Create(ECCurve.NamedCurves.nistP256))];
    private readonly NodeFolder _node;
    private readonly CommitteeStore _store;
    private readonly Roster _roster;
    private readonly EpochCertificate _certificate;
    private readonly IReadOnlyList<SignedOpeningAnswer> _test;
    private readonly RoundDescriptor _descriptor;

    public SecureContributionTests()
    {
        _node = new(_folder.FullName);
        _store = _node.OpenCommitteeStore();
        _roster = RosterOf(s_sites.Length);
        (_certificate, _test) = Epoch(_roster);
        RunSpec spec = RunSpec.Parse(Spec, "spec");
        _descriptor = new(SHA256.HashData(Encoding.UTF8.GetBytes(Spec)), Convert.FromHexString(s_model), s_sites, 3, 0, WeightRule.Claimed, SHA256.HashData([]), SecureEncoding.Of(spec, Values, 4));
    }

    public void Dispose()
    {
        foreach (ECDsa identity in _identities) identity.Dispose();
        _store.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Check_WhatTheSpecSays_IsTaken()
    {
        SiteRound round = await CheckAsync(_descriptor);
        Assert.Equal(new Opening("run", 1, 2, Opening.Update), round.Opening);
        await CheckAsync(_descriptor, policy: new NodePolicy(RosterSha256: _roster.Hash));
    }

    [Fact]
    public async Task Check_ADescriptorThatIsNotTheRuns_IsRefused()
    {
        byte[] other = new byte[32];
        UpdateEncoding wider = SecureEncoding.Of(RunSpec.Parse(Spec, "spec") with { SecureAggregation = new SecureAggregationSpec(Threshold: 3, Cut: 80) }, Values, 4);
        await Refused("another run spec", _descriptor with { RunSpec = other });
        await Refused("other training settings", _descriptor with { LocalTraining = other });
        await Refused("another model", _descriptor with { Model = other });
        await Refused("another encoding", _descriptor with { Encoding = wider });
        await Refused("another encoding", _descriptor with { Encoding = null });
        await Refused("not in the cohort", _descriptor with { Cohort = ["b", "c", "d"] });
        await Refused("names 'invented'", _descriptor with { Cohort = ["a", "b", "c", "invented"] });
        await Refused("spec and policy ask for 4", _descriptor, new NodePolicy(MinContributors: 4));
        await Assert.ThrowsAsync<FormatException>(() => CheckAsync(_descriptor with { MinContributors = 2 }));
    }

    [Fact]
    public async Task Check_ARosterThatIsNotThePinnedOne_IsRefused() => await Refused("this site's policy pins", _descriptor, new NodePolicy(RosterSha256: new string('0', 64)));

    [Fact] // a committee of the coordinator's own making, and a threshold that resists nobody
    public async Task Check_AKeyThatIsNotCertified_IsRefused()
    {
        (EpochCertificate foreign, IReadOnlyList<SignedOpeningAnswer> test) = Epoch(RosterOf(3)); // another roster's
        await Assert.ThrowsAsync<ProtocolException>(() => CheckAsync(_descriptor, certificate: foreign, test: test));
        await Refused("its members are 4", _descriptor, certificate: EpochCertificate.Decode(WithoutSignatures(_certificate)));
        await Refused("policy asks for 2", _descriptor, new NodePolicy(MaxColluding: 2));
    }

    [Fact] // on disk: a restart forgets no epoch
    public async Task Check_AnOlderEpochThanOneSeen_IsRefused()
    {
        (EpochCertificate second, IReadOnlyList<SignedOpeningAnswer> test) = Epoch(_roster, epoch: 2);
        (EpochCertificate another, IReadOnlyList<SignedOpeningAnswer> anotherTest) = Epoch(_roster, epoch: 2);
        await CheckAsync(_descriptor);
        await CheckAsync(_descriptor, certificate: second, test: test);
        using CommitteeStore again = _node.OpenCommitteeStore();
        await Refused("under the keys of epoch 1, after those of epoch 2", _descriptor, store: again);
        await Refused("under another certificate of epoch 2", _descriptor, certificate: another, test: anotherTest, store: again);
        await CheckAsync(_descriptor, certificate: second, test: test);
    }

    [Fact] // the answers of another epoch do not open this one's test
    public async Task Check_AnEpochWithoutItsTest_IsRefused()
    {
        (_, IReadOnlyList<SignedOpeningAnswer> another) = Epoch(_roster);
        await Assert.ThrowsAsync<ProtocolException>(() => CheckAsync(_descriptor, test: another));
        await Assert.ThrowsAsync<ProtocolException>(() => CheckAsync(_descriptor, test: [.. _test.Take(2)]));
    }

    [Fact] // one evaluation under several purposes would be several sets for one model
    public async Task Check_APurposeThatTheTaskIsNotFor_IsRefused() =>
        Assert.Contains("only one to 'evaluation' is given", (await Assert.ThrowsAsync<ProtocolException>(() => CheckAsync(_descriptor, purpose: Opening.Evaluation))).Message, StringComparison.Ordinal);

    [Fact]
    public async Task Check_ARunWithoutSecureAggregation_IsRefused()
    {
        string clear = Spec.Replace("{ kind: threshold-bfv, threshold: 3 }", "none", StringComparison.Ordinal);
        Assert.Contains("the run's spec says", (await Assert.ThrowsAsync<ProtocolException>(() => CheckAsync(_descriptor, spec: clear))).Message, StringComparison.Ordinal);
    }

    private async Task Refused(string why, RoundDescriptor descriptor, NodePolicy? policy = null, EpochCertificate? certificate = null, IReadOnlyList<SignedOpeningAnswer>? test = null, CommitteeStore? store = null) =>
        Assert.Contains(why, (await Assert.ThrowsAsync<ProtocolException>(() => CheckAsync(descriptor, policy, certificate, test, store: store))).Message, StringComparison.Ordinal);

    private Task<SiteRound> CheckAsync(RoundDescriptor descriptor, NodePolicy? policy = null, EpochCertificate? certificate = null, IReadOnlyList<SignedOpeningAnswer>? test = null, string spec = Spec, string purpose = Opening.Update, CommitteeStore? store = null)
    {
        var secure = new SecureRound
        {
            Epoch = 1,
            Descriptor_ = ByteString.CopyFrom(descriptor.Encode()),
            Purpose = Opening.Update,
            CertificateSha256 = Keep((certificate ?? _certificate).Encode()),
            RosterSha256 = Keep(_roster.Encode()),
            TestSha256 = Keep(SignedOpeningAnswer.Encode(test ?? _test)),
        };
        var contribution = new SecureContribution(null!, _node, "a", _identities[0], policy ?? new NodePolicy(), store ?? _store, 1, NullLogger.Instance);
        return contribution.CheckAsync(new LearningTask("run", "a", RunSpec.Parse(spec, "spec"), null), spec, "", secure, purpose, 2, s_model, Values, TestContext.Current.CancellationToken);
    }

    private string Keep(byte[] content)
    {
        string sha256 = Sha256Hex.Of(content);
        File.WriteAllBytes(_node.Blob(sha256), content);
        return sha256;
    }

    private Roster RosterOf(int sites) => new(1, "", s_sites.Take(sites).Zip(_identities, (name, identity) => KeyValuePair.Create(name, Sha256Hex.Of(identity.ExportSubjectPublicKeyInfo()))));

    private (EpochCertificate Certificate, IReadOnlyList<SignedOpeningAnswer> Test) Epoch(Roster roster, ulong epoch = 1)
    {
        using SecureRandom random = new();
        CommitteePolicy policy = new();
        string[] names = [.. roster.Sites.Keys];
        EpochDescriptor descriptor = new(roster.Hash, epoch, 0, 3, names);
        (EpochCertificate certificate, CommitteeShare[] shares) = MadeEpoch.Of(descriptor, roster, policy, _identities[..names.Length], random);
        List<SignedOpeningAnswer> test = [.. shares.Take(3).Select(share => new OpeningMember(certificate, share, roster, policy, _identities[share.Index - 1], random, OpeningRecord.Empty, _ => { }).AnswerTest([1, 2, 3]))];
        foreach (CommitteeShare share in shares) share.Dispose();
        return (certificate, test);
    }

    /// <summary>The same certificate as if nobody had signed it.</summary>
    private static byte[] WithoutSignatures(EpochCertificate certificate)
    {
        byte[] bytes = certificate.Encode();
        int signatures = certificate.Signatures.Sum(signature => 4 + signature.Encode().Length);
        byte[] without = bytes[..^signatures];
        without.AsSpan(without.Length - 8, 8).Clear(); // their number
        return without;
    }
}

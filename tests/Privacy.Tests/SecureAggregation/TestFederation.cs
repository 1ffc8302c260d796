using System.Security.Cryptography;
using Federation.Privacy.Canonical;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;

namespace Federation.Privacy.Tests.SecureAggregation;

/// <summary>Sites with real keys, their committee, and an epoch made by the protocol's own messages, each through its bytes.</summary>
internal sealed class TestFederation : IDisposable
{
    private readonly ECDsa[] _identities;

    public TestFederation(int sites, int threshold)
    {
        Names = [.. Enumerable.Range(1, sites).Select(i => $"site-{i}")];
        _identities = [.. Names.Select(_ => ECDsa.Create(ECCurve.NamedCurves.nistP256))];
        Roster = new(1, "", Names.Zip(_identities, (name, identity) => KeyValuePair.Create(name, Sha256Hex.Of(identity.ExportSubjectPublicKeyInfo()))));
        Descriptor = new(Roster.Hash, 1, 0, threshold, Names);
    }

    public string[] Names { get; }

    public Roster Roster { get; }

    public EpochDescriptor Descriptor { get; }

    public CommitteePolicy Policy { get; } = new(lyingOrRestored: 0);

    public SecureRandom Random { get; } = new();

    public SignedMessage Sign(int index, byte[] body) => SignedMessage.Sign(Names[index - 1], _identities[index - 1], body);

    public EpochMember Member(int index) => new(Descriptor, Roster, Policy, Names[index - 1], _identities[index - 1], Random);

    public ECDsa Identity(int index) => _identities[index - 1];

    public OpeningMember Opener(EpochCertificate certificate, CommitteeShare share, OpeningRecord? record = null, CommitteePolicy? policy = null, Action<OpeningEntry>? store = null) =>
        new(certificate, share, Roster, policy ?? Policy, _identities[share.Index - 1], Random, record ?? OpeningRecord.Empty, store ?? (_ => { }));

    /// <summary>Of the epoch made last.</summary>
    public byte[] Transcript { get; private set; } = [];

    public (EpochCertificate Certificate, CommitteeShare[] Shares) MakeEpoch() => MadeEpoch.Of(Descriptor, Roster, Policy, _identities, Random, transcript => Transcript = transcript);

    public static Dictionary<int, byte[]> SharesFor(int member, IReadOnlyList<IReadOnlyDictionary<int, byte[]>> sent) => MadeEpoch.SharesFor(member, sent);

    public static SignedMessage Sent(SignedMessage message) => MadeEpoch.Sent(message);

    public void Dispose()
    {
        foreach (ECDsa identity in _identities) identity.Dispose();
        Random.Dispose();
    }
}

/// <summary>One round's contributions under an epoch's key.</summary>
internal sealed class TestRound
{
    private readonly ManagedBfvEngine _engine;

    public TestRound(TestFederation federation, EpochCertificate certificate, int contributors, ulong round = 1, string purpose = Opening.Update, byte model = 7)
    {
        (Federation, Certificate, Opening) = (federation, certificate, new("heart", certificate.Descriptor.Epoch, round, purpose));
        Descriptor = new(new byte[32], [.. Enumerable.Repeat(model, 32)], federation.Names, 3, 1, WeightRule.Claimed, new byte[32], new(UpdateLayout.Choose(14, federation.Names.Length), 25_000, clip: 1, weightScale: 0.0001f, new byte[32], cut: null, noiseVariance: 0, largestWeight: 1000));
        _engine = new(certificate.Descriptor.Parameters, federation.Random);
        for (int site = 1; site <= contributors; site++)
        {
            ulong[] message = [.. Enumerable.Range(0, 8192).Select(_ => federation.Random.NextUInt64() % 100_000_000_000)];
            Messages.Add(message);
            Ciphertext key = _engine.Encrypt(new Plaintext(certificate.Descriptor.Parameters, message), certificate.Key);
            Keys.Add(key);
            Headers.Add(new(Opening, federation.Names[site - 1], Descriptor.Hash(), certificate.Hash, new byte[32], PackedElement.Hash(key.Ring, key.First), PackedElement.Hash(key.Ring, key.Second)));
        }
    }

    public TestFederation Federation { get; }

    public EpochCertificate Certificate { get; }

    public Opening Opening { get; }

    public RoundDescriptor Descriptor { get; }

    public List<ulong[]> Messages { get; } = [];

    public List<Ciphertext> Keys { get; } = [];

    public List<ContributionHeader> Headers { get; } = [];

    public Ciphertext Sum => _engine.AddMany(Keys);

    public ulong[] Expected => [.. Enumerable.Range(0, 8192).Select(i => Messages.Aggregate(0UL, (sum, message) => (sum + message[i]) % (1UL << 40)))];

    public OpeningRequest Request(params int[] active) => OpeningRequest.Decode(new OpeningRequest(Opening, Descriptor, [.. Headers.Select((header, i) => Federation.Sign(i + 1, header.Encode()))], active).Encode());

    public List<byte[]> Seconds => [.. Keys.Select(key => PackedElement.Pack(key.Ring, key.Second))];
}

using System.Security.Cryptography;
using Federation.Privacy.Canonical;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;

namespace Federation.Server.Tests.SecureAggregation;

/// <summary>Four sites with their keys, one epoch made by the protocol, and one contribution of each: small whole numbers, so that any sum can be told.</summary>
internal sealed class SecureEpoch
{
    public const int Threshold = 3;

    public static readonly string[] Sites = ["a", "b", "c", "d"];

    private static readonly Lazy<SecureEpoch> s_one = new(() => new SecureEpoch());

    private readonly ECDsa[] _identities = [.. Sites.Select(_ => ECDsa.Create(ECCurve.NamedCurves.nistP256))];
    private readonly CommitteeShare[] _shares;

    private SecureEpoch()
    {
        Roster = new(1, "", Sites.Zip(_identities, (name, identity) => KeyValuePair.Create(name, Sha256Hex.Of(identity.ExportSubjectPublicKeyInfo()))));
        EpochDescriptor descriptor = new(Roster.Hash, 1, 0, Threshold, Sites);
        (Certificate, _shares) = MadeEpoch.Of(descriptor, Roster, Policy, _identities, Random);
        Round = new(new("run", 1, 1, Opening.Evaluation), new(new byte[32], new byte[32], Sites, 3, 0, WeightRule.One, new byte[32], null), Certificate);
        Contributions = [.. Sites.Select((site, i) => Contribution(site, i))];
    }

    public static SecureEpoch One => s_one.Value;

    public Roster Roster { get; }

    public CommitteePolicy Policy { get; } = new();

    public SecureRandom Random { get; } = new();

    public EpochCertificate Certificate { get; }

    public SiteRound Round { get; }

    /// <summary>Site i contributed 1000^i, so a sum says who is in it and how often.</summary>
    public IReadOnlyList<byte[]> Contributions { get; }

    public ECDsa Identity(int site) => _identities[site];

    public OpeningMember Member(int site, OpeningRecord record, Action<OpeningEntry> store) => new(Certificate, _shares[site], Roster, Policy, _identities[site], Random, record, store);

    private byte[] Contribution(string site, int index)
    {
        using MemoryStream file = new();
        ContributionFile.WriteCountsAsync(file, Round, site, _identities[index], [(ulong)Math.Pow(1000, index)], CancellationToken.None).GetAwaiter().GetResult();
        return file.ToArray();
    }
}

using System.Security.Cryptography;
using Federation.Privacy.Canonical;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;

namespace Federation.Server.Tests.SecureAggregation;

/// <summary>Sites with their keys, and epochs made beforehand for schedules that are not about making them. One thread's: keys are not shared.</summary>
/// <param name="isReal">The protocol's own ring; else one that hides nothing and costs a hundredth.</param>
internal sealed class ScheduleFederation(int sites, bool isReal) : IDisposable
{
    private const int SmallDegree = 64;

    private static readonly BfvParameters s_small = BfvParameters.WithoutSecrecy(SmallDegree);

    private readonly ECDsa[] _identities = [.. Enumerable.Range(0, sites).Select(_ => ECDsa.Create(ECCurve.NamedCurves.nistP256))];
    private readonly Dictionary<int, (EpochCertificate Certificate, CommitteeShare[] Shares)> _made = [];
    private Roster? _roster;

    public BfvParameters Parameters => isReal ? BfvParameters.ForKeys : s_small;

    public string[] Sites { get; } = [.. Enumerable.Range(0, sites).Select(i => $"{(char)('a' + i)}")];

    /// <summary>t: 2t − k is above one lying or restored member.</summary>
    public int Threshold => ((sites + 1) / 2) + 1;

    public Roster Roster => _roster ??= new(1, "", Sites.Zip(_identities, (name, identity) => KeyValuePair.Create(name, Sha256Hex.Of(identity.ExportSubjectPublicKeyInfo()))));

    public SecureRandom Random { get; } = new();

    public ECDsa Identity(int member) => _identities[member];

    public EpochDescriptor Descriptor(int epoch, int attempt, IReadOnlyList<string> members) => new(Roster.Hash, (ulong)epoch, (ulong)attempt, Threshold, members, Parameters);

    /// <summary>An epoch of all sites; the same to every schedule.</summary>
    public (EpochCertificate Certificate, CommitteeShare[] Shares) Made(int epoch)
    {
        if (!_made.TryGetValue(epoch, out var made)) _made[epoch] = made = MadeEpoch.Of(Descriptor(epoch, 0, Sites), Roster, new CommitteePolicy(), _identities, Random, decode: bytes => EpochCertificate.Decode(bytes, Parameters));
        return made;
    }

    public void Dispose()
    {
        foreach (ECDsa identity in _identities) identity.Dispose();
        foreach (CommitteeShare share in _made.Values.SelectMany(made => made.Shares)) share.Dispose();
        Random.Dispose();
    }
}

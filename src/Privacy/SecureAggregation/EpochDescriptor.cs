using Federation.Privacy.Canonical;
using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.SecureAggregation;

/// <summary>What a key epoch is to be: roster, committee, threshold and ring. Members have the indices 1 … k in the order of the list.</summary>
public sealed class EpochDescriptor
{
    private const int MostPrimes = 16;

    /// <param name="rosterHash">Hex.</param>
    /// <param name="epoch">Number of the epoch.</param>
    /// <param name="attempt">Number of this try at it.</param>
    /// <param name="threshold">t, from 2 to k.</param>
    /// <param name="members">k names, 2 to 32, all different.</param>
    /// <exception cref="ArgumentException">A value is out of range.</exception>
    public EpochDescriptor(string rosterHash, ulong epoch, ulong attempt, int threshold, IReadOnlyList<string> members, BfvParameters? parameters = null)
    {
        if (!Sha256Hex.IsValid(rosterHash)) throw new ArgumentException($"'{rosterHash}' is not a SHA-256 in lower-case hex.", nameof(rosterHash));
        if (members.Count is < 2 or > CommitteePolicy.LargestCommittee) throw new ArgumentException($"A committee has 2 to {CommitteePolicy.LargestCommittee} members, not {members.Count}.", nameof(members));
        if (members.Distinct(StringComparer.Ordinal).Count() != members.Count) throw new ArgumentException("A member is named twice.", nameof(members));
        if (threshold < 2 || threshold > members.Count) throw new ArgumentException($"A threshold is from 2 to {members.Count}, not {threshold}.", nameof(threshold));
        (RosterHash, Epoch, Attempt, Threshold, Members, Parameters) = (rosterHash, epoch, attempt, threshold, [.. members], parameters ?? BfvParameters.ForKeys);
    }

    public string RosterHash { get; }

    public ulong Epoch { get; }

    public ulong Attempt { get; }

    /// <summary>t.</summary>
    public int Threshold { get; }

    public IReadOnlyList<string> Members { get; }

    public BfvParameters Parameters { get; }

    public byte[] Encode()
    {
        CanonicalWriter writer = new CanonicalWriter("epoch").Field(RosterHash).Field(Epoch).Field(Attempt).Field((ulong)Threshold).Field((ulong)Members.Count);
        foreach (string member in Members) writer.Field(member);
        writer.Field((ulong)Parameters.Degree).Field(Parameters.PlainModulus.Value).Field((ulong)Parameters.Primes.Count);
        foreach (ulong prime in Parameters.Primes) writer.Field(prime);
        return writer.ToArray();
    }

    /// <exception cref="FormatException">The bytes are no descriptor.</exception>
    public static EpochDescriptor Decode(ReadOnlySpan<byte> bytes) => Decode(bytes, BfvParameters.ForKeys);

    /// <param name="known">The one ring that is accepted.</param>
    internal static EpochDescriptor Decode(ReadOnlySpan<byte> bytes, BfvParameters known)
    {
        CanonicalReader reader = new(bytes, "epoch");
        string roster = reader.Text(64);
        ulong epoch = reader.UInt64(), attempt = reader.UInt64();
        int threshold = reader.Int32(2, CommitteePolicy.LargestCommittee), count = reader.Int32(2, CommitteePolicy.LargestCommittee);
        List<string> members = [];
        for (int i = 0; i < count; i++) members.Add(reader.Text(4 * Roster.LongestName));
        int degree = reader.Int32(1, 32768);
        ulong plain = reader.UInt64();
        ulong[] primes = new ulong[reader.Int32(1, MostPrimes)];
        for (int i = 0; i < primes.Length; i++) primes[i] = reader.UInt64();
        reader.End();
        // Only the protocol's own ring: a search for roots of other primes would be work that anybody could ask for.
        if (degree != known.Degree || plain != known.PlainModulus.Value || !primes.AsSpan().SequenceEqual([.. known.Primes])) throw new FormatException($"The epoch's ring is not the protocol's ({known}).");
        try
        {
            return new(roster, epoch, attempt, threshold, members, known);
        }
        catch (ArgumentException wrong)
        {
            throw new FormatException(wrong.Message, wrong);
        }
    }

    /// <summary>The next try, without members that failed in this one.</summary>
    /// <exception cref="ArgumentException">Too few members are left for the threshold.</exception>
    public EpochDescriptor NextAttempt(IReadOnlyCollection<string> without) => new(RosterHash, Epoch, Attempt + 1, Threshold, [.. Members.Except(without)], Parameters);
}

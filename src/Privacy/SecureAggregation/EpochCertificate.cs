using System.Security.Cryptography;
using Federation.Privacy.Canonical;
using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.SecureAggregation;

/// <summary>The public key of an epoch, with the signatures of all of Q under how it came about. Sites encrypt under no other key.</summary>
public sealed class EpochCertificate
{
    private readonly byte[] _keyHash; // of the packed key, which is not kept: it has the size of the key again

    /// <param name="transcript">Step 2's hash.</param>
    internal EpochCertificate(EpochDescriptor descriptor, byte[] transcript, IReadOnlyList<int> qualified, PublicKey key, IReadOnlyList<SignedMessage> signatures)
        : this(descriptor, transcript, qualified, key, SHA256.HashData(Packed(key)), signatures)
    {
    }

    private EpochCertificate(EpochDescriptor descriptor, byte[] transcript, IReadOnlyList<int> qualified, PublicKey key, byte[] keyHash, IReadOnlyList<SignedMessage> signatures)
    {
        (Descriptor, Transcript, Qualified, Key, _keyHash, Signatures) = (descriptor, transcript, qualified, key, keyHash, signatures);
        Body = Indices.Write(new CanonicalWriter("epoch-certificate").Field(descriptor.Encode()).Field(transcript), qualified).Field(keyHash).ToArray();
        Hash = SHA256.HashData(Body);
    }

    /// <summary>Step 4: pk = (Σ b_i, a) from what all of Q revealed, not signed yet.</summary>
    /// <param name="answers">Hash of descriptor and answers, of which a is expanded.</param>
    /// <param name="transcript">Step 2's hash.</param>
    /// <exception cref="ProtocolException">A reveal belongs to another attempt or is not what was committed to.</exception>
    internal static EpochCertificate Of(EpochDescriptor descriptor, byte[] answers, byte[] transcript, IReadOnlyList<int> qualified, IReadOnlyDictionary<int, EpochCommitment> commitments, IEnumerable<EpochReveal> reveals)
    {
        RnsRing ring = descriptor.Parameters.KeyRing;
        ulong[] key = new ulong[2 * ring.Words];
        foreach (EpochReveal reveal in reveals) ring.Add(key.AsSpan(0, ring.Words), EpochTranscript.Revealed(descriptor, transcript, reveal, commitments[reveal.Index]));
        Expansion.Element(answers, ring).CopyTo(key.AsSpan(ring.Words));
        return new(descriptor, transcript, qualified, new PublicKey(descriptor.Parameters, key), []);
    }

    /// <summary>This certificate with the signatures of all of Q; not verified.</summary>
    internal EpochCertificate Signed(IEnumerable<SignedMessage> signatures)
    {
        List<string> members = [.. Descriptor.Members];
        return new(Descriptor, Transcript, Qualified, Key, _keyHash, [.. signatures.OrderBy(signature => members.IndexOf(signature.Site))]);
    }

    public EpochDescriptor Descriptor { get; }

    public byte[] Transcript { get; }

    /// <summary>Q: the members that hold shares, rising.</summary>
    public IReadOnlyList<int> Qualified { get; }

    /// <summary>(Σ b_i, a).</summary>
    public PublicKey Key { get; }

    /// <summary>What all of Q sign.</summary>
    public byte[] Body { get; }

    /// <summary>SHA-256 of the body.</summary>
    public byte[] Hash { get; }

    /// <summary>In the order of Q.</summary>
    public IReadOnlyList<SignedMessage> Signatures { get; }

    /// <summary>What a site checks before it encrypts: its roster, its policy, and the signature of every member of Q.</summary>
    /// <exception cref="ProtocolException">One of them does not hold.</exception>
    public void Verify(Roster roster, CommitteePolicy policy)
    {
        if (Descriptor.RosterHash != roster.Hash) throw new ProtocolException(Refusal.WrongRoster, $"Epoch {Descriptor.Epoch} was made for roster {Descriptor.RosterHash}, this site has {roster.Hash}.");
        policy.Check(Descriptor, roster);
        if (Qualified.Count < policy.FewestQualified(Descriptor) || Qualified[^1] > Descriptor.Members.Count) throw new ProtocolException(Refusal.BelowPolicy, $"{Qualified.Count} members hold shares; {policy.FewestQualified(Descriptor)} are needed.");
        if (Signatures.Count != Qualified.Count) throw new ProtocolException(Refusal.WrongSignature, $"The certificate has {Signatures.Count} signatures, its members are {Qualified.Count}.");
        for (int i = 0; i < Qualified.Count; i++)
        {
            EpochTranscript.Sender(Descriptor, Signatures[i], Qualified[i]);
            EpochTranscript.Same(SHA256.HashData(Signatures[i].Verify(roster)), Hash, Refusal.DifferentTranscripts, $"'{Signatures[i].Site}' signed another certificate");
        }
    }

    public byte[] Encode()
    {
        byte[] packed = Packed(Key);
        CanonicalWriter writer = new CanonicalWriter("certified-epoch", packed.Length + 4096).Field(Descriptor.Encode()).Field(Transcript);
        Indices.Write(writer, Qualified).Field(packed).Field((ulong)Signatures.Count);
        foreach (SignedMessage signature in Signatures) writer.Field(signature.Encode());
        return writer.ToArray();
    }

    /// <exception cref="FormatException">The bytes are no certificate. Nothing is verified.</exception>
    public static EpochCertificate Decode(ReadOnlySpan<byte> bytes) => Decode(bytes, BfvParameters.ForKeys);

    /// <param name="known">The one ring that is accepted.</param>
    internal static EpochCertificate Decode(ReadOnlySpan<byte> bytes, BfvParameters known)
    {
        CanonicalReader reader = new(bytes, "certified-epoch");
        EpochDescriptor descriptor = EpochDescriptor.Decode(reader.Field(SignedMessage.MostBytes), known);
        byte[] transcript = reader.Bytes(EpochAnswer.HashBytes);
        IReadOnlyList<int> qualified = Indices.ReadList(ref reader);
        if (qualified.Count == 0) throw new FormatException("An epoch has members.");
        RnsRing ring = descriptor.Parameters.KeyRing;
        ReadOnlySpan<byte> packed = reader.Field();
        int half = PackedElement.Length(ring);
        if (packed.Length != 2 * half) throw new FormatException($"A packed key has {2 * half} bytes, not {packed.Length}.");
        ulong[] words = new ulong[2 * ring.Words];
        PackedElement.Unpack(ring, packed[..half], words.AsSpan(0, ring.Words));
        PackedElement.Unpack(ring, packed[half..], words.AsSpan(ring.Words));
        int count = reader.Int32(0, CommitteePolicy.LargestCommittee);
        List<SignedMessage> signatures = [];
        for (int i = 0; i < count; i++) signatures.Add(SignedMessage.Decode(reader.Field(2 * SignedMessage.MostBytes)));
        reader.End();
        return new(descriptor, transcript, qualified, new PublicKey(descriptor.Parameters, words), SHA256.HashData(packed), signatures);
    }

    private static byte[] Packed(PublicKey key)
    {
        RnsRing ring = key.Parameters.KeyRing;
        int half = PackedElement.Length(ring);
        byte[] packed = new byte[2 * half];
        PackedElement.Pack(ring, key.First, packed.AsSpan(0, half));
        PackedElement.Pack(ring, key.Second, packed.AsSpan(half));
        return packed;
    }
}

using Federation.Privacy.Canonical;

namespace Federation.Privacy.SecureAggregation;

/// <summary>Step 0: a member is there, with a nonce and a key pair of this attempt alone.</summary>
/// <param name="Descriptor">Its hash.</param>
/// <param name="Index">1 … k.</param>
/// <param name="Nonce">32 bytes.</param>
/// <param name="AgreementKey">P-256, SubjectPublicKeyInfo.</param>
public sealed record EpochAnswer(byte[] Descriptor, int Index, byte[] Nonce, byte[] AgreementKey)
{
    internal const int NonceBytes = 32, HashBytes = 32;

    public byte[] Encode() => new CanonicalWriter("epoch-answer").Field(Descriptor).Field((ulong)Index).Field(Nonce).Field(AgreementKey).ToArray();

    /// <exception cref="FormatException">The bytes are no such message.</exception>
    public static EpochAnswer Decode(ReadOnlySpan<byte> bytes)
    {
        CanonicalReader reader = new(bytes, "epoch-answer");
        EpochAnswer answer = new(reader.Bytes(HashBytes), Indices.Read(ref reader), reader.Bytes(NonceBytes), reader.Bytes(P256Key.Bytes));
        reader.End();
        return answer;
    }
}

/// <summary>Step 1: what a member will reveal, and the hashes of the shares that it sends beside this, encrypted for each other candidate.</summary>
/// <param name="Answers">The hash of descriptor and answers.</param>
/// <param name="Commitment">Hash of this attempt, the index and the packed b_i: nobody can commit to another's.</param>
/// <param name="ShareHashes">By candidate, itself left out; in the order of indices.</param>
public sealed record EpochCommitment(byte[] Answers, int Index, byte[] Commitment, IReadOnlyList<(int To, byte[] Hash)> ShareHashes)
{
    public byte[] Encode()
    {
        CanonicalWriter writer = new CanonicalWriter("epoch-commitment").Field(Answers).Field((ulong)Index).Field(Commitment).Field((ulong)ShareHashes.Count);
        foreach ((int to, byte[] hash) in ShareHashes) writer.Field((ulong)to).Field(hash);
        return writer.ToArray();
    }

    /// <exception cref="FormatException">The bytes are no such message.</exception>
    public static EpochCommitment Decode(ReadOnlySpan<byte> bytes)
    {
        CanonicalReader reader = new(bytes, "epoch-commitment");
        byte[] answers = reader.Bytes(EpochAnswer.HashBytes);
        int index = Indices.Read(ref reader);
        byte[] commitment = reader.Bytes(EpochAnswer.HashBytes);
        int count = reader.Int32(0, CommitteePolicy.LargestCommittee);
        List<(int To, byte[] Hash)> shares = [];
        for (int i = 0; i < count; i++) shares.Add((Indices.Read(ref reader), reader.Bytes(EpochAnswer.HashBytes)));
        reader.End();
        return new(answers, index, commitment, shares);
    }
}

/// <summary>Whose shares arrived, opened and are in range.</summary>
/// <param name="Accepted">Indices, rising, its own among them.</param>
public sealed record EpochAcceptance(byte[] Answers, int Index, IReadOnlyList<int> Accepted)
{
    public byte[] Encode() => Indices.Write(new CanonicalWriter("epoch-acceptance").Field(Answers).Field((ulong)Index), Accepted).ToArray();

    /// <exception cref="FormatException">The bytes are no such message.</exception>
    public static EpochAcceptance Decode(ReadOnlySpan<byte> bytes)
    {
        CanonicalReader reader = new(bytes, "epoch-acceptance");
        EpochAcceptance acceptance = new(reader.Bytes(EpochAnswer.HashBytes), Indices.Read(ref reader), Indices.ReadList(ref reader));
        reader.End();
        return acceptance;
    }
}

/// <summary>Step 2: a member of Q has seen these messages and this Q, fixed before any b is shown.</summary>
/// <param name="Transcript">SHA-256(descriptor, answers, commitments with the hashes of all encrypted shares, Q).</param>
public sealed record EpochQualification(byte[] Transcript, int Index)
{
    public byte[] Encode() => new CanonicalWriter("epoch-qualification").Field(Transcript).Field((ulong)Index).ToArray();

    /// <exception cref="FormatException">The bytes are no such message.</exception>
    public static EpochQualification Decode(ReadOnlySpan<byte> bytes)
    {
        CanonicalReader reader = new(bytes, "epoch-qualification");
        EpochQualification qualification = new(reader.Bytes(EpochAnswer.HashBytes), Indices.Read(ref reader));
        reader.End();
        return qualification;
    }
}

/// <summary>Step 3: b_i. The commitment, which is signed, vouches for it.</summary>
/// <param name="Packed">Modulo all primes, values at the roots.</param>
public sealed record EpochReveal(byte[] Transcript, int Index, byte[] Packed)
{
    public byte[] Encode() => new CanonicalWriter("epoch-reveal").Field(Transcript).Field((ulong)Index).Field(Packed).ToArray();

    /// <summary>Of all of Q.</summary>
    public static byte[] Encode(IReadOnlyList<EpochReveal> reveals)
    {
        CanonicalWriter writer = new CanonicalWriter("epoch-reveals").Field((ulong)reveals.Count);
        foreach (EpochReveal reveal in reveals) writer.Field(reveal.Encode());
        return writer.ToArray();
    }

    /// <exception cref="FormatException">The bytes are no reveals.</exception>
    public static IReadOnlyList<EpochReveal> DecodeList(ReadOnlySpan<byte> bytes)
    {
        CanonicalReader reader = new(bytes, "epoch-reveals");
        int count = reader.Int32(0, CommitteePolicy.LargestCommittee);
        List<EpochReveal> reveals = [];
        for (int i = 0; i < count; i++) reveals.Add(Decode(reader.Field(SignedMessage.MostBytes)));
        reader.End();
        return reveals;
    }

    /// <exception cref="FormatException">The bytes are no such message.</exception>
    public static EpochReveal Decode(ReadOnlySpan<byte> bytes)
    {
        CanonicalReader reader = new(bytes, "epoch-reveal");
        EpochReveal reveal = new(reader.Bytes(EpochAnswer.HashBytes), Indices.Read(ref reader), reader.Field().ToArray());
        reader.End();
        return reveal;
    }
}

/// <summary>Members by index, in messages.</summary>
internal static class Indices
{
    public static int Read(ref CanonicalReader reader) => reader.Int32(1, CommitteePolicy.LargestCommittee);

    /// <summary>Rising, so that a set has one form.</summary>
    public static IReadOnlyList<int> ReadList(ref CanonicalReader reader)
    {
        int count = reader.Int32(0, CommitteePolicy.LargestCommittee);
        List<int> list = [];
        for (int i = 0; i < count; i++)
        {
            int index = Read(ref reader);
            if (i > 0 && index <= list[^1]) throw new FormatException("Indices must rise.");
            list.Add(index);
        }

        return list;
    }

    public static CanonicalWriter Write(CanonicalWriter writer, IReadOnlyList<int> indices)
    {
        writer.Field((ulong)indices.Count);
        foreach (int index in indices) writer.Field((ulong)index);
        return writer;
    }
}

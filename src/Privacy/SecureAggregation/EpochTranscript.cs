using System.Security.Cryptography;
using Federation.Privacy.Canonical;

namespace Federation.Privacy.SecureAggregation;

/// <summary>The hashes that bind an attempt's messages to each other, and the checks that coordinator and members share.</summary>
internal static class EpochTranscript
{
    /// <summary>SHA-256(descriptor, all answers in the order of indices): the seed of a, and the salt of all keys of this attempt.</summary>
    public static byte[] Answers(EpochDescriptor descriptor, IReadOnlyList<EpochAnswer> answers)
    {
        CanonicalWriter writer = new CanonicalWriter("epoch-answers").Field(descriptor.Encode()).Field((ulong)answers.Count);
        foreach (EpochAnswer answer in answers) writer.Field(answer.Encode());
        return writer.Hash();
    }

    /// <summary>SHA-256(descriptor, answers, commitments, hashes of all encrypted shares, Q).</summary>
    public static byte[] Qualified(byte[] answers, IReadOnlyList<EpochCommitment> commitments, IReadOnlyList<int> qualified)
    {
        CanonicalWriter writer = new CanonicalWriter("epoch-transcript").Field(answers).Field((ulong)commitments.Count);
        foreach (EpochCommitment commitment in commitments) writer.Field(commitment.Encode());
        return Indices.Write(writer, qualified).Hash();
    }

    /// <summary>What a member commits to: its b_i, in this attempt, as its own.</summary>
    public static byte[] PartHash(byte[] answers, int index, ReadOnlySpan<byte> packed) => new CanonicalWriter("epoch-part", packed.Length + 256).Field(answers).Field((ulong)index).Field(packed).Hash();

    /// <summary>Verifies signature, sender and descriptor of an answer, and that its key is one.</summary>
    public static EpochAnswer Answer(EpochDescriptor descriptor, Roster roster, SignedMessage message)
    {
        EpochAnswer answer = Decoded(() => EpochAnswer.Decode(message.Verify(roster)));
        Sender(descriptor, message, answer.Index);
        Same(answer.Descriptor, SHA256.HashData(descriptor.Encode()), Refusal.WrongEpoch, "The answer belongs to another epoch or attempt");
        if (!P256Key.IsKey(answer.AgreementKey)) throw new ProtocolException(Refusal.Malformed, $"The key of '{message.Site}' is no P-256 key.");
        return answer;
    }

    /// <summary>Verifies signature, sender and form of a commitment.</summary>
    /// <param name="candidates">Who answered.</param>
    public static EpochCommitment Commitment(EpochDescriptor descriptor, Roster roster, byte[] answers, IEnumerable<int> candidates, SignedMessage message)
    {
        EpochCommitment commitment = Decoded(() => EpochCommitment.Decode(message.Verify(roster)));
        Sender(descriptor, message, commitment.Index);
        Same(commitment.Answers, answers, Refusal.DifferentTranscripts, "The commitment belongs to other answers");
        if (!commitment.ShareHashes.Select(share => share.To).SequenceEqual(candidates.Where(index => index != commitment.Index))) throw new ProtocolException(Refusal.Malformed, $"'{message.Site}' has not a share for each other candidate.");
        return commitment;
    }

    /// <summary>Verifies a signature under what its sender saw.</summary>
    /// <param name="transcript">Step 2's hash.</param>
    /// <returns>The sender's index.</returns>
    public static int Qualification(EpochDescriptor descriptor, Roster roster, byte[] transcript, SignedMessage message)
    {
        EpochQualification qualification = Decoded(() => EpochQualification.Decode(message.Verify(roster)));
        Sender(descriptor, message, qualification.Index);
        Same(qualification.Transcript, transcript, Refusal.DifferentTranscripts, $"'{message.Site}' saw other messages");
        return qualification.Index;
    }

    /// <summary>b_i, if it is what its sender committed to.</summary>
    /// <param name="transcript">Step 2's hash.</param>
    public static ulong[] Revealed(EpochDescriptor descriptor, byte[] transcript, EpochReveal reveal, EpochCommitment commitment)
    {
        Same(reveal.Transcript, transcript, Refusal.WrongEpoch, $"The reveal of member {reveal.Index} belongs to another attempt");
        Same(PartHash(commitment.Answers, reveal.Index, reveal.Packed), commitment.Commitment, Refusal.WrongReveal, $"Member {reveal.Index} revealed something else than it committed to");
        return Decoded(() => PackedElement.Unpack(descriptor.Parameters.KeyRing, reveal.Packed));
    }

    public static void Sender(EpochDescriptor descriptor, SignedMessage message, int index)
    {
        if (index > descriptor.Members.Count || descriptor.Members[index - 1] != message.Site) throw new ProtocolException(Refusal.Malformed, $"'{message.Site}' is not member {index} of this epoch.");
    }

    public static void Same(ReadOnlySpan<byte> actual, ReadOnlySpan<byte> expected, Refusal reason, string what)
    {
        if (!actual.SequenceEqual(expected)) throw new ProtocolException(reason, $"{what} ({Convert.ToHexStringLower(actual)}, not {Convert.ToHexStringLower(expected)}).");
    }

    /// <summary>A message's decoder, its error as a refusal.</summary>
    public static T Decoded<T>(Func<T> decode)
    {
        try
        {
            return decode();
        }
        catch (FormatException wrong)
        {
            throw new ProtocolException(Refusal.Malformed, wrong.Message);
        }
    }
}

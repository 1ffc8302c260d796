using System.Security.Cryptography;
using Federation.Privacy.Canonical;

namespace Federation.Privacy.SecureAggregation;

/// <summary>
/// What a member has answered: one set U for each (run, round, purpose) and for each (run, model, purpose), at most three active sets for one U, and the answers themselves. It outlives epochs.
/// Immutable: <see cref="With"/> gives the next state, which the host makes durable before the answer leaves. A hash chain; the head travels with each answer, so that a restored copy is found out.
/// </summary>
public sealed record OpeningRecord
{
    private const int MostActiveSets = 3;

    private readonly IReadOnlyList<Entry> _entries;

    private OpeningRecord(IReadOnlyList<Entry> entries, byte[] head) => (_entries, Head) = (entries, head);

    /// <summary>Of a member that has answered nothing.</summary>
    public static OpeningRecord Empty { get; } = new([], new CanonicalWriter("opening-record").Hash());

    /// <summary>How many answers it holds.</summary>
    public int Count => _entries.Count;

    /// <summary>The chain's last hash, 32 bytes.</summary>
    public byte[] Head { get; }

    /// <summary>The stored answer, if this (U, A) was answered before for this opening.</summary>
    internal byte[]? Answered(Opening opening, byte[] set, IReadOnlyList<int> active) =>
        _entries.FirstOrDefault(entry => entry.Opening == opening && entry.Set.AsSpan().SequenceEqual(set) && entry.Active.SequenceEqual(active))?.Answer;

    internal bool HasAnswered(Opening opening) => _entries.Any(entry => entry.Opening == opening);

    /// <exception cref="ProtocolException">Another U was answered for this opening or this model, or three active sets for this U, or the epoch is used up.</exception>
    internal void Check(Opening opening, byte[] model, byte[] set, CommitteePolicy policy)
    {
        foreach (Entry entry in _entries.Where(entry => entry.Opening.Run == opening.Run && entry.Opening.Purpose == opening.Purpose))
        {
            bool same = entry.Set.AsSpan().SequenceEqual(set);
            if (!same && entry.Opening.Round == opening.Round) throw new ProtocolException(Refusal.AnotherSet, $"Another set of contributors was answered for the {opening}.");
            if (!same && entry.Model.AsSpan().SequenceEqual(model)) throw new ProtocolException(Refusal.AnotherSet, $"Another set of contributors was answered for this model, in round {entry.Opening.Round} of run '{opening.Run}'.");
            // The same ciphertexts in another round would be the same sum again, under another context.
            if (same && entry.Opening != opening) throw new ProtocolException(Refusal.AnotherOpening, $"These contributions were answered for the {entry.Opening}, not for the {opening}.");
        }

        if (_entries.Count(entry => entry.Opening == opening) >= MostActiveSets) throw new ProtocolException(Refusal.TooManyActiveSets, $"{MostActiveSets} active sets were answered for the {opening}.");
        int openings = _entries.Where(entry => entry.Opening.Epoch == opening.Epoch).Select(entry => entry.Opening).Distinct().Count(other => other != opening);
        if (openings >= policy.MaxOpenings) throw new ProtocolException(Refusal.EpochUsedUp, $"Epoch {opening.Epoch} has had {openings} openings, as many as this site's policy allows: a new epoch is needed.");
    }

    internal OpeningRecord With(Opening opening, byte[] model, byte[] set, IReadOnlyList<int> active, byte[] answer)
    {
        Entry entry = new(opening, model, set, [.. active], answer);
        return new([.. _entries, entry], Chained(Head, entry));
    }

    /// <summary>At the start of a member: holds its record against an answer of its own that others have kept.</summary>
    /// <param name="kept">Signed by this site: what others say in its name does not count.</param>
    /// <exception cref="ProtocolException"><see cref="Refusal.RestoredRecord"/>: they saw more than it holds; the share must be erased. Other reasons: this is no answer of the site.</exception>
    public void CheckAgainst(SignedMessage kept, Roster roster, string site)
    {
        if (kept.Site != site) throw new ProtocolException(Refusal.WrongSignature, $"'{kept.Site}' signed this, not '{site}'.");
        OpeningAnswer answer = EpochTranscript.Decoded(() => OpeningAnswer.Decode(kept.Verify(roster)));
        if (answer.RecordCount <= Count && _entries.Take(answer.RecordCount).Aggregate(Empty.Head, Chained).AsSpan().SequenceEqual(answer.RecordHead)) return;
        throw new ProtocolException(Refusal.RestoredRecord, $"Others have seen {answer.RecordCount} answers of this member, its own record holds {Count} that do not continue them. It was restored from a copy: its share is to be erased, and it takes no part until the next epoch.");
    }

    public byte[] Encode()
    {
        CanonicalWriter writer = new CanonicalWriter("opening-record").Field((ulong)Count);
        foreach (Entry entry in _entries) writer.Field(entry.Encode()).Field(entry.Answer);
        return writer.ToArray();
    }

    /// <exception cref="FormatException">The bytes are no record.</exception>
    public static OpeningRecord Decode(ReadOnlySpan<byte> bytes)
    {
        CanonicalReader reader = new(bytes, "opening-record");
        int count = reader.Int32(0, int.MaxValue);
        List<Entry> entries = [];
        for (int i = 0; i < count; i++)
        {
            CanonicalReader entry = new(reader.Field(), "opening-entry");
            Opening opening = Opening.Decode(entry.Field(SignedMessage.MostBytes));
            byte[] model = entry.Bytes(EpochAnswer.HashBytes), set = entry.Bytes(EpochAnswer.HashBytes), answerHash = entry.Bytes(EpochAnswer.HashBytes);
            IReadOnlyList<int> active = Indices.ReadList(ref entry);
            entry.End();
            byte[] answer = reader.Field().ToArray();
            if (!SHA256.HashData(answer).AsSpan().SequenceEqual(answerHash)) throw new FormatException($"Answer {i + 1} of the record is not the one that its entry names.");
            entries.Add(new(opening, model, set, active, answer));
        }

        reader.End();
        return new(entries, entries.Aggregate(Empty.Head, Chained));
    }

    private static byte[] Chained(byte[] head, Entry entry) => new CanonicalWriter("opening-chain").Field(head).Field(entry.Encode()).Hash();

    private sealed record Entry(Opening Opening, byte[] Model, byte[] Set, IReadOnlyList<int> Active, byte[] Answer)
    {
        public byte[] Encode() => Indices.Write(new CanonicalWriter("opening-entry").Field(Opening.Encode()).Field(Model).Field(Set).Field(SHA256.HashData(Answer)), Active).ToArray();
    }
}

using System.Security.Cryptography;
using Federation.Privacy.Canonical;

namespace Federation.Privacy.SecureAggregation;

/// <summary>
/// What a member has answered: one set U for each (run, round, purpose) and for each (run, model, purpose), at most three active sets for one U, and the answers themselves. It outlives epochs.
/// Immutable; the store keeps its entries in order, each with its answer as long as the epoch's share is there. A hash chain; the head is in each signed answer, so that a restored copy is found out.
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

    /// <summary>The newest entry.</summary>
    internal OpeningEntry Last => new(Count, _entries[^1].Encode(), _entries[^1].Answer!);

    /// <summary>The stored answer, if this (U, A) was answered before for this opening.</summary>
    /// <exception cref="ProtocolException">It was, but the answer is kept no longer: a second one must not be made.</exception>
    internal byte[]? Answered(Opening opening, byte[] set, IReadOnlyList<int> active)
    {
        Entry? found = _entries.FirstOrDefault(entry => entry.Opening == opening && entry.Set.AsSpan().SequenceEqual(set) && entry.Active.SequenceEqual(active));
        return found == null ? null : found.Answer ?? throw new ProtocolException(Refusal.AnswerGone, $"The {opening} was answered, and the answer is not kept any more.");
    }

    /// <summary>Whether anything was answered for a round and purpose of a run, in whatever epoch.</summary>
    public bool HasAnswered(string run, int round, string purpose) => _entries.Any(entry => entry.Opening.Run == run && entry.Opening.Round == (ulong)round && entry.Opening.Purpose == purpose);

    internal bool HasAnswered(Opening opening, byte[] set) => _entries.Any(entry => entry.Opening == opening && entry.Set.AsSpan().SequenceEqual(set));

    /// <exception cref="ProtocolException">Another U was answered for this opening or this model, or three active sets for this U, or the epoch is used up.</exception>
    internal void Check(Opening opening, byte[] model, byte[] set, CommitteePolicy policy)
    {
        bool statistics = opening.IsStatistics; // of one query and data version one sum in whatever run
        foreach (Entry entry in _entries.Where(entry => entry.Opening.Purpose == opening.Purpose && (statistics || entry.Opening.Run == opening.Run)))
        {
            bool same = entry.Set.AsSpan().SequenceEqual(set);
            if (!same && entry.Opening.Run == opening.Run && entry.Opening.Round == opening.Round) throw new ProtocolException(Refusal.AnotherSet, $"Another set of contributors was answered for the {opening}.");
            if (!same && entry.Model.AsSpan().SequenceEqual(model)) throw new ProtocolException(Refusal.AnotherSet, $"Another set of contributors was answered for {(statistics ? "this query and version of the data" : "this model")}, in round {entry.Opening.Round} of run '{entry.Opening.Run}'.");
            // The same ciphertexts in another round would be the same sum again, under another context.
            if (same && entry.Opening != opening) throw new ProtocolException(Refusal.AnotherOpening, $"These contributions were answered for the {entry.Opening}, not for the {opening}.");
        }

        if (_entries.Count(entry => entry.Opening == opening) >= MostActiveSets) throw new ProtocolException(Refusal.TooManyActiveSets, $"{MostActiveSets} active sets were answered for the {opening}.");
        // The test of the keys opens nobody's sum.
        int openings = _entries.Where(entry => entry.Opening.Purpose != Opening.Test && entry.Opening.Run == opening.Run && entry.Opening.Epoch == opening.Epoch).Select(entry => entry.Opening).Distinct().Count(other => other != opening);
        if (openings >= policy.MaxOpenings) throw new ProtocolException(Refusal.EpochUsedUp, $"Epoch {opening.Epoch} has had {openings} openings, as many as spec and policy allow: a new epoch is needed.");
    }

    internal OpeningRecord With(Opening opening, byte[] model, byte[] set, IReadOnlyList<int> active, byte[] answer)
    {
        Entry entry = new(opening, model, set, [.. active], SHA256.HashData(answer), answer);
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

    /// <summary>From the store.</summary>
    /// <param name="entries">All, in their order; answers may be left out where the epoch's share is gone.</param>
    /// <exception cref="FormatException">An entry is none, or an answer is not the one that its entry names.</exception>
    public static OpeningRecord Load(IEnumerable<(byte[] Entry, byte[]? Answer)> entries)
    {
        List<Entry> loaded = [];
        foreach ((byte[] bytes, byte[]? answer) in entries)
        {
            Entry entry = Entry.Decode(bytes, answer);
            if (answer != null && !SHA256.HashData(answer).AsSpan().SequenceEqual(entry.AnswerHash)) throw new FormatException($"Answer {loaded.Count + 1} of the record is not the one that its entry names.");
            loaded.Add(entry);
        }

        return new(loaded, loaded.Aggregate(Empty.Head, Chained));
    }

    private static byte[] Chained(byte[] head, Entry entry) => new CanonicalWriter("opening-chain").Field(head).Field(entry.Encode()).Hash();

    private sealed record Entry(Opening Opening, byte[] Model, byte[] Set, IReadOnlyList<int> Active, byte[] AnswerHash, byte[]? Answer)
    {
        public byte[] Encode() => Indices.Write(new CanonicalWriter("opening-entry").Field(Opening.Encode()).Field(Model).Field(Set).Field(AnswerHash), Active).ToArray();

        public static Entry Decode(ReadOnlySpan<byte> bytes, byte[]? answer)
        {
            CanonicalReader reader = new(bytes, "opening-entry");
            Opening opening = Opening.Decode(reader.Field(SignedMessage.MostBytes));
            byte[] model = reader.Bytes(EpochAnswer.HashBytes), set = reader.Bytes(EpochAnswer.HashBytes), hash = reader.Bytes(EpochAnswer.HashBytes);
            IReadOnlyList<int> active = Indices.ReadList(ref reader);
            reader.End();
            return new(opening, model, set, active, hash, answer);
        }
    }
}

/// <summary>One answer for the store of a record.</summary>
/// <param name="Number">From 1 on; a store refuses a number that it has.</param>
/// <param name="Bytes">What is chained.</param>
/// <param name="Answer">The part that was given, to be kept as long as the epoch's share.</param>
/// <param name="Purpose">Of the opening.</param>
/// <param name="Contributors">Remembered with the answer: of statistics whatever becomes of the run, else for the run. Null: the test's, which nobody contributes to.</param>
public sealed record OpeningEntry(int Number, byte[] Bytes, byte[] Answer, string Purpose = "", IReadOnlyList<string>? Contributors = null);

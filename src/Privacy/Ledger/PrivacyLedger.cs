using Federation.Privacy.Accounting;
using Federation.Privacy.Canonical;

namespace Federation.Privacy.Ledger;

/// <summary>
/// All releases from one data set: append-only, hash-chained, signed. A release is reserved before its noise is used and committed when it has arrived; a reservation counts from the moment it is made, committed or not.
/// Any number of threads and processes may use one ledger; the budget holds for all of them together.
/// </summary>
/// <remarks>
/// It belongs to the data set's id: new rows or other files renew nothing. Within the file nobody without the key can change, drop or move a record unseen. Whoever can copy the whole file can put an old copy back;
/// that is seen by whoever was shown a <see cref="Head"/> meanwhile (<see cref="RequireNotBehind"/>).
/// </remarks>
public sealed class PrivacyLedger : IDisposable
{
    private const int LongestText = 200;

    private readonly Lock _lock = new();
    private readonly LedgerFile _file;
    private readonly string _dataSet;
    private readonly TimeProvider _time;
    private readonly LedgerChain _chain = new();
    private Spending _spending = new();
    private LedgerKey? _key;
    private LedgerHead? _head;
    private LedgerException? _broken;

    private PrivacyLedger(LedgerFile file, string dataSet, TimeProvider time) => (_file, _dataSet, _time) = (file, dataSet, time);

    /// <summary>Opens a data set's ledger, and makes it where there is none: the file, and <c>ledger.key</c> beside it. Checks the chain and the signature over it.</summary>
    /// <param name="path">The SQLite file; several data sets may share it.</param>
    /// <param name="dataSet">The data set's id, 1 to 200 characters.</param>
    /// <param name="terms">Fixed for good when the ledger is made.</param>
    /// <param name="patience">How long to wait for another process; null: 10 s.</param>
    /// <exception cref="LedgerException">The ledger or its key cannot be used, or the chain is broken.</exception>
    public static PrivacyLedger Open(string path, string dataSet, LedgerTerms terms, TimeProvider time, TimeSpan? patience = null)
    {
        Bounded(dataSet, nameof(dataSet));
        PrivacyLedger ledger = new(LedgerFile.Open(path, patience ?? TimeSpan.FromSeconds(10)), dataSet, time);
        try
        {
            ledger.Begin(LedgerKey.PathFor(path), terms);
            return ledger;
        }
        catch
        {
            ledger.Dispose();
            throw;
        }
    }

    /// <summary>The signed head, as of the last look.</summary>
    public LedgerHead Head => _head!;

    public LedgerTerms Terms => _chain.Opened!.Terms;

    /// <summary>Null: none is set; releases are recorded, none is refused.</summary>
    public PrivacyBudget? Budget => _chain.Budget;

    /// <summary>ε of everything reserved, at δ: the least that an accountant here can show.</summary>
    /// <param name="delta">In (0, 1).</param>
    /// <param name="more">As if these had been reserved too.</param>
    public PrivacyLoss Spent(double delta, params IReadOnlyList<PrivacyEvent> more)
    {
        Checked.Delta(delta);
        return Look(() => new PrivacyLoss(_chain.Check!.Epsilon(_spending.With(more, Terms.Relation), delta, more).Epsilon, delta, Terms.Relation));
    }

    /// <summary>From now on this budget holds; the same one again changes nothing. Raising it renews nothing that was spent, and stays visible in the ledger.</summary>
    /// <exception cref="LedgerException">The ledger cannot be written.</exception>
    public void SetBudget(PrivacyBudget budget)
    {
        lock (_lock) Write(() => budget == _chain.Budget ? null : (new BudgetRecord(_chain.Count, Now, budget), _spending));
    }

    /// <summary>Pays for a release. On disk when it returns; only then may noise be drawn and anything leave.</summary>
    /// <param name="most">For all releases of its run together, this one included; null: the budget alone bounds them.</param>
    /// <param name="rounds">So many rounds of its run may have a release of this purpose, each tried twice on the average; null: any number.</param>
    /// <exception cref="BudgetExceededException">It does not fit the budget, or what the run may cost; nothing was recorded.</exception>
    /// <exception cref="RoundsExceededException">The rounds are more; nothing was recorded.</exception>
    /// <exception cref="UnsupportedEventException">An event means nothing under the ledger's relation; nothing was recorded.</exception>
    /// <exception cref="OverflowException">More repetitions than a 64-bit count holds; nothing was recorded.</exception>
    /// <exception cref="LedgerException">The ledger cannot be written; nothing was recorded.</exception>
    /// <returns>The number of the record that pays for it.</returns>
    public long Reserve(Release release, PrivacyLoss? most = null, long? rounds = null)
    {
        foreach (string text in new[] { release.Run, release.Purpose, release.Recipient }) Bounded(text, nameof(release));
        ArgumentOutOfRangeException.ThrowIfNegative(release.Round, nameof(release));
        if (release.Events.Count == 0) throw new ArgumentException("A release needs at least one event; one without noise is a NonPrivateEvent.", nameof(release));
        lock (_lock)
        {
            Write(() =>
            {
                Spending after = _spending.With(release.Events, Terms.Relation);
                if (_chain.Budget is { } budget) _chain.Check!.Require($"The budget of '{_dataSet}'", budget, release.Events, _spending, after);
                if (rounds is { } number) _chain.Rounds.RequireWithin(_dataSet, release, number);
                if (most is not null) _chain.RequireWithin($"What run {release.Run} may cost '{_dataSet}'", most, release, _spending);
                return (new ReservedRecord(_chain.Count, Now, release), after);
            });
            return _chain.Count - 1;
        }
    }

    /// <summary>Whether events would fit the budget now. Reserves nothing.</summary>
    /// <param name="other">Instead of the ledger's own budget.</param>
    /// <exception cref="UnsupportedEventException">An event means nothing under the ledger's relation.</exception>
    /// <exception cref="LedgerException">The ledger cannot be read.</exception>
    public bool Fits(IReadOnlyList<PrivacyEvent> events, PrivacyBudget? other = null) =>
        Look(() => (other ?? _chain.Budget) is not { } budget || _chain.Check!.Fits(events, _spending.With(events, Terms.Relation), budget));

    /// <summary>Whether a reservation waits for its release to be confirmed.</summary>
    /// <exception cref="LedgerException">The ledger cannot be read.</exception>
    public bool IsOpen(long reservation) => Look(() => _chain.Uncommitted.Contains(reservation));

    /// <summary>Notes that a release has arrived. It costs nothing more.</summary>
    /// <param name="reservation">The number that <see cref="Reserve"/> gave.</param>
    /// <param name="recipient">Who has it, by the name in the reservation.</param>
    /// <param name="shown">The head that travelled with it.</param>
    /// <param name="contentSha256">Of what was released, lower-case hex.</param>
    /// <exception cref="InvalidOperationException">The reservation is not open.</exception>
    /// <exception cref="LedgerException">The ledger cannot be written.</exception>
    public void Commit(long reservation, string recipient, LedgerHead shown, string contentSha256)
    {
        Bounded(recipient, nameof(recipient));
        if (!Sha256Hex.IsValid(contentSha256)) throw new ArgumentException($"'{contentSha256}' is no SHA-256 in lower-case hex.", nameof(contentSha256));
        lock (_lock)
        {
            Write(() =>
            {
                if (!_chain.Uncommitted.Contains(reservation)) throw new InvalidOperationException($"Reservation {reservation} of '{_dataSet}' is not open: there is none, or it was committed before.");
                return (new CommittedRecord(_chain.Count, Now, reservation, contentSha256, recipient, shown.Count), _spending);
            });
        }
    }

    /// <summary>Whether this record, open or committed, pays for this release. Sending the same bytes again, to whatever address, costs nothing more.</summary>
    /// <exception cref="LedgerException">The ledger cannot be read.</exception>
    public bool Holds(long reservation, string run, long round, string purpose) => Look(() =>
    {
        StoredRecord? stored = reservation < 0 ? null : _file.Records(_dataSet, reservation).FirstOrDefault();
        return stored?.Place == reservation && RecordJson.Read(stored.Content).Record is ReservedRecord { Release: var paid } && (paid.Run, paid.Round, paid.Purpose) == (run, round, purpose);
    });

    /// <summary>Compares with what somebody outside has seen of this ledger.</summary>
    /// <exception cref="LedgerException"><see cref="LedgerFault.RolledBack"/>: this ledger is behind it, another one, or went another way.</exception>
    public void RequireNotBehind(LedgerHead known)
    {
        RequireAuthentic(known);
        if (Look(() => Difference(known)) is { } difference) throw new LedgerException(LedgerFault.RolledBack, difference);
    }

    /// <summary>Goes on after records were lost: charges what the lost ones had reserved. Does nothing where nothing was lost.</summary>
    /// <param name="known">What the recipient has seen.</param>
    /// <param name="recipient">By the name under which releases to it are recorded.</param>
    /// <returns>Whether anything was charged.</returns>
    /// <exception cref="LedgerException">The head is not signed, or the ledger cannot be written.</exception>
    public bool AcceptLoss(LedgerHead known, string recipient)
    {
        RequireAuthentic(known);
        lock (_lock)
        {
            return Write(() =>
            {
                if (Difference(known) is null) return null;
                PrivacyEvent charge = new RenyiEvent(LostDivergences(known, recipient));
                if (known.StatisticalDistance > 0) charge = new InexactEvent(charge, known.StatisticalDistance);
                LostRecord lost = new(Math.Max(_chain.Count, known.Count), Now, known.LedgerId, known.Count, known.Hash, [charge]);
                return (lost, _spending.With(lost.Events, Terms.Relation));
            });
        }
    }

    public void Dispose()
    {
        _file.Dispose();
        _key?.Dispose();
    }

    private DateTimeOffset Now => _time.GetUtcNow();

    /// <summary>What the known chain had reserved beyond the part that it surely shares with this one. Where that cannot be told, all of it.</summary>
    private List<double> LostDivergences(LedgerHead known, string recipient)
    {
        // Another ledger, or one that went another way nobody knows where, shares nothing for sure.
        long shared = known.LedgerId == _chain.LedgerId && known.Count > _chain.Count ? _chain.AcknowledgedBy(recipient) : 0;
        Spending before = new();
        foreach (StoredRecord stored in _file.Records(_dataSet).TakeWhile(stored => stored.Place < shared))
        {
            before = before.With(RecordJson.Read(stored.Content).Record.Charge, Terms.Relation);
        }

        // Sums of many doubles are off by some units in the last place; a difference is rounded up by more.
        return [.. known.Divergences.Zip(before.Divergences, (all, part) => double.IsPositiveInfinity(all) ? all : Math.Max(0, all - part) + (1e-9 * all))];
    }

    private string? Difference(LedgerHead known)
    {
        if (_chain.HasPaidFor(known.Hash)) return null;
        if (known.LedgerId != _chain.LedgerId) return $"The ledger of '{_dataSet}' was replaced: {known.Count} records of another one are known, of {known.LedgerId[..12]}; this is {_chain.LedgerId[..12]}.";
        if (known.Count > _chain.Count) return $"The ledger of '{_dataSet}' was rolled back from {known.Count} to {_chain.Count}.";
        string? there = _file.Records(_dataSet, known.Count - 1).Select(stored => stored.Place == known.Count - 1 ? stored.Hash : null).FirstOrDefault();
        return there == known.Hash ? null : $"The ledger of '{_dataSet}' was rolled back and went another way: its record {known.Count - 1} is not the one that is known.";
    }

    private void RequireAuthentic(LedgerHead known)
    {
        bool strange = known.LedgerId == _chain.LedgerId && !known.PublicKey.AsSpan().SequenceEqual(_key!.PublicKey); // this ledger has one key only
        if (strange || known.DataSet != _dataSet || !known.IsAuthentic()) throw new LedgerException(LedgerFault.Broken, $"What is said to be the ledger of '{_dataSet}' is not signed by its key, or is another data set's.");
    }

    private void Begin(string keyPath, LedgerTerms terms)
    {
        // Key and record 0 are written by whoever comes first. The key takes its name after its first record is on disk: a key of that name has signed.
        string pending = keyPath + ".new";
        _file.Exclusively(() =>
        {
            LedgerDirectory? directory = _file.Directory();
            IReadOnlyList<string> present = _file.DataSets();
            bool isNew = directory is null && present.Count == 0;
            if (isNew && File.Exists(keyPath)) throw new LedgerException(LedgerFault.RolledBack, $"The key {keyPath} is there, but the records that it signed are gone. Put the ledger back; only if it never held a record, remove the key.");
            _key = isNew ? LedgerKey.Create(pending) : LedgerKey.Load(File.Exists(keyPath) || !File.Exists(pending) ? keyPath : pending);
            if (!isNew && directory is null) throw Broken("The file has no signed list of its ledgers: it was removed, or the file is an imported copy, which goes on only if it is imported with the key beside it.");
            Dictionary<string, string> ledgers = directory?.Read().ToDictionary() ?? [];
            if (directory is not null && !directory.PublicKey.AsSpan().SequenceEqual(_key.PublicKey)) throw new LedgerException(LedgerFault.Key, $"The key beside the ledger is not the one of the ledger of '{_dataSet}'.");
            bool exists = present.Contains(_dataSet);
            if (ledgers.ContainsKey(_dataSet)) return exists ? true : throw Broken("All of its records are missing: they were deleted, or given to another data set.");
            if (exists) throw Broken("It is not in the list of the file's ledgers: it was put there by somebody else.");
            var opened = new OpenedRecord(0, Now, _dataSet, terms, _key.PublicKey);
            StoredRecord stored = StoredRecord.Sign(opened, "", _key);
            _file.Append(_dataSet, stored, SignHead(stored.Hash, 1, stored.Hash, _spending));
            ledgers[_dataSet] = stored.Hash;
            _file.Save(LedgerDirectory.Sign(ledgers, _key));
            return true;
        });
        LedgerKey.Adopt(pending, keyPath);
        _file.Exclusively(Refresh);
        if (!_chain.Opened!.PublicKey.AsSpan().SequenceEqual(_key!.PublicKey)) throw new LedgerException(LedgerFault.Key, $"The key beside the ledger is not the one of the ledger of '{_dataSet}'.");
        if (Terms != terms)
        {
            throw new LedgerException(LedgerFault.Terms, $"The ledger of '{_dataSet}' is about one {LedgerNames.Of(Terms.Unit)} under {LedgerNames.Of(Terms.Relation)}, not one {LedgerNames.Of(terms.Unit)} under {LedgerNames.Of(terms.Relation)}: that is fixed for good.");
        }
    }

    /// <summary>Takes what other processes have written. Within a transaction.</summary>
    private bool Refresh()
    {
        if (_broken is not null) throw _broken;
        LedgerHead? head = _file.Head(_dataSet);
        if (_head is not null && head is not null && head.Count == _chain.Count && head.Hash == _chain.Hash) return true;
        foreach (StoredRecord stored in _file.Records(_dataSet, _chain.Count))
        {
            if (_chain.Add(stored).Problems is [var problem, ..]) throw Broken(problem);
        }

        if (LedgerVerification.HeadProblem(head, _chain) is { } wrong) throw Broken(wrong);
        (_head, _spending) = (head, new Spending([.. head!.Divergences], head.StatisticalDistance));
        return true;
    }

    /// <summary>An answer that takes in what other processes have written.</summary>
    private T Look<T>(Func<T> answer)
    {
        lock (_lock)
        {
            _file.Exclusively(Refresh);
            return answer();
        }
    }

    private LedgerException Broken(string problem) => _broken = new LedgerException(LedgerFault.Broken, $"The ledger of '{_dataSet}' is broken. {problem}");

    /// <summary>Adds at most one record, alone and durably. Memory follows the disk, never the other way round.</summary>
    private bool Write(Func<(LedgerRecord Record, Spending After)?> next)
    {
        (StoredRecord Stored, LedgerHead Head, Spending After)? written = _file.Exclusively<(StoredRecord, LedgerHead, Spending)?>(() =>
        {
            Refresh();
            if (next() is not var (record, after)) return null;
            StoredRecord stored = StoredRecord.Sign(record, _chain.Hash, _key!);
            LedgerHead head = SignHead(_chain.LedgerId, record.Number + 1, stored.Hash, after);
            _file.Append(_dataSet, stored, head);
            return (stored, head, after);
        });
        if (written is not var (added, signed, spending)) return false;
        _chain.Add(added);
        (_head, _spending) = (signed, spending);
        return true;
    }

    private LedgerHead SignHead(string ledgerId, long count, string hash, Spending spending) => new(
        ledgerId, _dataSet, count, hash, spending.Divergences, spending.StatisticalDistance, _key!.PublicKey,
        _key.Sign(LedgerHead.Digest(ledgerId, _dataSet, count, hash, spending.Divergences, spending.StatisticalDistance)));

    private static void Bounded(string text, string parameter)
    {
        if (text.Length is 0 or > LongestText || text.Any(char.IsControl)) throw new ArgumentException($"'{text}' is not 1 to {LongestText} characters without control characters.", parameter);
    }
}

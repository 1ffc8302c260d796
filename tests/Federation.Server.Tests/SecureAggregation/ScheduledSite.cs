using System.Security.Cryptography;
using Federation.Privacy.Canonical;
using Federation.Privacy.SecureAggregation;
using Google.Protobuf;
using Answer = Federation.Privacy.SecureAggregation.OpeningAnswer;

namespace Federation.Server.Tests.SecureAggregation;

/// <summary>A node around the real members' state machines: polls for tasks and does one after the other; what it wrote down stays when its process dies.</summary>
internal sealed class ScheduledSite : IDisposable
{
    private readonly RunSchedule _schedule;
    private readonly ScheduledEpochDuty _duty;
    private SiteDisk _disk = new();
    private SiteDisk? _backup;
    private OpeningMember? _member;
    private int _life;
    private bool _isBusy, _hasJoined;

    public ScheduledSite(RunSchedule schedule, int index) => (_schedule, Index, _duty) = (schedule, index, new ScheduledEpochDuty(schedule, this));

    public int Index { get; }

    public string Name => _schedule.Federation.Sites[Index];

    public Lie Lie { get; set; }

    public bool IsUp { get; private set; }

    /// <summary>Never comes back.</summary>
    public bool IsGone { get; private set; }

    /// <summary>Its store was once put back to an older copy: what it said before may be contradicted.</summary>
    public bool IsRestored { get; private set; }

    public SiteDisk Disk => _disk;

    public void Start()
    {
        if (IsGone || IsUp) return;
        (IsUp, _isBusy, _hasJoined) = (true, false, false);
        _schedule.Say($"{Name} starts");
        Live(0, Poll);
    }

    public void Kill()
    {
        if (IsUp) _schedule.Say($"{Name} dies");
        Drop();
        IsUp = false;
        _life++;
        _schedule.In(_schedule.Random.Next(1, 90), Start);
    }

    public void Vanish()
    {
        Kill();
        IsGone = true;
        _schedule.Say($"{Name} is gone");
    }

    public void LoseShare()
    {
        (_disk.Share, _member) = (null, null);
        _schedule.Say($"{Name} loses its share");
    }

    public void LoseUploads()
    {
        _disk.Uploads.Clear();
        _schedule.Say($"{Name} loses its stored uploads");
    }

    public void BackUp() => _backup = _disk.Copy();

    /// <returns>Whether it is the first time.</returns>
    public bool Restore()
    {
        if (_backup is null) return false;
        Kill();
        _disk = _backup.Copy();
        _schedule.Say($"{Name} is put back to {_disk.Record.Count} answers and {_disk.Contributions.Count} contributions");
        (bool isFirst, IsRestored) = (!IsRestored, true);
        return isFirst;
    }

    /// <summary>The share of a new epoch; the former one and the answers given with it are erased.</summary>
    public void Keep(EpochCertificate certificate, CommitteeShare share)
    {
        for (int i = 0; i < _disk.Record.Count; i++) _disk.Record[i] = (_disk.Record[i].Entry, null);
        (_disk.Share, _member) = ((certificate, share), null);
    }

    /// <summary>Asked by the coordinator, whatever it is.</summary>
    public void Do(SiteTask task)
    {
        if (!IsUp) return;
        switch (task)
        {
            case CheckTask:
                Send($"{Name} is ready", () => _schedule.Coordinator.Ready(Name));
                break;
            case ContributeTask contribute when !_isBusy:
                _isBusy = true;
                Live(_schedule.Random.Next(1, _schedule.Strikes(6) ? 80 : 20), () =>
                {
                    _isBusy = false;
                    Contribute(contribute);
                });
                break;
            case EpochStepTask step:
                Send($"epoch step {step.Step.Step} of {Name}", _duty.Do(step.Step));
                break;
            case AnswerTask answer when Lie != Lie.Silent:
                Open(answer);
                break;
        }
    }

    /// <summary>That answers with the share it holds; begins with what is written down.</summary>
    public OpeningMember Member() => _member ??= new(_disk.Share!.Value.Certificate, _disk.Share.Value.Share, _schedule.Federation.Roster, _schedule.Policy, _schedule.Federation.Identity(Index), _schedule.Federation.Random, Record(), Append);

    public void Dispose()
    {
        Drop();
        _duty.Dispose();
    }

    /// <summary>In this life of the process only.</summary>
    private void Live(double seconds, Action action)
    {
        int life = _life;
        _schedule.In(seconds, () =>
        {
            if (life == _life && IsUp) action();
        });
    }

    /// <summary>One call after the other: nothing else is done until it has arrived or was given up.</summary>
    private void Send(string what, Action arrive)
    {
        _isBusy = true;
        Live(_schedule.Send(what, arrive), () => _isBusy = false);
    }

    private void Poll()
    {
        Live(1 + _schedule.Random.Next(3), Poll);
        if (_isBusy || _schedule.Strikes(10)) return; // the poll is lost
        if (!_hasJoined)
        {
            (_hasJoined, byte[]? kept) = _schedule.Coordinator.Join(Name);
            if (kept is not null) Compare(kept);
            return;
        }

        if (_schedule.Coordinator.TaskFor(Name) is { } task) _schedule.Send($"task of {Name}", () => Do(task));
    }

    /// <summary>As a node does when it joins: a record that is behind what others have seen costs the share.</summary>
    private void Compare(byte[] kept)
    {
        if (_disk.Accepted.Contains(Sha256Hex.Of(kept))) return;
        try
        {
            Record().CheckAgainst(SignedMessage.Decode(kept), _schedule.Federation.Roster, Name);
        }
        catch (ProtocolException restored) when (restored.Reason == Refusal.RestoredRecord)
        {
            _schedule.Say($"{Name} finds out that it was put back");
            LoseShare();
            for (int i = 0; i < _disk.Record.Count; i++) _disk.Record[i] = (_disk.Record[i].Entry, null);
            _disk.Accepted.Add(Sha256Hex.Of(kept));
        }
    }

    private void Contribute(ContributeTask task)
    {
        (int round, string purpose) = ((int)task.Round.Opening.Round, task.Round.Opening.Purpose);
        if (_disk.Uploads.GetValueOrDefault((round, purpose)) is not { } stored || stored.Model != task.Model)
        {
            try
            {
                Rule(round, purpose, task.Model);
            }
            catch (ProtocolException refused)
            {
                _schedule.Say($"{Name} does not contribute: {refused.Message}");
                Send($"{Name} fails", () => _schedule.Coordinator.Failed(Name, round, refused.Message));
                return;
            }

            ulong[] numbers = new ulong[_schedule.Federation.Sites.Length];
            numbers[Index] = (ulong)_schedule.Random.Next(1, 1 << 30);
            using MemoryStream file = new();
            ContributionFile.WriteCountsAsync(file, task.Round, Name, _schedule.Federation.Identity(Index), [.. numbers], CancellationToken.None).GetAwaiter().GetResult();
            stored = new(task.Model, task.Round, Lie == Lie.MalformedContributions ? Malformed(task.Round) : file.ToArray());
            _schedule.Rules.Made(this, stored, numbers);
            _disk.Uploads[(round, purpose)] = stored;
            if (_schedule.Strikes(20)) throw new SiteKilledException(this);
        }

        _disk.Remember(new PastContribution(round, purpose, task.Model, ""));
        if (_schedule.Strikes(20)) throw new SiteKilledException(this);
        _schedule.Rules.Contributed(this, stored);
        _schedule.Say($"{Name} sends its {purpose} of round {round}");
        byte[] sent = _schedule.Strikes(10) ? stored.File[.._schedule.Random.Next(stored.File.Length)] : stored.File;
        Send($"{purpose} of {Name}", () => _schedule.Coordinator.Receive(Name, round, task.Model, sent));
        foreach ((int Round, string Purpose) old in _disk.Uploads.Keys.Where(old => old.Round < round).ToArray()) _disk.Uploads.Remove(old);
    }

    /// <summary>Any c₀ and c₁, signed as a contribution.</summary>
    private byte[] Malformed(SiteRound round)
    {
        byte[][] halves = [.. Enumerable.Range(0, 2).Select(_ =>
        {
            ulong[] words = new ulong[round.Ring.Words];
            for (int i = 0; i < words.Length; i++) words[i] = (ulong)_schedule.Random.NextInt64((long)round.Ring.Moduli[i / round.Ring.Degree].Value);
            return PackedElement.Pack(round.Ring, words);
        })];
        ContributionHeader header = new(round.Opening, Name, round.Descriptor.Hash(), round.Certificate.Hash, SHA256.HashData([]), SHA256.HashData(halves[0]), SHA256.HashData(halves[1]));
        return [.. halves[0], .. halves[1], .. SignedMessage.Sign(Name, _schedule.Federation.Identity(Index), header.Encode()).Encode()];
    }

    private void Rule(int round, string purpose, string model)
    {
        OpeningRecord? record = null;
        ContributionRule.Check(ScheduledCoordinator.Run, round, purpose, model, _disk.Contributions, past => (record ??= Record()).HasAnswered(ScheduledCoordinator.Run, past, purpose));
    }

    private void Open(AnswerTask task)
    {
        var message = new V1.OpeningAnswer { RunId = ScheduledCoordinator.Run, RequestSha256 = task.Sha256 };
        OpeningRequest request;
        try
        {
            request = OpeningRequest.Decode(task.Request);
        }
        catch (FormatException)
        {
            return; // more contributors than the cohort has: refused before anything is looked at
        }

        if (Lie == Lie.Refuses) message.Refusal = "No.";
        else if (Lie == Lie.SaysLost || _disk.Share is not { } kept || kept.Certificate.Descriptor.Epoch != request.Opening.Epoch) (message.ShareLost, message.Refusal) = (true, "No share of this epoch is here.");
        else
        {
            try
            {
                SignedOpeningAnswer answer = Member().Answer(request, task.Seconds);
                _schedule.Rules.Answered(this, request, answer);
                if (Lie is Lie.Garbage or Lie.GarbageInTests) answer = Spoilt(answer);
                (message.Answer, message.Part) = (ByteString.CopyFrom(answer.Message.Encode()), ByteString.CopyFrom(answer.Part));
            }
            catch (IOException)
            {
                _member = null; // nothing was answered; the record is read again before anything is
                return;
            }
            catch (ProtocolException refused)
            {
                message.Refusal = refused.Message;
            }
        }

        _schedule.Say($"{Name} on {request.Opening} of {string.Join(",", request.Contributions.Select(contribution => contribution.Site))} with {string.Join(",", request.Active)}: {(message.Refusal.Length == 0 ? "answered" : message.Refusal)}");
        Send($"answer of {Name}", () => _schedule.Coordinator.Receive(Name, message));
    }

    private OpeningRecord Record() => OpeningRecord.Load(_disk.Record);

    /// <summary>The process may die, or the disk be full, on either side of the write.</summary>
    private void Append(OpeningEntry entry)
    {
        if (_schedule.Strikes(25)) throw new SiteKilledException(this);
        if (_schedule.Strikes(25)) throw new IOException("The disk is full.");
        if (entry.Number != _disk.Record.Count + 1) throw new InvalidOperationException($"{Name} has {_disk.Record.Count} answers and stores answer {entry.Number}.");
        _disk.Record.Add((entry.Bytes, entry.Answer));
        if (_schedule.Strikes(25)) throw new SiteKilledException(this);
    }

    /// <summary>A part that opens nothing, well signed.</summary>
    public SignedOpeningAnswer Spoilt(SignedOpeningAnswer answer)
    {
        byte[] part = [.. answer.Part];
        part[(part.Length / 2) + Index] ^= 1;
        Answer said = Answer.Decode(answer.Message.Body.Span) with { PartHash = SHA256.HashData(part) };
        return new(SignedMessage.Sign(Name, _schedule.Federation.Identity(Index), said.Encode()), part);
    }

    private void Drop()
    {
        _duty.Drop();
        _member = null;
    }
}

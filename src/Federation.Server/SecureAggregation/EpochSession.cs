using System.Security.Cryptography;
using Federation.Privacy.SecureAggregation;
using Federation.Server.Runs;
using Federation.Server.Storage;
using Federation.V1;
using Google.Protobuf;
using Roster = Federation.Privacy.SecureAggregation.Roster;
using RunEvent = Federation.Server.Runs.RunEvent;

namespace Federation.Server.SecureAggregation;

/// <summary>One attempt at a key epoch: hands each member its next step, takes what it sends, goes on when all that are there have answered or the step's time is over. Lost when the coordinator restarts: then the next attempt begins.</summary>
internal sealed class EpochSession
{
    /// <summary>How long a step waits for a member that is there.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private const int FinishStep = 6;

    private readonly RunContext _context;
    private readonly string _runId;
    private readonly Roster _roster;
    private readonly EpochCoordinator _coordinator;
    private readonly Dictionary<string, string> _refusals = [];
    private readonly SortedSet<string> _rosterRefused = new(StringComparer.Ordinal);
    private readonly bool _stopsAtRosterRefusal;
    private readonly string _folder; // shares on their way: of 32 members they are 136 MB
    private readonly Dictionary<int, string> _shareBlobs = [];
    private readonly SortedDictionary<int, SignedOpeningAnswer?> _finished = [];
    private DateTimeOffset _deadline;
    private string _content = "", _certificate = "";
    private int[] _active = [];

    public EpochSession(RunContext context, string runId, EpochDescriptor descriptor, Roster roster, CommitteePolicy policy, bool stopsAtRosterRefusal)
    {
        (_context, _runId, _roster, _stopsAtRosterRefusal) = (context, runId, roster, stopsAtRosterRefusal);
        _folder = context.Spool.Shares(runId);
        _coordinator = new(descriptor, roster, policy);
        _deadline = context.Steady.GetUtcNow() + Patience;
    }

    public EpochDescriptor Descriptor => _coordinator.Descriptor;

    /// <summary>Steps that members were asked for so far.</summary>
    public int StepsAsked => (int)_coordinator.Step + 1;

    private bool IsFinishing => _coordinator.Step == EpochStep.Finished;

    private IReadOnlyList<int> Awaited => IsFinishing ? [.. _coordinator.Qualified.Where(member => !_finished.ContainsKey(member))] : _coordinator.Awaited;

    /// <summary>The step that waits for this site; null: none.</summary>
    public EpochTask? TaskFor(string site)
    {
        int index = IndexOf(site);
        if (index == 0 || _refusals.ContainsKey(site) || !Awaited.Contains(index)) return null;
        var task = new EpochTask { RunId = _runId, Descriptor_ = ByteString.CopyFrom(Descriptor.Encode()), RosterSha256 = _roster.Hash, Step = (uint)_coordinator.Step };
        switch (_coordinator.Step)
        {
            case EpochStep.Commitments:
                Add(_coordinator.Answers);
                break;
            case EpochStep.Acceptances:
                Add(_coordinator.Commitments);
                task.ContentSha256 = _shareBlobs[index];
                break;
            case EpochStep.Qualifications:
                task.Members.Add(_coordinator.Qualified.Select(member => (uint)member));
                break;
            case EpochStep.Reveals:
                Add(_coordinator.Qualifications);
                break;
            case EpochStep.Signatures:
                task.ContentSha256 = _content;
                break;
            case EpochStep.Finished:
                task.Step = FinishStep;
                task.ContentSha256 = _certificate;
                task.Members.Add(_active.Select(member => (uint)member));
                break;
        }

        return task;

        void Add(IEnumerable<SignedMessage> messages) => task.Messages.Add(messages.Select(message => ByteString.CopyFrom(message.Encode())));
    }

    /// <exception cref="ProtocolException">The message is not what the step waits for.</exception>
    /// <exception cref="FormatException">Its bytes are none.</exception>
    public void Receive(string site, EpochMessage message)
    {
        int index = IndexOf(site);
        if (index == 0 || message.Epoch != Descriptor.Epoch || message.Attempt != Descriptor.Attempt) throw new ProtocolException(Refusal.WrongEpoch, $"'{site}' has no part in attempt {message.Attempt} at epoch {message.Epoch}.");
        if (message.Refusal.Length > 0)
        {
            _refusals[site] = message.Refusal;
            // A roster is judged before anything else is sent; who goes along and refuses it later has failed like any other.
            if (message.RosterRefused && _coordinator.Step == EpochStep.Answers) _rosterRefused.Add(site);
            return;
        }

        ReadOnlySpan<byte> body = message.Body.Span;
        if (message.Step == FinishStep) Finish(index, message);
        else if (message.Step != (uint)_coordinator.Step) throw new ProtocolException(Refusal.UnexpectedMessage, $"The attempt is at step {(int)_coordinator.Step}, not {message.Step}.");
        else if (message.Step == (uint)EpochStep.Commitments && message.To != 0) TakeShare(index, (int)Math.Min(message.To, int.MaxValue), body);
        else if (message.Step == (uint)EpochStep.Reveals) _coordinator.Receive(Own(EpochReveal.Decode(body), index));
        else _coordinator.Receive(Own(SignedMessage.Decode(body), site));
    }

    /// <summary>Goes on where a step is complete or its time is over.</summary>
    /// <returns>How the attempt ended; null: it goes on.</returns>
    public RunEvent? Advance(Func<string, bool> isLive)
    {
        if (_stopsAtRosterRefusal && _rosterRefused.Count > 0) return Failed($"Key epoch {Descriptor.Epoch}, attempt {Descriptor.Attempt} ends.", []);
        while (IsStepOver(isLive))
        {
            if (IsFinishing) return Conclude();
            EpochStep step = _coordinator.Step;
            _coordinator.Close();
            if (_coordinator.Step == EpochStep.Failed) return Failed(_coordinator.Failure!, _coordinator.Dropped);
            if (step == EpochStep.Commitments) PackShares();
            if (step == EpochStep.Reveals) _content = Keep(EpochReveal.Encode(_coordinator.Reveals));
            if (step == EpochStep.Signatures)
            {
                _certificate = Keep(_coordinator.Certificate!.Encode());
                _active = [.. _coordinator.Qualified.OrderByDescending(member => isLive(NameOf(member))).Take(Descriptor.Threshold).Order()];
            }

            _deadline = _context.Steady.GetUtcNow() + Patience;
        }

        return null;
    }

    /// <summary>Removes what only this attempt needed.</summary>
    public void Drop()
    {
        if (Directory.Exists(_folder)) Directory.Delete(_folder, recursive: true);
        foreach (string blob in _shareBlobs.Values.Append(_content).Where(blob => blob.Length > 0)) _context.Blobs.Delete(blob);
    }

    private bool IsStepOver(Func<string, bool> isLive)
    {
        bool late = _context.Steady.GetUtcNow() >= _deadline;
        return Awaited.All(member => late || _refusals.ContainsKey(NameOf(member)) || !isLive(NameOf(member)));
    }

    private void TakeShare(int from, int to, ReadOnlySpan<byte> encrypted)
    {
        _coordinator.ReceiveShare(from, to, encrypted);
        Directory.CreateDirectory(_folder);
        File.WriteAllBytes(ShareOf(from, to), encrypted);
    }

    private void PackShares()
    {
        foreach (SignedMessage commitment in _coordinator.Commitments)
        {
            int to = IndexOf(commitment.Site);
            _shareBlobs[to] = Keep(EpochShares.Encode(_coordinator.Commitments.Select(other => IndexOf(other.Site)).Where(from => from != to).ToDictionary(from => from, from => File.ReadAllBytes(ShareOf(from, to)))));
        }

        Directory.Delete(_folder, recursive: true);
    }

    private string ShareOf(int from, int to) => Path.Combine(_folder, FormattableString.Invariant($"{from}-{to}"));

    private void Finish(int index, EpochMessage message)
    {
        if (!IsFinishing || !_coordinator.Qualified.Contains(index)) throw new ProtocolException(Refusal.UnexpectedMessage, "The epoch's certificate is not signed yet.");
        if (!_active.Contains(index))
        {
            _finished[index] = null;
            return;
        }

        var answer = new SignedOpeningAnswer(SignedMessage.Decode(message.Body.Span), message.Part.ToByteArray());
        if (answer.Verify(_coordinator.Certificate!, _roster).Index != index) throw new ProtocolException(Refusal.Malformed, "The answer is another member's.");
        _finished[index] = answer;
    }

    private RunEvent Conclude()
    {
        EpochCertificate certificate = _coordinator.Certificate!;
        List<SignedOpeningAnswer> answers = [.. _active.Select(member => _finished.GetValueOrDefault(member)).OfType<SignedOpeningAnswer>()];
        if (answers.Count < _active.Length)
        {
            string[] missing = [.. _active.Where(member => !_finished.ContainsKey(member)).Select(NameOf)];
            return Failed($"Key epoch {Descriptor.Epoch}, attempt {Descriptor.Attempt}: {string.Join(", ", missing)} did not answer the self-test.", missing);
        }

        try
        {
            EpochTest.Verify(certificate, _roster, answers);
        }
        catch (ProtocolException wrong)
        {
            return Failed($"Key epoch {Descriptor.Epoch}, attempt {Descriptor.Attempt}: the self-test failed. {wrong.Message}", [], inTest: true);
        }

        _context.Store.AddTranscript(new TranscriptRecord(_runId, TranscriptRecord.KeyEpoch, 0, (int)Descriptor.Epoch, Transcript()));
        string test = Keep(SignedOpeningAnswer.Encode(answers));
        return new EpochMade((int)Descriptor.Attempt, new EpochKeys((int)Descriptor.Epoch, _certificate, _roster.Hash, test, "", 0, Sites: [.. _roster.Sites.Keys], Members: [.. certificate.Qualified.Select(NameOf)], Threshold: Descriptor.Threshold), certificate.Qualified.Count, Descriptor.Threshold);
    }

    /// <summary>Every signed message of the attempt, for a check without network.</summary>
    private byte[] Transcript()
    {
        EpochCertificate certificate = _coordinator.Certificate!;
        return EpochTranscriptFile.Encode(_roster, certificate, _coordinator.Answers, _coordinator.Commitments, _coordinator.Qualifications, _coordinator.Reveals);
    }

    private EpochFailed Failed(string reason, IReadOnlyList<string> dropped, bool inTest = false)
    {
        string refusals = string.Join(" ", _refusals.Select(refusal => $"{refusal.Key}: {refusal.Value}"));
        return new((int)Descriptor.Epoch, (int)Descriptor.Attempt, refusals.Length == 0 ? reason : $"{reason} {refusals}", [.. dropped.Union(_refusals.Keys)], inTest, [.. _rosterRefused]);
    }

    private string Keep(byte[] content)
    {
        using BlobStore.NewBlob blob = _context.Blobs.Create();
        blob.Stream.Write(content);
        return blob.Keep();
    }

    private int IndexOf(string site)
    {
        for (int i = 0; i < Descriptor.Members.Count; i++)
        {
            if (Descriptor.Members[i] == site) return i + 1;
        }

        return 0;
    }

    private string NameOf(int member) => Descriptor.Members[member - 1];

    private static SignedMessage Own(SignedMessage message, string site) => message.Site == site ? message : throw new ProtocolException(Refusal.WrongSignature, $"'{site}' sent a message of '{message.Site}'.");

    private static EpochReveal Own(EpochReveal reveal, int index) => reveal.Index == index ? reveal : throw new ProtocolException(Refusal.WrongReveal, $"Member {index} revealed for member {reveal.Index}.");
}

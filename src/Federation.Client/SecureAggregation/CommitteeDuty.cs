using System.Security.Cryptography;
using Federation.Formats.Configuration;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;
using OpeningAnswer = Federation.V1.OpeningAnswer;

namespace Federation.Client.SecureAggregation;

/// <summary>A site's part in the committees of its runs: the steps of a key epoch, and openings. Whatever it refuses, it says why, to the coordinator and in its audit log.</summary>
internal sealed class CommitteeDuty(Node.NodeClient client, NodeFolder folder, string site, ECDsa identity, NodePolicy policy, CommitteeStore store, AgreedRuns runs, NodeAudit audit, ILogger logger) : IDisposable
{
    private readonly SecureRandom _random = new();
    private readonly Dictionary<string, Attempt> _attempts = []; // by run

    private string IdentitySha256 => Privacy.Canonical.Sha256Hex.Of(identity.ExportSubjectPublicKeyInfo());

    /// <summary>One attempt at an epoch in this process: what was sent is sent again, never made again.</summary>
    /// <param name="Roster">As the policy was held against it, before anything was sent.</param>
    private sealed record Attempt(string Descriptor, EpochMember Member, Roster Roster)
    {
        public Dictionary<uint, List<EpochMessage>> Sent { get; } = [];
    }

    public async Task StepAsync(EpochTask task, CancellationToken cancellationToken)
    {
        EpochDescriptor? descriptor = null;
        try
        {
            descriptor = EpochDescriptor.Decode(task.Descriptor_.Span);
            foreach (EpochMessage message in await MessagesAsync(task, descriptor, cancellationToken)) await client.SendEpochMessageAsync(message, cancellationToken: cancellationToken);
        }
        catch (Exception error) when (error is ProtocolException or FormatException)
        {
            logger.LogWarning("Key epoch {Epoch} of run {Run}: {Message}", descriptor?.Epoch, task.RunId, error.Message);
            audit.Refused(NodeAudit.KeyEpoch, task.RunId, 0, error.Message, error);
            Drop(task.RunId);
            if (descriptor is null) return;
            await AskAnewAsync(task.RunId, error, cancellationToken);
            EpochMessage refusal = MessageOf(task, descriptor, error.Message);
            refusal.RosterRefused = error is ProtocolException { Reason: Refusal.WrongRoster };
            await client.SendEpochMessageAsync(refusal, cancellationToken: cancellationToken);
        }
        catch (SqliteException error)
        {
            logger.LogError("Key epoch {Epoch} of run {Run}: the share could not be stored: {Message}", descriptor?.Epoch, task.RunId, error.Message);
            Drop(task.RunId);
            await client.SendEpochMessageAsync(MessageOf(task, descriptor!, "This site cannot store its share."), cancellationToken: cancellationToken);
        }
        catch (RpcException error) when (ConnectionErrors.IsRefusal(error))
        {
            logger.LogInformation("Key epoch {Epoch} of run {Run}: the coordinator goes on without this message. {Message}", descriptor?.Epoch, task.RunId, error.Status.Detail);
        }
    }

    public async Task OpenAsync(OpenTask task, CancellationToken cancellationToken)
    {
        var message = new OpeningAnswer { RunId = task.RunId, RequestSha256 = task.RequestSha256 };
        int round = 0;
        try
        {
            OpeningRequest request = OpeningRequest.Decode(await ReadAsync(task.RequestSha256, cancellationToken));
            round = (int)Math.Min(request.Opening.Round, int.MaxValue);
            if (store.Find(request.Opening.Run) is not { } kept) throw new LostShareException("This site holds no share of the run's key.");
            using CommitteeShare share = kept.Share;
            runs.RequireApproval(request.Opening.Run);
            runs.RequireSame(request.Opening.Run, request.Round);
            ulong epoch = kept.Certificate.Descriptor.Epoch;
            // Keys are made anew between rounds, so nothing of an older epoch is left to open: whoever asks wants to know what this site says to it.
            if (request.Opening.Epoch < epoch) throw new ProtocolException(Refusal.WrongEpoch, $"The {request.Opening} is to be opened after this site has taken a share of epoch {epoch}: with new keys nothing of the old ones is opened.");
            if (request.Opening.Epoch != epoch) throw new LostShareException($"This site holds a share of epoch {kept.Certificate.Descriptor.Epoch}.");
            if (kept.Roster.Sites.GetValueOrDefault(site) != IdentitySha256) throw new LostShareException($"This site's identity key has changed since epoch {request.Opening.Epoch} was made: nobody would take an answer for its share.");
            PinnedRoster.RequireOfKeys(policy, kept.Roster);
            OpeningMember member = new(kept.Certificate, share, kept.Roster, PolicyFor(request.Opening.Run), identity, _random, store.Record(), entry => store.Append(request.Opening.Run, entry), store.Statistics(), store.Sets(request.Opening.Run));
            SignedOpeningAnswer answer = await AnswerAsync(member, request, task.SecondsSha256, cancellationToken);
            (message.Answer, message.Part) = (ByteString.CopyFrom(answer.Message.Encode()), ByteString.CopyFrom(answer.Part));
            logger.LogInformation("Answered for the {Opening}: {Count} contributions", request.Opening, request.Contributions.Count);
        }
        catch (LostShareException lost)
        {
            (message.ShareLost, message.Refusal) = (true, lost.Message);
            logger.LogWarning("Run {Run}: {Message}", task.RunId, lost.Message);
        }
        catch (Exception error) when (error is CryptographicException)
        {
            (message.ShareLost, message.Refusal) = (true, "This site's share cannot be decrypted with its key file.");
            logger.LogError("Run {Run}: the share cannot be decrypted: {Message}", task.RunId, error.Message);
        }
        catch (Exception error) when (error is ProtocolException or FormatException)
        {
            message.Refusal = error.Message;
            logger.LogWarning("Run {Run}: an opening was refused. {Message}", task.RunId, error.Message);
            audit.Refused(NodeAudit.Opening, task.RunId, round, error.Message, error);
            await AskAnewAsync(task.RunId, error, cancellationToken);
        }
        catch (SqliteException error)
        {
            // Nothing was answered, and nothing may be until the record can be written: the coordinator asks again, or others.
            logger.LogError("Run {Run}: the answer could not be made durable and was not given: {Message}", task.RunId, error.Message);
            throw new IOException("The record of answers cannot be written.", error);
        }

        try
        {
            await client.SendOpeningAnswerAsync(message, cancellationToken: cancellationToken);
        }
        catch (RpcException error) when (ConnectionErrors.IsRefusal(error))
        {
            logger.LogInformation("Run {Run}: the answer came too late. {Message}", task.RunId, error.Status.Detail);
        }
    }

    /// <summary>At the start: whether this site's record continues what others have seen of it.</summary>
    /// <param name="kept">Its latest signed answer that the coordinator knows; empty: none.</param>
    public void Compare(ReadOnlySpan<byte> kept, Roster? roster = null)
    {
        string sha256 = Privacy.Canonical.Sha256Hex.Of(kept);
        if (kept.IsEmpty || store.IsAccepted(sha256)) return;
        try
        {
            store.Record().CheckAgainst(SignedMessage.Decode(kept), roster ?? new Roster(1, "", [new(site, IdentitySha256)]), site);
        }
        catch (ProtocolException restored) when (restored.Reason == Refusal.RestoredRecord)
        {
            store.AcceptLoss(sha256);
            logger.LogError("{Message}", restored.Message);
            audit.Refused(NodeAudit.Restored, "", 0, restored.Message);
        }
        catch (Exception error) when (error is ProtocolException or FormatException)
        {
            logger.LogWarning("The coordinator showed an answer that is not this site's: {Message}", error.Message);
            audit.Refused(NodeAudit.Restored, "", 0, $"An answer was shown that is not this site's: {error.Message}");
        }
    }

    /// <summary>A run is over: nothing of its keys is kept.</summary>
    public void Forget(string run)
    {
        Drop(run);
        try
        {
            store.Erase(run);
        }
        catch (SqliteException error)
        {
            logger.LogError("Run {Run} is over, and its share could not be erased: {Message}", run, error.Message);
        }
    }

    public void Dispose()
    {
        foreach (Attempt attempt in _attempts.Values) attempt.Member.Dispose();
        _random.Dispose();
    }

    /// <summary>The policy asks for more than when this site agreed, or its record of the run is gone: the coordinator, which may hold the signature, is to ask it about the run anew.</summary>
    private async Task AskAnewAsync(string runId, Exception refused, CancellationToken cancellationToken)
    {
        if (refused is not ProtocolException { Reason: Refusal.AwaitsApproval } && (policy.Approval is null || runs.Has(runId))) return;
        await FailureReports.SendAsync(client, new FailureReport { RunId = runId, Reason = refused.Message, AwaitsApproval = true }, logger, cancellationToken);
    }

    private async Task<List<EpochMessage>> MessagesAsync(EpochTask task, EpochDescriptor descriptor, CancellationToken cancellationToken)
    {
        string hash = Privacy.Canonical.Sha256Hex.Of(task.Descriptor_.Span);
        if (!_attempts.TryGetValue(task.RunId, out Attempt? attempt) || attempt.Descriptor != hash)
        {
            runs.RequireApproval(task.RunId);
            if (task.Step != 0) throw new ProtocolException(Refusal.UnexpectedMessage, "This site has restarted and has erased what it had of this attempt.");
            Drop(task.RunId);
            Roster roster = Roster.Decode(await ReadAsync(task.RosterSha256, cancellationToken));
            policy.Require(roster);
            attempt = _attempts[task.RunId] = new(hash, new EpochMember(descriptor, roster, policy.ToCommittee(), site, identity, _random), roster);
        }

        if (attempt.Sent.TryGetValue(task.Step, out List<EpochMessage>? sent)) return sent;
        EpochMember member = attempt.Member;
        List<SignedMessage> messages = [.. task.Messages.Select(message => SignedMessage.Decode(message.Span))];
        List<EpochMessage> made = [];
        switch (task.Step)
        {
            case 0:
                made.Add(Signed(member.Answer()));
                break;
            case 1:
                (SignedMessage commitment, IReadOnlyDictionary<int, byte[]> shares) = member.Commit(messages);
                made.Add(Signed(commitment));
                foreach ((int to, byte[] share) in shares)
                {
                    EpochMessage relayed = MessageOf(task, descriptor);
                    (relayed.Body, relayed.To) = (ByteString.CopyFrom(share), (uint)to);
                    made.Add(relayed);
                }

                break;
            case 2:
                made.Add(Signed(member.Accept(messages, EpochShares.Decode(await ReadAsync(task.ContentSha256, cancellationToken)))));
                break;
            case 3:
                made.Add(Signed(member.Qualify(MembersOf(task))));
                break;
            case 4:
                made.Add(Body(member.Reveal(messages).Encode()));
                break;
            case 5:
                made.Add(Signed(member.Certify(EpochReveal.DecodeList(await ReadAsync(task.ContentSha256, cancellationToken)))));
                break;
            case 6:
                made.Add(await FinishAsync(task, descriptor, attempt, cancellationToken));
                break;
            default:
                throw new ProtocolException(Refusal.UnexpectedMessage, $"There is no step {task.Step}.");
        }

        attempt.Sent[task.Step] = made;
        if (task.Step == 6) member.Dispose(); // the share is stored; nothing else is needed, and a repeated task gets the same message
        return made;

        EpochMessage Signed(SignedMessage message) => Body(message.Encode());

        EpochMessage Body(byte[] body)
        {
            EpochMessage message = MessageOf(task, descriptor);
            message.Body = ByteString.CopyFrom(body);
            return message;
        }
    }

    /// <summary>Stores the share, then answers the self-test if this member is one of those that do.</summary>
    private async Task<EpochMessage> FinishAsync(EpochTask task, EpochDescriptor descriptor, Attempt attempt, CancellationToken cancellationToken)
    {
        EpochCertificate signed = EpochCertificate.Decode(await ReadAsync(task.ContentSha256, cancellationToken));
        Roster roster = attempt.Roster; // not what this task names: the share belongs to the one that was checked
        (EpochCertificate certificate, CommitteeShare share) = attempt.Member.Finish(signed.Signatures);
        using (share)
        {
            store.Save(task.RunId, certificate, roster, share);
            EpochMessage message = MessageOf(task, descriptor);
            int[] active = MembersOf(task);
            if (active.Contains(share.Index))
            {
                OpeningMember opener = new(certificate, share, roster, policy.ToCommittee(), identity, _random, store.Record(), entry => store.Append(task.RunId, entry));
                SignedOpeningAnswer answer = opener.AnswerTest(active);
                (message.Body, message.Part) = (ByteString.CopyFrom(answer.Message.Encode()), ByteString.CopyFrom(answer.Part));
            }

            logger.LogInformation("Run {Run}, key epoch {Epoch}: this site holds share {Index} of {Count}; any {Threshold} open a sum. Roster {Version} of {Sites} sites, sha256:{Hash}. {Guarantee}", task.RunId, descriptor.Epoch, share.Index, share.Members.Count, descriptor.Threshold, roster.Version, roster.Sites.Count, roster.Hash, policy.Guarantee(roster));
            return message;
        }
    }

    private static int[] MembersOf(EpochTask task) => [.. task.Members.Select(index => index is > 0 and <= CommitteePolicy.LargestCommittee ? (int)index : throw new ProtocolException(Refusal.Malformed, $"There is no member {index}: a committee has at most {CommitteePolicy.LargestCommittee}."))];

    private static EpochMessage MessageOf(EpochTask task, EpochDescriptor descriptor, string refusal = "") =>
        new() { RunId = task.RunId, Epoch = descriptor.Epoch, Attempt = descriptor.Attempt, Step = task.Step, Refusal = SiteWords.Bounded(refusal) };

    private CommitteePolicy PolicyFor(string run) => policy.ToCommittee(runs.Find(run)?.Spec.SecureAggregation?.MaxOpenings);

    private Task<byte[]> ReadAsync(string sha256, CancellationToken cancellationToken) => BlobDownload.ReadAsync(client, folder, sha256, cancellationToken);

    /// <summary>Answers with the ciphertexts that were named, of exactly the size that they have; whatever comes of it, the file is not kept.</summary>
    private async Task<SignedOpeningAnswer> AnswerAsync(OpeningMember member, OpeningRequest request, string secondsSha256, CancellationToken cancellationToken)
    {
        if (member.Answered(request) is { } before) return before;
        long length = member.SecondsLength(request);
        string seconds = await BlobDownload.FetchAsync(client, folder, secondsSha256, cancellationToken, length);
        try
        {
            long actual = new FileInfo(seconds).Length;
            if (actual != length) throw new ProtocolException(Refusal.Malformed, $"The ciphertexts of {request.Contributions.Count} contributions have {length} bytes; {actual} came.");
            return member.Answer(request, Pieces(seconds, request.Contributions.Count));
        }
        finally
        {
            File.Delete(seconds);
        }
    }

    private static IEnumerable<byte[]> Pieces(string path, int count)
    {
        using FileStream file = File.OpenRead(path);
        byte[] piece = new byte[count == 0 ? 0 : file.Length / count];
        for (int i = 0; i < count; i++)
        {
            file.ReadExactly(piece);
            yield return piece;
        }
    }

    private void Drop(string run)
    {
        if (_attempts.Remove(run, out Attempt? attempt)) attempt.Member.Dispose();
    }

    private sealed class LostShareException(string message) : Exception(message);
}

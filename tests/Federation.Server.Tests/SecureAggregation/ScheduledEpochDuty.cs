using System.Security.Cryptography;
using Federation.Privacy.Canonical;
using Federation.Privacy.SecureAggregation;
using Google.Protobuf;

namespace Federation.Server.Tests.SecureAggregation;

/// <summary>A site's part in making keys: what it sent in an attempt is sent again, never made again; a process that died has forgotten the attempt.</summary>
internal sealed class ScheduledEpochDuty(RunSchedule schedule, ScheduledSite site) : IDisposable
{
    private readonly List<CommitteeShare> _shares = [];
    private (string Descriptor, EpochMember Member, Dictionary<uint, List<V1.EpochMessage>> Sent)? _attempt;

    /// <returns>What its messages do when they arrive: at times only the first of them.</returns>
    public Action Do(V1.EpochTask task)
    {
        EpochDescriptor descriptor = EpochDescriptor.Decode(task.Descriptor_.Span, schedule.Federation.Parameters);
        List<V1.EpochMessage> messages;
        try
        {
            messages = Steps(task, descriptor);
        }
        catch (ProtocolException refused)
        {
            Drop();
            messages = [Message(task, descriptor, [])];
            messages[0].Refusal = refused.Message;
            schedule.Say($"{site.Name} leaves attempt {descriptor.Attempt} at epoch {descriptor.Epoch}: {refused.Reason}");
        }
        catch (FileNotFoundException)
        {
            messages = []; // the attempt is over
        }

        V1.EpochMessage[] arrive = [.. schedule.Strikes(15) ? messages.Take(schedule.Random.Next(messages.Count)) : messages];
        return () =>
        {
            foreach (V1.EpochMessage message in arrive) schedule.Coordinator.Receive(site.Name, message);
        };
    }

    public void Drop()
    {
        _attempt?.Member.Dispose();
        _attempt = null;
    }

    public void Dispose()
    {
        Drop();
        foreach (CommitteeShare share in _shares) share.Dispose();
    }

    private List<V1.EpochMessage> Steps(V1.EpochTask task, EpochDescriptor descriptor)
    {
        string hash = Sha256Hex.Of(task.Descriptor_.Span);
        if (_attempt?.Descriptor != hash)
        {
            if (task.Step != 0) throw new ProtocolException(Refusal.UnexpectedMessage, "This site has restarted and has erased what it had of this attempt.");
            Drop();
            _attempt = (hash, new EpochMember(descriptor, schedule.Federation.Roster, schedule.Policy, site.Name, schedule.Federation.Identity(site.Index), schedule.Federation.Random), []);
        }

        (_, EpochMember member, Dictionary<uint, List<V1.EpochMessage>> sent) = _attempt!.Value;
        if (sent.TryGetValue(task.Step, out List<V1.EpochMessage>? before)) return before;
        List<SignedMessage> messages = [.. task.Messages.Select(message => SignedMessage.Decode(message.Span))];
        List<V1.EpochMessage> made;
        switch (task.Step)
        {
            case 1:
                (SignedMessage commitment, IReadOnlyDictionary<int, byte[]> shares) = member.Commit(messages);
                if (site.Lie == Lie.SendsLongShares) (commitment, shares) = Long(commitment);
                made = [Message(task, descriptor, commitment.Encode()), .. shares.Select(share => Message(task, descriptor, share.Value, share.Key))];
                break;
            case 6:
                made = [Finish(task, descriptor, member)];
                break;
            default:
                made = [Message(task, descriptor, task.Step switch
                {
                    0 => member.Answer().Encode(),
                    2 => member.Accept(messages, EpochShares.Decode(Read(task.ContentSha256))).Encode(),
                    3 => member.Qualify([.. task.Members.Select(other => (int)other)]).Encode(),
                    4 => member.Reveal(messages).Encode(),
                    _ => member.Certify(EpochReveal.DecodeList(Read(task.ContentSha256))).Encode(),
                })];
                break;
        }

        if (task.Step == 4 && site.Lie == Lie.RefusesTheRosterLate) (made[0].Body, made[0].Refusal, made[0].RosterRefused) = (ByteString.Empty, "It pins another roster.", true);
        return sent[task.Step] = made;
    }

    private (SignedMessage Commitment, IReadOnlyDictionary<int, byte[]> Shares) Long(SignedMessage commitment)
    {
        byte[] share = new byte[(1 << 20) + 1];
        EpochCommitment said = EpochCommitment.Decode(commitment.Body.Span);
        said = said with { ShareHashes = [.. said.ShareHashes.Select(other => (other.To, SHA256.HashData(share)))] };
        return (SignedMessage.Sign(site.Name, schedule.Federation.Identity(site.Index), said.Encode()), said.ShareHashes.ToDictionary(other => other.To, _ => share));
    }

    /// <summary>Keeps the share, then answers the self-test.</summary>
    private V1.EpochMessage Finish(V1.EpochTask task, EpochDescriptor descriptor, EpochMember member)
    {
        (EpochCertificate certificate, CommitteeShare share) = member.Finish(EpochCertificate.Decode(Read(task.ContentSha256), schedule.Federation.Parameters).Signatures);
        _shares.Add(share);
        site.Keep(certificate, share);
        schedule.Say($"{site.Name} keeps its share of epoch {descriptor.Epoch}, attempt {descriptor.Attempt}");
        V1.EpochMessage message = Message(task, descriptor, []);
        int[] active = [.. task.Members.Select(other => (int)other)];
        if (!active.Contains(share.Index)) return message;
        try
        {
            SignedOpeningAnswer answer = site.Member().AnswerTest(active);
            if (site.Lie == Lie.GarbageInTests) answer = site.Spoilt(answer);
            (message.Body, message.Part) = (ByteString.CopyFrom(answer.Message.Encode()), ByteString.CopyFrom(answer.Part));
            return message;
        }
        catch (IOException)
        {
            throw new SiteKilledException(site); // as a node whose store fails: it starts again
        }
    }

    private byte[] Read(string sha256)
    {
        using FileStream file = schedule.Context.Blobs.Open(sha256);
        byte[] bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        return bytes;
    }

    private static V1.EpochMessage Message(V1.EpochTask task, EpochDescriptor descriptor, byte[] body, int to = 0) =>
        new() { RunId = ScheduledCoordinator.Run, Epoch = descriptor.Epoch, Attempt = descriptor.Attempt, Step = task.Step, Body = ByteString.CopyFrom(body), To = (uint)to };
}

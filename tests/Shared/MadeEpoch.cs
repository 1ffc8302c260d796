using System.Security.Cryptography;
using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.SecureAggregation;

/// <summary>A key epoch made in one process by the protocol's own steps, each message through its bytes, nobody failing.</summary>
internal static class MadeEpoch
{
    /// <param name="identities">Of the members, in the descriptor's order.</param>
    /// <param name="transcript">Gets every signed message of it.</param>
    /// <param name="decode">Of the certificate; null: as nodes do it.</param>
    public static (EpochCertificate Certificate, CommitteeShare[] Shares) Of(EpochDescriptor descriptor, Roster roster, CommitteePolicy policy, IReadOnlyList<ECDsa> identities, SecureRandom random, Action<byte[]>? transcript = null, Func<byte[], EpochCertificate>? decode = null)
    {
        EpochMember[] members = [.. descriptor.Members.Select((name, i) => new EpochMember(descriptor, roster, policy, name, identities[i], random))];
        EpochCoordinator coordinator = new(descriptor, roster, policy);
        foreach (EpochMember member in members) coordinator.Receive(Sent(member.Answer()));
        coordinator.Close();
        var commitments = members.Select(member => member.Commit(coordinator.Answers)).ToArray();
        for (int from = 1; from <= members.Length; from++)
        {
            coordinator.Receive(Sent(commitments[from - 1].Commitment));
            foreach ((int to, byte[] share) in commitments[from - 1].Shares) coordinator.ReceiveShare(from, to, share);
        }

        coordinator.Close();
        foreach (EpochMember member in members) coordinator.Receive(Sent(member.Accept(coordinator.Commitments, SharesFor(member.Index, [.. commitments.Select(commitment => commitment.Shares)]))));
        coordinator.Close();
        foreach (EpochMember member in members) coordinator.Receive(Sent(member.Qualify(coordinator.Qualified)));
        coordinator.Close();
        foreach (EpochMember member in members) coordinator.Receive(EpochReveal.Decode(member.Reveal(coordinator.Qualifications).Encode()));
        coordinator.Close();
        foreach (EpochMember member in members) coordinator.Receive(Sent(member.Certify(coordinator.Reveals)));
        coordinator.Close();
        decode ??= bytes => EpochCertificate.Decode(bytes);
        EpochCertificate certificate = decode(coordinator.Certificate!.Encode());
        CommitteeShare[] shares = [.. members.Select(member => member.Finish(certificate.Signatures).Share)];
        foreach (EpochMember member in members) member.Dispose();
        transcript?.Invoke(EpochTranscriptFile.Encode(roster, certificate, coordinator.Answers, coordinator.Commitments, coordinator.Qualifications, coordinator.Reveals));
        return (certificate, shares);
    }

    /// <summary>What the coordinator relays to one member, by sender.</summary>
    public static Dictionary<int, byte[]> SharesFor(int member, IReadOnlyList<IReadOnlyDictionary<int, byte[]>> sent) =>
        Enumerable.Range(1, sent.Count).Where(from => sent[from - 1].ContainsKey(member)).ToDictionary(from => from, from => sent[from - 1][member]);

    public static SignedMessage Sent(SignedMessage message) => SignedMessage.Decode(message.Encode());
}

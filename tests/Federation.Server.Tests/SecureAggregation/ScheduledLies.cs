using System.Security.Cryptography;
using Federation.Privacy.Canonical;
using Federation.Privacy.SecureAggregation;
using Federation.Server.Runs;

namespace Federation.Server.Tests.SecureAggregation;

/// <summary>
/// A coordinator that, beside the run, tries for more than one sum: asks members for other sets of contributors, by other active sets, for other rounds; asks sites to contribute again, in other rounds, from earlier models, under keys of other epochs.
/// Whatever it gets, <see cref="ScheduleRules"/> adds up at the end.
/// </summary>
internal sealed class ScheduledLies(RunSchedule schedule)
{
    private readonly List<SiteRound> _invented = [];
    private int _epoch = 1000;

    private Random Random => schedule.Random;

    private ScheduleFederation Federation => schedule.Federation;

    public void Lie()
    {
        if (schedule.Now >= schedule.FaultsEnd) return;
        schedule.In(Random.Next(4, 40), Lie);
        switch (Random.Next(6))
        {
            case 0 or 1 or 2:
                AskForAnotherSum();
                break;
            case 3 or 4:
                AskToContributeAgain();
                break;
            default:
                HandOutKeys();
                break;
        }
    }

    /// <summary>Of what sites have sent for one round: any set, down to two, by any active set.</summary>
    private void AskForAnotherSum()
    {
        bool isMixed = Random.Next(6) == 0;
        IGrouping<string, StoredContribution>[] rounds = [.. schedule.Rules.Sent.GroupBy(sent => $"{sent.Round.Opening}{(isMixed ? "" : sent.Model)}").Where(round => round.Count() >= 2).TakeLast(3)];
        if (rounds.Length == 0) return;
        StoredContribution[] sent = [.. rounds[Random.Next(rounds.Length)]];
        SiteRound round = sent[^1].Round;
        StoredContribution[] chosen = [.. sent];
        Random.Shuffle(chosen);
        // At times one site's two contributions, or contributions to two descriptions of the round: members have to see it.
        chosen = [.. chosen.Take(Random.Next(4) == 0 ? Random.Next(2, sent.Length + 1) : Math.Max(2, sent.Length - Random.Next(2))).OrderBy(one => Name(one), StringComparer.Ordinal)];
        Ask(round, chosen, [.. round.Certificate.Qualified]);
    }

    private void Ask(SiteRound round, StoredContribution[] chosen, int[] members)
    {
        Random.Shuffle(members);
        int[] active = [.. members.Take(Federation.Threshold - (Random.Next(10) == 0 ? 1 : 0)).Order()];
        OpeningRequest request = new(round.Opening, round.Descriptor, [.. chosen.Select(HeaderOf)], active);
        byte[] bytes = request.Encode();
        schedule.Say($"lie: {round.Opening} of {string.Join(",", chosen.Select(Name))} with {string.Join(",", active)}");
        List<byte[]> seconds = [.. chosen.Select(SecondOf)];
        foreach (int member in active)
        {
            ScheduledSite site = schedule.Sites.Single(site => site.Name == round.Certificate.Descriptor.Members[member - 1]);
            schedule.In(Random.Next(0, 8), () => site.Do(new AnswerTask(Sha256Hex.Of(bytes), bytes, seconds)));
        }
    }

    /// <summary>To any model there was, in any round near the run's, under the run's keys or invented ones.</summary>
    private void AskToContributeAgain()
    {
        StoredContribution[] sent = [.. schedule.Rules.Sent.TakeLast(12)];
        if (sent.Length == 0) return;
        SiteRound like = _invented.Count > 0 && Random.Next(2) == 0 ? _invented[^1] : sent[Random.Next(sent.Length)].Round;
        string model = Random.Next(2) == 0 ? Convert.ToHexStringLower(like.Descriptor.Model) : Model();
        if (Random.Next(3) == 0 && schedule.Sites.Count >= 6)
        {
            Split(like);
            return;
        }

        int round = Math.Max(1, (int)like.Opening.Round + Random.Next(-1, 3));
        SiteRound asked = new(new(ScheduledCoordinator.Run, like.Opening.Epoch, (ulong)round, Random.Next(4) == 0 ? Opening.Evaluation : like.Opening.Purpose), ScheduledCoordinator.Describe(model, [.. like.Descriptor.Cohort]), like.Certificate);
        schedule.Say($"lie: contribute to the {asked.Opening} from model {model[..8]}");
        _invented.Add(asked);
        foreach (ScheduledSite site in schedule.Sites.Where(_ => Random.Next(4) > 0)) schedule.In(Random.Next(0, 5), () => site.Do(new ContributeTask(asked, model)));
    }

    /// <summary>Half of the sites are shown one model, the others another, in one round.</summary>
    private void Split(SiteRound like)
    {
        string[] models = [Model(), Sha256Hex.Of(BitConverter.GetBytes(Random.Next()))];
        ulong round = like.Opening.Round + 1;
        schedule.Say($"lie: contribute to round {round} from model {models[0][..8]} or {models[1][..8]}");
        foreach (ScheduledSite site in schedule.Sites)
        {
            string model = models[site.Index % 2];
            SiteRound asked = new(new(ScheduledCoordinator.Run, like.Opening.Epoch, round, Opening.Update), ScheduledCoordinator.Describe(model, [.. Federation.Sites]), like.Certificate);
            schedule.In(Random.Next(0, 5), () => site.Do(new ContributeTask(asked, model)));
        }
    }

    /// <summary>A new epoch of its own, from a model that may have been opened under the former keys.</summary>
    private void HandOutKeys()
    {
        (EpochCertificate certificate, CommitteeShare[] shares) = Federation.Made(_epoch = 1000 + ((_epoch + 1) % 3));
        schedule.Say($"lie: keys of epoch {_epoch}");
        foreach (ScheduledSite site in schedule.Sites.Where(site => site.IsUp)) site.Keep(certificate, shares[site.Index]);
        if (schedule.Coordinator.Models.Count == 0) return;
        string model = Model();
        int newest = schedule.Rules.Sent.Select(sent => (int)sent.Round.Opening.Round).DefaultIfEmpty(1).Max();
        _invented.Add(new(new(ScheduledCoordinator.Run, certificate.Descriptor.Epoch, (ulong)(newest + Random.Next(2)), Opening.Update), ScheduledCoordinator.Describe(model, Federation.Sites), certificate));
    }

    private string Model() => schedule.Coordinator.Models[Random.Next(schedule.Coordinator.Models.Count)];

    private static string Name(StoredContribution sent) => HeaderOf(sent).Site;

    private static SignedMessage HeaderOf(StoredContribution sent) => SignedMessage.Decode(sent.File.AsSpan((int)ContributionFile.BodyBytes(sent.Round)));

    private static byte[] SecondOf(StoredContribution sent)
    {
        int half = (int)ContributionFile.BodyBytes(sent.Round) / 2;
        return sent.File[half..(2 * half)];
    }
}

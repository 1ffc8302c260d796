using Federation.Privacy.SecureAggregation;

namespace Federation.Server.Tests.SecureAggregation;

/// <summary>A contribution as a site stores it, durable before anything of it leaves.</summary>
internal sealed record StoredContribution(string Model, SiteRound Round, byte[] File);

/// <summary>What a site wrote down.</summary>
internal sealed class SiteDisk
{
    public List<(byte[] Entry, byte[]? Answer)> Record { get; init; } = [];

    public (EpochCertificate Certificate, CommitteeShare Share)? Share { get; set; }

    public List<PastContribution> Contributions { get; init; } = [];

    public Dictionary<(int Round, string Purpose), StoredContribution> Uploads { get; init; } = [];

    /// <summary>Losses found out before.</summary>
    public HashSet<string> Accepted { get; init; } = [];

    public void Remember(PastContribution past)
    {
        if (!Contributions.Contains(past)) Contributions.Add(past);
    }

    public SiteDisk Copy() => new() { Record = [.. Record], Share = Share, Contributions = [.. Contributions], Uploads = new(Uploads), Accepted = [.. Accepted] };
}

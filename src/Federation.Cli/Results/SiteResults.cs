using Federation.Cli.Terminal;

namespace Federation.Cli.Results;

internal sealed record SiteInvitation(string Site, string Token, DateTimeOffset Expires);

/// <param name="KeySha256">Of the identity that no longer counts; null: the site had not enrolled.</param>
internal sealed record RevokedSite(string Site, string? KeySha256, DateTimeOffset Revoked);

internal sealed record SiteList(IReadOnlyList<SiteEntry> Sites);

/// <summary>As far as the coordinator has seen a privacy ledger: `fed privacy verify --known count:hash` compares.</summary>
internal sealed record KnownLedger(string DataSet, string Ledger, long Count, string Hash);

/// <param name="Role">Null before the site's first join.</param>
/// <param name="LastSeen">Null: never.</param>
/// <param name="KeySha256">Of the identity's public key; null before enrolment.</param>
/// <param name="Labels">What it says of itself.</param>
internal sealed record SiteEntry(string Name, string State, string? Role, bool Connected, DateTimeOffset? LastSeen, string? KeySha256, IReadOnlyList<string> DataIds, IReadOnlyDictionary<string, string> Labels, IReadOnlyList<KnownLedger> Ledgers)
{
    public static SiteEntry Of(V1.Site site) => new(site.Name, site.State, NullIfEmpty(site.Role), site.Connected, Text.Time(site.LastSeenUnixMs), NullIfEmpty(site.KeySha256), [.. site.DataIds], site.Labels.ToDictionary(),
        [.. site.Ledgers.Select(ledger => new KnownLedger(ledger.DataSet, ledger.LedgerId, (long)ledger.Count, ledger.Hash))]);

    private static string? NullIfEmpty(string text) => text.Length == 0 ? null : text;
}

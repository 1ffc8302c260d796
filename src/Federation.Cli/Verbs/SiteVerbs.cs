using System.CommandLine;
using Federation.Cli.CommandLine;
using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Formats;
using Federation.V1;

namespace Federation.Cli.Verbs;

/// <summary><c>fed site</c>: who may take part.</summary>
internal static class SiteVerbs
{
    private static readonly Argument<string> SiteName = new("NAME") { Description = $"The site's name: {Names.Rule}." };

    public static Verb Create() => new Verb("site", "Invite sites, see them, and take their keys from them.", "fed site invite cleveland > token\nfed site list\nfed site revoke cleveland")
        .With(
            new Verb("invite", "Make a single-use token for one site, valid for 24 hours.", "fed site invite cleveland --state ./coordinator > token", "site-invite")
                .With(SiteName).With(OperatorConnection.Options).Does(InviteAsync),
            new Verb("list", "Show every site: invited, enrolled or revoked, its role, whether it is connected.", "fed site list", "site-list")
                .With(OperatorConnection.Options).Does(ListAsync),
            new Verb("revoke", "Take a site's key from it: its calls end, and the key never counts again. The name can be invited again.", "fed site revoke cleveland", "site-revoke")
                .With(SiteName).With(OperatorConnection.Options).Does(RevokeAsync));

    private static async Task<int> InviteAsync(Invocation invocation)
    {
        string name = NameOf(invocation);
        using OperatorConnection connection = OperatorConnection.Open(invocation);
        InviteSiteReply reply = await connection.Client.InviteSiteAsync(new InviteSiteRequest { Name = name }, cancellationToken: invocation.Cancellation);
        var result = new SiteInvitation(name, reply.Token, DateTimeOffset.FromUnixTimeMilliseconds(reply.ExpiresUnixMs));
        // The token alone on stdout, so that `> token` makes the file that the site needs.
        invocation.Output.Result(result, result.Token);
        if (!invocation.Output.Json) invocation.Output.Note($"Token for {name}, good once until {Text.Local(result.Expires)}. Send it on a safe way; the site runs `fed node enroll --coordinator https://HOST:8443 --token-file FILE`.");
        return ExitCode.Done;
    }

    private static async Task<int> RevokeAsync(Invocation invocation)
    {
        string name = NameOf(invocation);
        using OperatorConnection connection = OperatorConnection.Open(invocation);
        RevokeSiteReply reply = await connection.Client.RevokeSiteAsync(new RevokeSiteRequest { Name = name }, cancellationToken: invocation.Cancellation);
        var result = new RevokedSite(name, reply.KeySha256.Length == 0 ? null : reply.KeySha256, DateTimeOffset.FromUnixTimeMilliseconds(reply.RevokedUnixMs));
        invocation.Output.Result(result, $"Site '{name}' is revoked since {Text.Local(result.Revoked)}: {(result.KeySha256 is { } key ? $"its key {Text.Short(key)} never counts again" : "it had not enrolled; its invitations are void")}.", $"To let it in again with a new key: fed site invite {name}");
        return ExitCode.Done;
    }

    private static string NameOf(Invocation invocation)
    {
        string name = invocation.Get(SiteName);
        return Names.IsSiteName(name) ? name : throw new InvalidInputException(new Problem($"'{name}' is no name of a site.", Field: SiteName.Name, Repair: $"Right are {Names.Rule}."));
    }

    private static async Task<int> ListAsync(Invocation invocation)
    {
        using OperatorConnection connection = OperatorConnection.Open(invocation);
        ListSitesReply reply = await connection.Client.ListSitesAsync(new ListSitesRequest(), cancellationToken: invocation.Cancellation);
        var result = new SiteList([.. reply.Sites.Select(SiteEntry.Of)]);
        invocation.Output.Result(result, result.Sites.Count == 0
            ? ["No sites yet. `fed site invite NAME` makes a token for one."]
            : TextTable.Lines(
                ["site", "state", "role", "connected", "last seen", "data", "labels", "key", "ledgers"],
                result.Sites.Select(site => (string[])[site.Name, site.State, site.Role ?? "", site.Connected ? "yes" : "no", Text.Local(site.LastSeen), string.Join(",", site.DataIds), string.Join(",", site.Labels.OrderBy(label => label.Key, StringComparer.Ordinal).Select(label => $"{label.Key}={label.Value}")), Text.Short(site.KeySha256 ?? ""), string.Join(",", site.Ledgers.Select(ledger => $"{ledger.DataSet} {ledger.Count}:{Text.Short(ledger.Hash)}"))])));
        return ExitCode.Done;
    }
}

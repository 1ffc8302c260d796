using System.CommandLine;
using Federation.Cli.CommandLine;
using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Privacy.SecureAggregation;
using Federation.V1;
using Grpc.Core;
using Microsoft.Data.Sqlite;

namespace Federation.Cli.Verbs;

/// <summary><c>fed roster</c>: the sites and their keys, as administrators compare and pin them.</summary>
internal static class RosterVerbs
{
    // The largest roster: 100,000 names with a hash each.
    private const int MostBytes = 64 << 20;

    private static readonly Argument<string[]> Hash = new("HASH") { Description = "The roster's hash: sha256: and 64 digits, as `fed roster show` prints it.", Arity = ArgumentArity.OneOrMore };

    private static readonly Option<string?> SiteConfig = new("--config") { Description = "Show what this site pins and uses, by its node.yaml, instead of asking the coordinator.", HelpName = "node.yaml" };

    private static readonly Option<string> Config = new("--config") { Description = "The node's configuration, which is changed.", HelpName = "node.yaml", DefaultValueFactory = _ => "node.yaml" };

    public static Verb Create() => new Verb("roster", "Compare and pin the list of sites and their keys.", "fed roster show\nfed roster accept sha256:9c1f0e8d7b6a59483726150413f2e1d0c9b8a7968574635241302f1e0d9c8b7a --config node.yaml")
        .With(
            new Verb("show", "Show the coordinator's roster, its hash and the hash's words; with --config what a site pins.", "fed roster show\nfed roster show --config node.yaml", "roster-show")
                .With(SiteConfig).With(OperatorConnection.Options).Does(ShowAsync),
            new Verb("accept", "Pin a roster in this site's policy: the node takes part under no other.", "fed roster accept sha256:9c1f0e8d7b6a59483726150413f2e1d0c9b8a7968574635241302f1e0d9c8b7a --config node.yaml", "roster-accept")
                .With(Hash, Config).Does(Accept));

    private static async Task<int> ShowAsync(Invocation invocation)
    {
        if (invocation.Get(SiteConfig) is { } path) return ShowSite(invocation, path);
        using OperatorConnection connection = OperatorConnection.Open(invocation);
        var entry = RosterEntry.Of(await ReadAsync(connection.Client, invocation.Cancellation));
        invocation.Output.Result(new RosterReport("coordinator", entry, null, []), [.. Lines(entry), .. TextTable.Lines(["site", "key"], entry.Sites.Select(site => (string[])[site.Site, site.KeySha256]))]);
        if (!invocation.Output.Json) invocation.Output.Note($"Compare the words with the administrator of each site, not by way of the coordinator; who agrees runs `fed roster accept {RosterPin.Prefix}{entry.Sha256}`.");
        return ExitCode.Done;
    }

    private static int ShowSite(Invocation invocation, string path)
    {
        var configuration = NodeConfiguration.Load(path, invocation.Get(CommonOptions.State));
        PinnedRoster? pinned = configuration.Policy.RosterSha256 is { } sha256 ? new(sha256, Proquint.OfHash(sha256)) : null;
        RunRoster[] runs = [.. RostersOf(Path.Combine(configuration.State, "secagg.db")).Select(kept => new RunRoster(kept.Run, RosterEntry.Of(kept.Roster)))];
        List<string> lines = pinned is null
            ? [$"{path} pins no roster: this site takes whatever the coordinator's CA says. `fed roster accept HASH` pins one."]
            : [$"{path} pins {RosterPin.Prefix}{pinned.Sha256}", pinned.Words];
        if (runs.Length == 0) lines.Add("The state folder holds no roster now: a node keeps one only with its key share of a run that goes on.");
        foreach (RunRoster run in runs)
        {
            lines.AddRange(["", $"Run {run.Run} uses {(pinned is null ? "this roster" : run.Roster.Sha256 == pinned.Sha256 ? "the pinned roster" : "another roster than the pinned one")}:", .. Lines(run.Roster)]);
            lines.AddRange(TextTable.Lines(["site", "key"], run.Roster.Sites.Select(site => (string[])[site.Site, site.KeySha256])));
        }

        invocation.Output.Result(new RosterReport("site", null, pinned, runs), lines);
        return ExitCode.Done;
    }

    private static Task<int> Accept(Invocation invocation)
    {
        string sha256 = RosterPin.ParseHash(string.Join(' ', invocation.Get(Hash))), path = invocation.Get(Config)!, words = Proquint.OfHash(sha256);
        string? before = RosterPin.Write(path, sha256);
        var result = new AcceptedRoster(path, sha256, words, before, before != sha256);
        invocation.Output.Result(result, result.Changed
            ? [$"{path}: policy.roster is now {RosterPin.Prefix}{sha256}", $"before: {(before is null ? "none" : RosterPin.Prefix + before)}", words, "The node asks for it from its next start on."]
            : [$"{path} pins {RosterPin.Prefix}{sha256} already; nothing was changed.", words]);
        return Task.FromResult(ExitCode.Done);
    }

    private static IEnumerable<string> Lines(RosterEntry roster) =>
    [
        $"Roster {roster.Version}, {Text.Count((ulong)roster.Sites.Count, "site")}",
        $"hash      {RosterPin.Prefix}{roster.Sha256}",
        $"words     {roster.Words}",
        $"previous  {(roster.PreviousSha256 is { } previous ? RosterPin.Prefix + previous : "none")}",
        "",
    ];

    private static async Task<Roster> ReadAsync(Operator.OperatorClient client, CancellationToken cancellation)
    {
        using var bytes = new MemoryStream();
        using AsyncServerStreamingCall<Chunk> call = client.ShowRoster(new ShowRosterRequest(), cancellationToken: cancellation);
        await foreach (Chunk chunk in call.ResponseStream.ReadAllAsync(cancellation))
        {
            bytes.Write(chunk.Data.Span);
            if (bytes.Length > MostBytes) throw new IOException($"The coordinator sends a roster of more than {MostBytes} bytes.");
        }

        try
        {
            return Roster.Decode(bytes.ToArray());
        }
        catch (FormatException wrong)
        {
            throw new IOException($"What the coordinator sent is no roster: {wrong.Message}", wrong);
        }
    }

    private static IReadOnlyList<(string Run, Roster Roster)> RostersOf(string store)
    {
        try
        {
            return File.Exists(store) ? CommitteeStore.Rosters(store) : [];
        }
        catch (Exception error) when (error is SqliteException or FormatException)
        {
            throw new InvalidInputException(new Problem($"The store of key shares cannot be read: {error.Message}", store, Repair: "Name the node's state folder with --state, or stop the node and start it again."));
        }
    }
}

using Federation.Privacy.SecureAggregation;
using Federation.Server.Runs;
using Federation.Server.SecureAggregation;
using Federation.Server.Storage;
using Federation.Server.Strategies;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace Federation.Server.Tests.SecureAggregation;

/// <summary>How long members that are there and say nothing are waited for, and who is asked next.</summary>
public sealed class OpeningPatienceTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly FakeTimeProvider _time = new();
    private readonly SqliteStore _store = new(":memory:");
    private readonly RunContext _context;

    public OpeningPatienceTests() => _context = new(_store, new BlobStore(Path.Combine(_folder.Path, "blobs")), new Spool(Path.Combine(_folder.Path, "spool")), new Sessions(_store, _time), new Traffic(), new Signal(), _time, NullLogger.Instance, new StrategyBook(), new StrategyFiles(_folder.Path));

    public void Dispose()
    {
        _store.Dispose();
        _folder.Dispose();
    }

    [Fact] // three shares are left, one of them with a member that is there and says nothing
    public async Task Opening_ASilentMemberThatCannotBeReplaced_IsGivenUpAfterAWhile()
    {
        using ScheduleFederation federation = new(sites: 4, isReal: false);
        using OpeningSession session = await OpenAsync(federation, round: 1);
        session.Advance(_ => true);
        string lost = federation.Sites.First(site => session.TaskFor(site) is not null);
        session.Receive(lost, new V1.OpeningAnswer { RequestSha256 = session.TaskFor(lost)!.RequestSha256, ShareLost = true, Refusal = "gone" });
        session.Advance(_ => true);
        Assert.Equal(federation.Sites.Where(site => site != lost), federation.Sites.Where(site => session.TaskFor(site) is not null));
        _time.Advance(OpeningSession.Patience + OpeningSession.LastPatience - TimeSpan.FromSeconds(1));
        session.Advance(_ => true);
        Assert.Null(session.Hopeless(_ => true));
        _time.Advance(TimeSpan.FromSeconds(1));
        session.Advance(_ => true);
        Assert.Contains("were asked and are there", session.Hopeless(_ => true), StringComparison.Ordinal);
        Assert.Null(session.Hopeless(site => site == lost)); // they may come back
    }

    [Fact] // four of five: three sets cannot leave out every member, but five rounds do; a member that lies spoils some rounds, not all
    public async Task Opening_OfFiveRoundsInARow_LeavesOutEachMemberFirstInOneOfThem()
    {
        using ScheduleFederation federation = new(sites: 5, isReal: false);
        Assert.Equal(4, federation.Threshold);
        List<string> leftOut = [];
        for (int round = 1; round <= 5; round++)
        {
            using OpeningSession session = await OpenAsync(federation, round);
            session.Advance(_ => true);
            leftOut.Add(Assert.Single(federation.Sites, site => session.TaskFor(site) is null));
        }

        Assert.Equal(federation.Sites, leftOut.Order(StringComparer.Ordinal));
    }

    private async Task<OpeningSession> OpenAsync(ScheduleFederation federation, int round)
    {
        EpochCertificate certificate = federation.Made(1).Certificate;
        SiteRound opened = new(new("run", 1, (ulong)round, Opening.Evaluation), new(new byte[32], new byte[32], federation.Sites, 3, 0, WeightRule.One, new byte[32], null), certificate);
        List<(string, string)> files = [];
        foreach ((int i, string site) in federation.Sites.Index())
        {
            files.Add((site, Path.Combine(_folder.Path, $"{round}-{site}")));
            await using FileStream file = File.Create(files[^1].Item2);
            await ContributionFile.WriteCountsAsync(file, opened, site, federation.Identity(i), [1], TestContext.Current.CancellationToken);
        }

        return new OpeningSession(_context, "run", opened, federation.Roster, files);
    }
}

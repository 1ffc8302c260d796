using Federation.Protocol;
using Federation.V1;
using Grpc.Core;

namespace Federation.EndToEnd.Tests;

/// <summary>A coordinator whose state is in a real PostgreSQL.</summary>
public sealed class PostgresTests(PostgresCluster cluster) : IClassFixture<PostgresCluster>
{
    private static readonly string[] s_sites = ["a", "b", "c", "d"];

    [Fact] // the server dies while sites train, their updates come while it is away, it is started again: the run goes on by itself
    public async Task SecureRun_WhileTheDatabaseDiesAndComesBack_Completes()
    {
        var log = new KeptLog();
        await using RunningSites sites = await RunningSites.StartAsync(log, cluster.NewDatabase(), s_sites);
        GatedLearner gate = sites.Gate("b", heldRound: 2);
        sites.Run("b", gate);
        sites.Run(["a", "c", "d"]);
        string run = await sites.SubmitAsync(rounds: 3);
        await sites.ContributedAsync(run, "a", 2);
        await gate.Started;
        cluster.Stop();
        gate.Release();
        RpcException error = await Assert.ThrowsAsync<RpcException>(async () => await sites.Federation.Operator.ListSitesAsync(new ListSitesRequest()));
        Assert.Equal((StatusCode.Unavailable, Refusal.StorageUnavailable), (error.StatusCode, RpcError.ReasonOf(error)));
        cluster.Start();
        Assert.All(await sites.EndedAsync(), outcome => Assert.Equal(("completed", 3), (outcome.State, outcome.Rounds)));
        Assert.Single(log.Lines, line => line.Contains("does not answer", StringComparison.Ordinal));
        Assert.Single(log.Lines, line => line.Contains("answers again", StringComparison.Ordinal));
        Assert.All((await sites.Federation.ShowAsync(run)).Rounds, round => Assert.Equal("completed", round.State));
    }
}

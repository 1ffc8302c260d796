using Federation.Client;
using Federation.Formats.Configuration;
using Federation.Privacy.Ledger;
using Federation.V1;

namespace Federation.EndToEnd.Tests;

/// <summary>Committees that lose their shares or change within a run.</summary>
public sealed class SecureMembershipTests : IAsyncDisposable
{
    private static readonly string[] s_sites = ["a", "b", "c", "d"];

    private const int RoundsThatFail = Server.Runs.RunMachine.MostFailures;

    private RunningSites _sites = null!;

    private TestFederation Federation => _sites.Federation;

    public async ValueTask DisposeAsync() => await _sites.DisposeAsync();

    [Fact] // two of four shares are gone, t = 3, and the spec asks for the end
    public async Task Shares_LostUnderAbort_EndTheRunWithTheReason()
    {
        (string run, GatedLearner gate) = await StartAsync(rounds: 2, settings: "threshold: 3, onCommitteeLoss: abort");
        await LoseTwoDisksAsync(run, 1);
        gate.Release();
        RunEvent failed = await Federation.WaitForAsync(run, "failed");
        Assert.Contains("Round 1 cannot be opened: 2 members hold shares of epoch 1; 3 are needed (a, b lost theirs)", failed.Message, StringComparison.Ordinal);
        Assert.All(await _sites.EndedAsync(), outcome => Assert.Equal(("failed", 0), (outcome.State, outcome.Rounds)));
    }

    [Fact] // the weights stay and the hash changes, twice: no member is ever asked for two sets of one model
    public async Task Shares_LostTwiceInARow_KeepTheWeightsUnderThreeHashes()
    {
        GatedLearner? inner = null;
        (string run, GatedLearner gate) = await StartAsync(rounds: 1, wrap: sites => inner = sites.Gate("d", heldRound: 2));
        await LoseTwoDisksAsync(run, 1);
        gate.Release();
        await Federation.WaitForAsync(run, "round-abandoned", happened => happened.Round == 1);
        await LoseTwoDisksAsync(run, 2);
        inner!.Release();
        RunEvent lost = await Federation.WaitForAsync(run, "round-abandoned", happened => happened.Round == 2);
        Assert.Contains("of epoch 2; 3 are needed (a, b lost theirs)", lost.Message, StringComparison.Ordinal);
        Assert.All(await _sites.EndedAsync(), outcome => Assert.Equal(("completed", 1), (outcome.State, outcome.Rounds)));
        ListModelsReply models = await Federation.Operator.ListModelsAsync(new ListModelsRequest { RunId = run });
        Assert.Equal([0u, 1u, 2u, 3u], models.Models.Select(model => model.Round));
        Assert.Equal(4, models.Models.Select(model => model.Sha256).Distinct().Count());
        Assert.All(_sites.Model(run), value => Assert.Equal(RunningSites.MeanOf(s_sites), value, 1e-3f));
    }

    [Fact] // keys of five before the next round; the open round goes on with those of four
    public async Task Site_EnrolledInARun_HoldsAShareFromTheNextRoundOn()
    {
        (string run, GatedLearner gate) = await StartAsync(rounds: 2, settings: "");
        await Federation.EnrollAsync("e");
        _sites.Run("e");
        await Federation.WaitForAsync(run, "site-ready", happened => happened.Site == "e");
        gate.Release();
        RunEvent keys = await Federation.WaitForAsync(run, "keys-made", happened => happened.Round == 1);
        Assert.Contains("Key epoch 2: 5 members hold shares, any 4 open a sum", keys.Message, StringComparison.Ordinal);
        Assert.All(await _sites.EndedAsync(), outcome => Assert.Equal(("completed", 2), (outcome.State, outcome.Rounds)));
        Assert.Equal([s_sites, [.. s_sites, "e"]], (await Federation.ShowAsync(run)).Rounds.Select(round => round.Contributors.ToArray()));
        Assert.All(_sites.Model(run), value => Assert.Equal(RunningSites.MeanOf(s_sites) + RunningSites.MeanOf([.. s_sites, "e"]), value, 2e-3f));
    }

    [Fact] // what it gave to the open round counts, and the others open it; the next round has keys in which it has no part
    public async Task Site_RevokedInARun_ItsNodeEndsAndTheOthersGoOnWithNewKeys()
    {
        _sites = await RunningSites.StartAsync([.. s_sites, "e"]);
        GatedLearner gate = _sites.Gate("d", heldRound: 1);
        _sites.Run(s_sites[..3]);
        _sites.Run("d", gate);
        Task<NodeOutcome> revoked = Federation.RunNodeAsync("e", new SteppingLearner(RunningSites.Steps["e"]));
        string run = await _sites.SubmitAsync(rounds: 2, settings: "");
        await gate.Started;
        foreach (string site in (string[])["a", "b", "c", "e"]) await _sites.ContributedAsync(run, site, 1);

        await Federation.Operator.RevokeSiteAsync(new RevokeSiteRequest { Name = "e" });
        var error = await Assert.ThrowsAsync<Formats.InvalidInputException>(() => revoked);
        Assert.Contains("'e' was revoked by the operator", Assert.Single(error.Problems).Message, StringComparison.Ordinal);
        gate.Release();
        RunEvent keys = await Federation.WaitForAsync(run, "keys-made", happened => happened.Round == 1);
        Assert.Contains("Key epoch 2: 4 members hold shares", keys.Message, StringComparison.Ordinal);
        Assert.All(await _sites.EndedAsync(), outcome => Assert.Equal(("completed", 2), (outcome.State, outcome.Rounds)));
        Assert.Equal([[.. s_sites, "e"], s_sites], (await Federation.ShowAsync(run)).Rounds.Select(round => round.Contributors.ToArray()));
        Assert.All(_sites.Model(run), value => Assert.Equal(RunningSites.MeanOf([.. s_sites, "e"]) + RunningSites.MeanOf(s_sites), value, 2e-3f));
    }

    [Fact] // away while the keys are made: it holds no share, and says what its updates rest on all the same
    public async Task Site_OutsideTheCommittee_LogsWhichRowOfTheTableHolds()
    {
        _sites = await RunningSites.StartAsync([.. s_sites, "e"]);
        GatedLearner gate = _sites.Gate("d", heldRound: 1);
        _sites.Run(s_sites[..3]);
        _sites.Run("d", gate);
        string run = await _sites.SubmitAsync(rounds: 2, settings: "threshold: 4", deadline: "5s");
        await gate.Started; // the sites that had not answered were waited for until the deadline
        using KeptLog log = new();
        _sites.Run("e", log: log, policy: new NodePolicy(RosterSha256: await Federation.RosterHashAsync()));
        await Federation.WaitForAsync(run, "site-ready", happened => happened.Site == "e");
        gate.Release();
        await _sites.EndedAsync();
        Assert.Contains("e", (await Federation.ShowAsync(run)).Rounds[1].Contributors);
        Assert.Single(log.Lines, line => line.Contains("this site contributes and holds no share; any 4 of 4 members open a sum. Roster 1 of 5 sites", StringComparison.Ordinal) && line.Contains("The roster is pinned", StringComparison.Ordinal));
    }

    [Fact] // the others open the round, and the next one has keys of which it holds a share again
    public async Task Member_ThatLostItsShare_HasOneFromTheNextRoundOn()
    {
        (string run, GatedLearner gate) = await StartAsync(rounds: 3);
        await _sites.ContributedAsync(run, "a", 1);
        await _sites.LoseDiskAsync("a");
        gate.Release();
        Assert.Contains("New keys are made before the next round.", (await Federation.WaitForAsync(run, "refused")).Message, StringComparison.Ordinal);
        Assert.Contains("Key epoch 2: 4 members hold shares", (await Federation.WaitForAsync(run, "keys-made", happened => happened.Round == 1)).Message, StringComparison.Ordinal);
        Assert.All(await _sites.EndedAsync(), outcome => Assert.Equal(("completed", 3), (outcome.State, outcome.Rounds)));
        RunDetails details = await Federation.ShowAsync(run);
        Assert.Equal(2u, details.SecureAggregation.Epoch);
        Assert.Equal([s_sites, s_sites, s_sites], details.Rounds.Select(round => round.Contributors.ToArray()));
    }

    [Fact] // people have not compared the new roster yet: the run goes on as before, without the site that is new, until somebody asks for new keys
    public async Task Site_EnrolledInARunOfPinnedSites_WaitsOutsideUntilItIsAccepted()
    {
        _sites = await RunningSites.StartAsync(s_sites);
        string roster = await Federation.RosterHashAsync();
        GatedLearner gate = _sites.Gate("d", heldRound: 1);
        foreach (string site in s_sites) _sites.Run(site, site == "d" ? gate : null, policy: new NodePolicy(RosterSha256: roster));
        string run = await _sites.SubmitAsync(rounds: 3, extra: "evaluate: { every: 1 }");
        await gate.Started;
        await Federation.EnrollAsync("e");
        _sites.Run("e");
        await Federation.WaitForAsync(run, "site-ready", happened => happened.Site == "e");
        gate.Release();
        Assert.Contains("not accepted the new roster: the run goes on with the keys of epoch 1", (await Federation.WaitForAsync(run, "keys-failed")).Message, StringComparison.Ordinal);
        await Federation.WaitForAsync(run, "completed");
        RunDetails details = await Federation.ShowAsync(run);
        Assert.Equal([s_sites, s_sites, s_sites], details.Rounds.Select(round => round.Contributors.ToArray()));
        RunEvent evaluated = await Federation.WaitForAsync(run, "evaluated", happened => happened.Round == 3);
        Assert.Equal(4ul, evaluated.Metrics.Examples);
        Assert.All(details.Rounds, round => Assert.Equal(1ul, round.Opening.Epoch));
    }

    [Fact] // as the manual says it, while the run goes on: who has accepted sits out and fails nothing, and with the last one all train, the new site too
    public async Task Roster_AcceptedBySitesOneAfterTheOther_IsTheRunsAtTheEnd()
    {
        _sites = await RunningSites.StartAsync(s_sites);
        var first = new NodePolicy(RosterSha256: await Federation.RosterHashAsync());
        GatedLearner gate = _sites.Gate("d", heldRound: 1);
        foreach (string site in s_sites) _sites.Run(site, site == "d" ? gate : null, policy: first);
        string run = await _sites.SubmitAsync(rounds: 1000, settings: ""); // three of four open a sum, then four of five
        await gate.Started;
        await Federation.EnrollAsync("e");
        _sites.Run("e");
        await Federation.WaitForAsync(run, "site-ready", happened => happened.Site == "e");
        var second = new NodePolicy(RosterSha256: await Federation.RosterHashAsync());
        gate.Release();
        await Federation.WaitForAsync(run, "keys-failed");
        foreach (string site in s_sites)
        {
            await _sites.StopAsync(site);
            _sites.Run(site, policy: second);
            if (site != "a") continue;
            RunEvent refused = await Federation.WaitForAsync(run, "site-failed");
            Assert.Equal("a", refused.Site);
            Assert.Contains($"made for roster version 1 (4 sites, {first.RosterSha256}); this site's policy pins {second.RosterSha256}", refused.Message, StringComparison.Ordinal);
            await Federation.WaitForAsync(run, "round-closed", happened => happened.Round > refused.Round + RoundsThatFail && happened.Message.Contains("with 3 updates.", StringComparison.Ordinal));
        }

        Assert.Contains("5 members hold shares", (await Federation.WaitForAsync(run, "keys-made", happened => happened.Round > 0)).Message, StringComparison.Ordinal);
        await Federation.WaitForAsync(run, "round-closed", happened => happened.Message.Contains("with 5 updates.", StringComparison.Ordinal));
        Assert.All((await Federation.ShowAsync(run)).Sites, site => Assert.Equal("ready", site.State));
        await Federation.Operator.CancelRunAsync(new CancelRunRequest { RunId = run });
        await _sites.EndedAsync();
    }

    [Fact] // its policy may have changed because of what it found out: nothing is opened under the roster that it has left
    public async Task Member_ThatPinsAnotherRosterInARound_OpensNothingOfTheOldOne()
    {
        (string run, GatedLearner gate) = await StartAsync(rounds: 1);
        await _sites.ContributedAsync(run, "a", 1);
        await _sites.StopAsync("a");
        var another = new NodePolicy(RosterSha256: new string('7', 64));
        _sites.Run("a", policy: another);
        await _sites.ContributedAsync(run, "c", 1);
        gate.Release();
        RunEvent refused = await Federation.WaitForAsync(run, "refused");
        Assert.Equal("a", refused.Site);
        Assert.Contains("opened by b, c, d: the sum of 4 updates", (await Federation.WaitForAsync(run, "opened")).Message, StringComparison.Ordinal);
        await _sites.EndedAsync();
        Assert.Contains(AuditVerification.Of(new NodeFolder(Federation.NodeState("a")).Audit).Entries, entry => entry.Kind == "opening-refused" && entry.Run == run && entry.What.Contains($"this site's policy pins {another.RosterSha256}", StringComparison.Ordinal));
    }

    [Fact] // what it sent under its old key counts; the share went with the old key, and the next round has new ones
    public async Task Site_WithANewIdentityKey_IsReplacedInTheOpeningAndInTheNextKeys()
    {
        (string run, GatedLearner gate) = await StartAsync(rounds: 2);
        await _sites.ContributedAsync(run, "a", 1);
        await _sites.StopAsync("a");
        var folder = new NodeFolder(Federation.NodeState("a"));
        File.Delete(folder.Key);
        File.Delete(folder.Certificate);
        await Federation.EnrollAsync("a");
        _sites.Run("a");
        await _sites.ContributedAsync(run, "b", 1);
        gate.Release();
        RunEvent opened = await Federation.WaitForAsync(run, "opened");
        Assert.Contains("opened by b, c, d: the sum of 4 updates", opened.Message, StringComparison.Ordinal);
        Assert.Contains("Key epoch 2: 4 members", (await Federation.WaitForAsync(run, "keys-made", happened => happened.Round == 1)).Message, StringComparison.Ordinal);
        Assert.All(await _sites.EndedAsync(), outcome => Assert.Equal(("completed", 2), (outcome.State, outcome.Rounds)));
        Assert.Equal([s_sites, s_sites], (await Federation.ShowAsync(run)).Rounds.Select(round => round.Contributors.ToArray()));
    }

    [Fact] // its record is lost, new keys give it a share again, and then it is put back to before its newest answer: found out again
    public async Task Member_RestoredASecondTime_ErasesItsNewShareToo()
    {
        GatedLearner? inner = null;
        (string run, GatedLearner gate) = await StartAsync(rounds: 5, held: 3, wrap: sites => inner = sites.Gate("d", heldRound: 5));
        await _sites.ContributedAsync(run, "a", 3); // three answers: the test's, round 1's and round 2's
        await _sites.LoseDiskAsync("a");
        await Federation.Operator.RotateKeysAsync(new RotateKeysRequest { RunId = run });
        gate.Release();
        Assert.Contains("opened by b, c, d", (await Federation.WaitForAsync(run, "opened", happened => happened.Round == 3)).Message, StringComparison.Ordinal);
        await Federation.WaitForAsync(run, "keys-made", happened => happened.Round == 3);
        Assert.Contains("opened by a, b, d", (await Federation.WaitForAsync(run, "opened", happened => happened.Round == 4)).Message, StringComparison.Ordinal);
        await _sites.ContributedAsync(run, "a", 5);
        await _sites.StopAsync("a");
        Forget("a", answers: 1); // as in a copy from before round 4
        _sites.Run("a");
        await Federation.RestartCoordinatorAsync(); // every node joins once more
        inner!.Release();
        Assert.Contains("opened by b, c, d", (await Federation.WaitForAsync(run, "opened", happened => happened.Round == 5)).Message, StringComparison.Ordinal);
        Assert.All(await _sites.EndedAsync(), outcome => Assert.Equal("completed", outcome.State));
    }

    [Fact] // a coordinator puts a site of its own beside four that have compared their roster: no key is made, nothing is trained, and each of them keeps what was tried
    public async Task Site_InventedUnderAPinnedRoster_IsRefusedByEveryPinnedNode()
    {
        _sites = await RunningSites.StartAsync(s_sites);
        var pinned = new NodePolicy(RosterSha256: await Federation.RosterHashAsync());
        await Federation.EnrollAsync("invented");
        foreach (string site in s_sites) _sites.Run(site, policy: pinned);
        _sites.Run("invented", new SteppingLearner(0));
        string run = await _sites.SubmitAsync(rounds: 1, settings: "");
        await Federation.WaitForAsync(run, "keys-failed", happened => happened.Message.Contains("this site's policy pins", StringComparison.Ordinal));
        await Federation.Operator.CancelRunAsync(new CancelRunRequest { RunId = run });
        await _sites.EndedAsync();
        string invented = await Federation.RosterHashAsync();
        foreach (string site in s_sites)
        {
            AuditVerification audit = AuditVerification.Of(new NodeFolder(Federation.NodeState(site)).Audit);
            Assert.Empty(audit.Problems);
            Assert.Contains(audit.Entries, entry => entry.Kind == "key-epoch-refused" && entry.Run == run && entry.What.Contains($"5 sites) has the hash {invented}; this site's policy pins {pinned.RosterSha256}", StringComparison.Ordinal));
        }

        Assert.Empty((await Federation.ShowAsync(run)).Rounds);
    }

    /// <summary>The run's round is open, d is held in it.</summary>
    /// <param name="wrap">What d does when it is let go.</param>
    private async Task<(string Run, GatedLearner Gate)> StartAsync(int rounds, string settings = "threshold: 3", int held = 1, Func<RunningSites, GatedLearner>? wrap = null)
    {
        _sites = await RunningSites.StartAsync(s_sites);
        GatedLearner gate = _sites.Gate("d", held, wrap?.Invoke(_sites));
        _sites.Run(s_sites[..3]);
        _sites.Run("d", gate);
        string run = await _sites.SubmitAsync(rounds, settings: settings);
        await gate.Started;
        return (run, gate);
    }

    private async Task LoseTwoDisksAsync(string run, int round)
    {
        foreach (string site in new[] { "a", "b" })
        {
            await _sites.ContributedAsync(run, site, round);
            await _sites.LoseDiskAsync(site);
        }
    }

    /// <summary>Puts a member's record back by its newest answers.</summary>
    private void Forget(string site, int answers)
    {
        using var connection = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={_sites.StoreOf(site)};Pooling=False");
        connection.Open();
        using Microsoft.Data.Sqlite.SqliteCommand command = connection.CreateCommand();
        command.CommandText = $"DELETE FROM answers WHERE number > (SELECT MAX(number) FROM answers) - {answers}";
        Assert.Equal(answers, command.ExecuteNonQuery());
    }
}

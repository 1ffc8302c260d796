using Federation.Formats.Configuration;
using Federation.Server.Backup;

namespace Federation.EndToEnd.Tests;

/// <summary>A coordinator whose machine is lost, and that goes on from its backup.</summary>
public sealed class BackupTests
{
    private const string Passphrase = "a long enough one";

    [Fact] // taken while a round under secure aggregation is open; real nodes find the coordinator again and finish the run
    public async Task SecureRun_RestoredFromABackupInItsMiddle_Completes()
    {
        await using RunningSites sites = await RunningSites.StartAsync("a", "b", "c", "d");
        GatedLearner gate = sites.Gate("b", heldRound: 2);
        sites.Run("b", gate);
        sites.Run(["a", "c", "d"]);
        string run = await sites.SubmitAsync(rounds: 3);
        foreach (string site in new[] { "a", "c", "d" }) await sites.ContributedAsync(run, site, 2);
        await gate.Started;
        string state = sites.Federation.State, archive = Path.Combine(sites.Federation.Folder, "fed.tar");
        await using (var file = new FileStream(archive, FileMode.CreateNew, FileAccess.ReadWrite)) CoordinatorBackup.Write(new ServerConfiguration { State = state }, file, Passphrase, TimeProvider.System);
        await sites.Federation.RestartCoordinatorAsync(() =>
        {
            Directory.Move(state, state + ".lost");
            CoordinatorRestore.Restore(archive, new ServerConfiguration { State = state }, () => Passphrase, TimeProvider.System);
        });
        gate.Release();
        Assert.All(await sites.EndedAsync(), outcome => Assert.Equal(("completed", 3), (outcome.State, outcome.Rounds)));
        Assert.All((await sites.Federation.ShowAsync(run)).Rounds, round => Assert.Equal("completed", round.State));
    }

    [Fact] // what was opened after the backup is not opened again: the sites know it
    public async Task SecureRun_RestoredFromABackupOfAnEarlierRound_EndsWithoutASecondSum()
    {
        await using RunningSites sites = await RunningSites.StartAsync("a", "b", "c", "d");
        GatedLearner early = sites.Gate("b", heldRound: 1), late = sites.Gate("c", heldRound: 3);
        sites.Run("b", early);
        sites.Run("c", late);
        sites.Run(["a", "d"]);
        string run = await sites.SubmitAsync(rounds: 4, deadline: "5s");
        await early.Started;
        string state = sites.Federation.State, archive = Path.Combine(sites.Federation.Folder, "fed.tar");
        await using (var file = new FileStream(archive, FileMode.CreateNew, FileAccess.ReadWrite)) CoordinatorBackup.Write(new ServerConfiguration { State = state }, file, Passphrase, TimeProvider.System);
        early.Release();
        await late.Started; // two sums were opened meanwhile
        await sites.Federation.RestartCoordinatorAsync(() =>
        {
            Directory.Move(state, state + ".lost");
            CoordinatorRestore.Restore(archive, new ServerConfiguration { State = state }, () => Passphrase, TimeProvider.System);
        });
        late.Release();
        Assert.All(await sites.EndedAsync(), outcome => Assert.NotEqual("completed", outcome.State));
        Assert.DoesNotContain((await sites.Federation.ShowAsync(run)).Rounds, round => round.State == "completed");
    }
}

using Federation.Client;
using Federation.Server.Identity;
using Federation.V1;

namespace Federation.EndToEnd.Tests;

/// <summary>An encrypted contribution whose site is cut off or killed while it is sent. One of a million values has 3 MB; the messages that make the keys have less than one.</summary>
public sealed class SecureUploadFaultTests : IAsyncDisposable
{
    private const int Values = 1_000_000, Cut = 2_500_000;

    private static readonly string[] s_sites = ["a", "b", "c", "d"];

    private RunningSites _sites = null!;
    private CuttingProxy _proxy = null!;

    public async ValueTask DisposeAsync()
    {
        await _sites.DisposeAsync();
        _proxy.Dispose();
    }

    [Fact] // most of its bytes are at the coordinator when the round closes: none of them is in the sum
    public async Task Contributor_CutOffInItsUpload_IsNotInTheSum()
    {
        await StartAsync();
        _sites.Run("a");
        string run = await _sites.SubmitAsync(rounds: 1, deadline: "4s", values: Values);
        await CutAsync();
        Assert.InRange(new FileInfo(SpooledOf(run)).Length, 1, 2_900_000); // some arrived, not all
        RunEvent opened = await _sites.Federation.WaitForAsync(run, "opened");
        Assert.Contains("the sum of 3 updates", opened.Message, StringComparison.Ordinal);
        await _sites.StopAsync("d"); // it would try for ever
        await _sites.EndedAsync();
        RoundSummary round = (await _sites.Federation.ShowAsync(run)).Rounds[^1];
        Assert.Equal(["a", "b", "c"], round.Contributors);
        Assert.Contains("d", round.Cohort);
        Assert.All(_sites.Model(run), value => Assert.Equal(RunningSites.MeanOf("a", "b", "c"), value, 1e-3f));
    }

    [Theory] // what was stored before the first byte left is sent again; where its record is lost everything is drawn anew, the pad too
    [InlineData(false)]
    [InlineData(true)]
    public async Task Contributor_KilledInItsUpload_SendsTheStoredBytesOrDrawsAnew(bool isRecordLost)
    {
        CountingLearner counted = await StartAsync();
        GatedLearner gate = _sites.Gate("a", heldRound: 1); // the round stays open
        _sites.Run("a", gate);
        string run = await _sites.SubmitAsync(rounds: 1, values: Values);
        await CutAsync();
        await _sites.StopAsync("d");
        string stored = Path.Combine(new NodeFolder(_sites.Federation.NodeState("d")).Updates(run), "1.contribution");
        byte[] before = await File.ReadAllBytesAsync(stored, TestContext.Current.CancellationToken);
        if (isRecordLost) File.Delete(stored + ".json");
        _sites.Run("d", counted);
        await _sites.ContributedAsync(run, "d", 1);
        byte[] taken = await File.ReadAllBytesAsync(SpooledOf(run), TestContext.Current.CancellationToken);
        Assert.Equal(isRecordLost ? 2 : 1, counted.Trained);
        Assert.Equal(await File.ReadAllBytesAsync(stored, TestContext.Current.CancellationToken), taken);
        Assert.Equal(!isRecordLost, taken.AsSpan().SequenceEqual(before));
        int blocks = before.Length / 2; // far behind the key ciphertext
        Assert.Equal(!isRecordLost, taken.AsSpan(blocks, 1000).SequenceEqual(before.AsSpan(blocks, 1000)));
        gate.Release();
        await _sites.EndedAsync();
        Assert.All(_sites.Model(run), value => Assert.Equal(RunningSites.MeanOf(s_sites), value, 1e-3f));
    }

    private string SpooledOf(string run) => Path.Combine(new CoordinatorFolder(_sites.Federation.State).Spool, run, "1", "d");

    /// <summary>b and c run, and d behind a proxy that cuts its line.</summary>
    private async Task<CountingLearner> StartAsync()
    {
        _sites = await RunningSites.StartAsync(s_sites);
        _proxy = new CuttingProxy(_sites.Federation.Coordinator.NodesAddress, Cut, passLater: false);
        CountingLearner counted = new(new SteppingLearner(RunningSites.Steps["d"]));
        _sites.Run(["b", "c"]);
        _sites.Run("d", counted, _proxy.Address);
        return counted;
    }

    private async Task CutAsync()
    {
        while (_proxy.Sent.Count < 2) await Task.Delay(5, TestContext.Current.CancellationToken); // it has dialled again
        Assert.InRange(_proxy.Sent[0], Cut, Cut + 100_000);
    }
}

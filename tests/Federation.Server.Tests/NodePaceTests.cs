using Microsoft.Extensions.Time.Testing;

namespace Federation.Server.Tests;

public sealed class NodePaceTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public async Task Wait_PiecesOfOneNode_FollowAtItsRateAndOthersAreNotHeldUp()
    {
        var pace = new NodePace(1000, _time);
        await pace.WaitAsync("a", 500, CancellationToken.None);
        Task second = pace.WaitAsync("a", 500, CancellationToken.None), third = pace.WaitAsync("a", 1, CancellationToken.None);
        Assert.True(pace.WaitAsync("b", 500, CancellationToken.None).IsCompletedSuccessfully);
        _time.Advance(TimeSpan.FromMilliseconds(499));
        Assert.False(second.IsCompleted);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        await second;
        Assert.False(third.IsCompleted);
        _time.Advance(TimeSpan.FromMilliseconds(500));
        await third;
        _time.Advance(TimeSpan.FromHours(1));
        Assert.True(pace.WaitAsync("a", 500, CancellationToken.None).IsCompletedSuccessfully); // what was not used is not saved up,
        Assert.False(pace.WaitAsync("a", 500, CancellationToken.None).IsCompleted); // so this one waits
    }

    [Fact]
    public void Wait_NoLimit_NeverWaits()
    {
        var pace = new NodePace(null, _time);
        for (int i = 0; i < 10; i++) Assert.True(pace.WaitAsync("a", int.MaxValue, CancellationToken.None).IsCompletedSuccessfully);
    }

    [Fact]
    public async Task Wait_ClockPutBack_HoldsNobodyUpForLong()
    {
        var pace = new NodePace(1000, _time);
        await pace.WaitAsync("a", 500, CancellationToken.None);
        _time.AdjustTime(_time.GetUtcNow() - TimeSpan.FromHours(2));
        Task second = pace.WaitAsync("a", 500, CancellationToken.None);
        Assert.False(second.IsCompleted);
        _time.Advance(TimeSpan.FromMilliseconds(500));
        await second;
    }

    [Fact]
    public async Task Wait_Cancelled_Ends()
    {
        var pace = new NodePace(1, _time);
        using var cancel = new CancellationTokenSource();
        await pace.WaitAsync("a", 100, cancel.Token);
        Task waiting = pace.WaitAsync("a", 1, cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
    }
}

using Federation.Privacy.SecureAggregation;

namespace Federation.Privacy.Tests.SecureAggregation;

public sealed class BlockPipelineTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    public async Task RunAsync_AnyThreads_HandsOnAllBlocksInOrder(int threads)
    {
        List<byte> all = [];
        await BlockPipeline.RunAsync(1000, 3, threads, () => new MemoryStream(), (_, first, count, buffer) =>
        {
            for (int i = 0; i < count; i++) buffer.Slice(3 * i, 3).Fill((byte)((first + i) % 251));
        }, (_, bytes, _) =>
        {
            all.AddRange(bytes.Span);
            return ValueTask.CompletedTask;
        }, TestContext.Current.CancellationToken);
        Assert.Equal([.. Enumerable.Range(0, 3000).Select(i => (byte)(i / 3 % 251))], all);
    }

    [Fact] // while the first chunk is being handed on, the next one is worked on
    public async Task RunAsync_AConsumerThatWaits_IsOvertakenByTheNextChunk()
    {
        TaskCompletionSource second = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await BlockPipeline.RunAsync(128, 3, 1, () => new MemoryStream(), (_, first, _, _) =>
        {
            if (first > 0) second.TrySetResult();
        }, async (_, _, cancelled) => await second.Task.WaitAsync(cancelled), TestContext.Current.CancellationToken);
    }

    [Theory]
    [InlineData(0, 1, "blockBytes")]
    [InlineData(-1, 1, "blockBytes")]
    [InlineData(100_000_000, 1, "blockBytes")]
    [InlineData(10, 0, "threads")]
    [InlineData(10, int.MaxValue, "threads")]
    public async Task RunAsync_BadArguments_AreNamed(int blockBytes, int threads, string name) =>
        Assert.Equal(name, (await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => BlockPipeline.RunAsync(3, blockBytes, threads, () => new MemoryStream(), (_, _, _, _) => { }, (_, _, _) => ValueTask.CompletedTask, TestContext.Current.CancellationToken))).ParamName);

    [Fact]
    public async Task RunAsync_AFailingBlock_EndsTheRunWithItsError() =>
        await Assert.ThrowsAsync<FormatException>(() => BlockPipeline.RunAsync(1000, 3, 2, () => new MemoryStream(), (_, first, _, _) =>
        {
            if (first >= 192) throw new FormatException("bad block");
        }, (_, _, _) => ValueTask.CompletedTask, TestContext.Current.CancellationToken));
}

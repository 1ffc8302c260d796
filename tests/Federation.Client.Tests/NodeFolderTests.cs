using Federation.Formats;
using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Learning;

namespace Federation.Client.Tests;

/// <summary>What a node keeps on disk.</summary>
public sealed class NodeFolderTests
{
    [Theory]
    [InlineData("../x")]
    [InlineData("a/b")]
    [InlineData("")]
    [InlineData("UPPER")]
    public void Run_NameFromTheNetwork_NeverLeavesTheFolder(string name)
    {
        using var folder = new TemporaryFolder();
        var node = new NodeFolder(folder.Path);
        Assert.Throws<InvalidDataException>(() => node.Run(name));
        Assert.Throws<InvalidDataException>(() => node.Updates(name));
    }

    [Fact]
    public void TakeLock_Twice_SaysWhoHasIt()
    {
        using var folder = new TemporaryFolder();
        using FileStream first = new NodeFolder(folder.Path).TakeLock();
        Assert.Contains("another node", Assert.Throws<InvalidInputException>(() => new NodeFolder(folder.Path).TakeLock()).Message);
    }

    [Fact]
    public void Find_StoredUpdate_OnlyForItsRoundAndModel()
    {
        using var folder = new TemporaryFolder();
        var node = new NodeFolder(folder.Path);
        var result = new TrainingResult(new ModelState([new NamedTensor("w", [1], [1.5f])]), 7, 0.5);
        StoredUpdate stored = StoredUpdate.Save(node, StoredUpdate.PathOf(node, "run", 3), "model-a", result, 5);
        Assert.Equal(stored, StoredUpdate.Find(StoredUpdate.PathOf(node, "run", 3), "model-a"));
        Assert.Equal((result.WeightedDelta.Sha256, 7ul), (stored.Sha256, stored.Weight));
        Assert.Null(StoredUpdate.Find(StoredUpdate.PathOf(node, "run", 3), "model-b"));
        Assert.Null(StoredUpdate.Find(StoredUpdate.PathOf(node, "run", 4), "model-a"));

        // A crash between the update and its record leaves nothing that counts
        File.Delete(StoredUpdate.PathOf(node, "run", 3) + ".json");
        Assert.Null(StoredUpdate.Find(StoredUpdate.PathOf(node, "run", 3), "model-a"));
    }

    [Fact]
    public void DropBefore_LaterRound_RemovesOnlyEarlierOnes()
    {
        using var folder = new TemporaryFolder();
        var node = new NodeFolder(folder.Path);
        var result = new TrainingResult(new ModelState([new NamedTensor("w", [1], [1.5f])]), 7, 0.5);
        foreach (int round in new[] { 1, 2, 10 }) StoredUpdate.Save(node, StoredUpdate.PathOf(node, "run", round), "m", result, 5);
        StoredUpdate.DropBefore(node, "run", 10);
        Assert.Equal(["10.safetensors", "10.safetensors.json"], Directory.EnumerateFiles(node.Updates("run")).Select(path => Path.GetFileName(path)).Order());
    }

    [Fact]
    public void Read_LineCutByACrash_IsLeftOut()
    {
        using var folder = new TemporaryFolder();
        string run = new NodeFolder(folder.Path).Run("run");
        LocalMetrics.Append(run, 0, "m", new Metrics(10, 0.5, null, 0.7, 0.25));
        File.AppendAllText(Path.Combine(run, "metrics.jsonl"), "{\"round\":1,\"modelSh");
        Assert.Equal(0, Assert.Single(LocalMetrics.Read(run)).Round);
        Assert.False(LocalMetrics.Has(run, 1));
        LocalMetrics.Append(run, 1, "m", new Metrics(10, 0.5, null, 0.7, 0.25));
        Assert.Equal([0, 1], LocalMetrics.Read(run).Select(line => line.Round));
    }

    [Fact]
    public void Next_ManyFailures_GrowsToFiveSeconds()
    {
        var backoff = new Backoff();
        TimeSpan[] pauses = [.. Enumerable.Range(0, 12).Select(_ => backoff.Next())];
        Assert.All(pauses, pause => Assert.InRange(pause, TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(5)));
        Assert.True(pauses[^1] >= TimeSpan.FromSeconds(2.5));
        backoff.Reset();
        Assert.InRange(backoff.Next(), TimeSpan.FromMilliseconds(100), TimeSpan.FromMilliseconds(200));
    }
}

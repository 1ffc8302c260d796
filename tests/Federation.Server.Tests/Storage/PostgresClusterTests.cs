namespace Federation.Server.Tests.Storage;

public sealed class PostgresClusterTests
{
    [Fact] // of a killed test run no server is left, and no folder
    public async Task Cluster_WhoseProcessIsKilled_EndsByItself()
    {
        using var cluster = new PostgresCluster();
        cluster.NewDatabase();
        string folder = cluster.Folder, server = File.ReadLines(Path.Combine(folder, "data", "postmaster.pid")).First();
        Assert.True(Directory.Exists($"/proc/{server}") || !OperatingSystem.IsLinux());
        cluster.Abandon();
        Assert.False(Directory.Exists(folder));
        await Condition.HoldsAsync(() => !Directory.Exists($"/proc/{server}")); // it takes its lock away before it ends
    }

    [Fact]
    public void Cluster_StoppedAndStarted_HasWhatItHad()
    {
        using var cluster = new PostgresCluster();
        cluster.NewDatabase();
        cluster.Query("fed1", "CREATE TABLE kept(x INT)");
        cluster.Stop();
        cluster.Start();
        Assert.Equal("0", cluster.Query("fed1", "SELECT count(*) FROM kept"));
    }
}

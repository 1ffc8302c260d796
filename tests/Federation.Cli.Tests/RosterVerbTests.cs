namespace Federation.Cli.Tests;

public sealed class RosterVerbTests : IDisposable
{
    private const string Node = "coordinator: https://host:8443 # ours\nstate: state\n";
    private static readonly string s_hash = new('a', 64);
    private readonly Workspace _workspace = new();

    public void Dispose() => _workspace.Dispose();

    [Fact]
    public async Task RosterAccept_Hash_PinsItAndShowShowsIt()
    {
        _workspace.Write("node.yaml", Node);

        FedResult accepted = await Fed.RunAsync(_workspace.Folder, ["roster", "accept", $"sha256:{s_hash}", "--json"]);
        FedResult again = await Fed.RunAsync(_workspace.Folder, ["roster", "accept", s_hash, "--config", "node.yaml"]);
        FedResult shown = await Fed.RunAsync(_workspace.Folder, ["roster", "show", "--config", "node.yaml", "--json"]), text = await Fed.RunAsync(_workspace.Folder, ["roster", "show", "--config", "node.yaml"]);

        Assert.Equal((0, ""), (accepted.ExitCode, accepted.Error));
        await OutputSchema.AssertValidAsync("roster-accept", accepted.Output);
        Assert.True(accepted.Json.GetProperty("changed").GetBoolean());
        Assert.Contains("nothing was changed", again.Output, StringComparison.Ordinal);
        Assert.Equal($"{Node}policy: {{ roster: sha256:{s_hash} }}\n", File.ReadAllText(_workspace["node.yaml"]));
        await OutputSchema.AssertValidAsync("roster-show", shown.Output);
        Assert.Equal(s_hash, shown.Json.GetProperty("pinned").GetProperty("sha256").GetString());
        Assert.Contains("The state folder holds no roster now", text.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RosterShow_NothingPinned_SaysSo()
    {
        _workspace.Write("node.yaml", Node);

        FedResult shown = await Fed.RunAsync(_workspace.Folder, ["roster", "show", "--config", "node.yaml"]);

        Assert.Equal(0, shown.ExitCode);
        Assert.StartsWith("node.yaml pins no roster", shown.Output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_workspace["state"]));
    }

    [Theory]
    [InlineData("Words alone cannot be accepted", "lusab-babad-gutih-tugad")]
    [InlineData("Words alone cannot be accepted", "lusab", "babad")]
    [InlineData("'abc' is no roster's hash", "abc")]
    public async Task RosterAccept_NoHash_ExitsWith2AndChangesNothing(string expected, params string[] hash)
    {
        _workspace.Write("node.yaml", Node);

        FedResult result = await Fed.RunAsync(_workspace.Folder, ["roster", "accept", .. hash, "--config", "node.yaml"]);

        Assert.Equal(2, result.ExitCode);
        Assert.Contains(expected, Assert.Single(result.ErrorLines), StringComparison.Ordinal);
        Assert.Equal(Node, File.ReadAllText(_workspace["node.yaml"]));
    }

    [Fact]
    public async Task RosterAccept_NoSuchFile_NamesIt()
    {
        FedResult result = await Fed.RunAsync(_workspace.Folder, ["roster", "accept", s_hash, "--config", "gone.yaml"]);

        Assert.Equal(2, result.ExitCode);
        Assert.Contains("gone.yaml: There is no such file.", Assert.Single(result.ErrorLines), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gone: --from: There is no such folder.", "--from", "gone")]
    [InlineData("The folder holds no transcripts", "--from", ".")]
    [InlineData("--out: There is nothing to download with --from.", "--from", ".", "--out", "x")]
    public async Task RunVerifyTranscript_WrongFolder_ExitsWith2(string expected, params string[] args)
    {
        FedResult result = await Fed.RunAsync(_workspace.Folder, ["run", "verify-transcript", .. args]);

        Assert.Equal(2, result.ExitCode);
        Assert.Contains(expected, Assert.Single(result.ErrorLines), StringComparison.Ordinal);
    }
}

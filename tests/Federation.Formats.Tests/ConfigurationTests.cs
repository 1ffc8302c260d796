using Federation.Formats.Configuration;
using Federation.Privacy.Ledger;

namespace Federation.Formats.Tests;

public sealed class ConfigurationTests
{
    [Fact]
    public void Load_NodeYaml_ResolvesPathsAgainstItsFolder()
    {
        using var folder = new TemporaryFolder();
        string path = folder.Write("node.yaml", """
            coordinator: https://host:8443
            state: state
            role: evaluator
            device: cuda:0
            threads: 3
            data: [ { id: heart, path: data/heart.csv, split: split.csv, ledger: l.db, budget: { epsilon: 3, delta: 1e-5 } } ]
            """);
        NodeConfiguration node = NodeConfiguration.Load(path);
        Assert.Equal((new Uri("https://host:8443"), Path.Combine(folder.Path, "state"), NodeRole.Evaluator, "cuda:0", 3), (node.Coordinator, node.State, node.Role, node.Device, node.Threads));
        Assert.Equal(new DataSource("heart", Path.Combine(folder.Path, "data", "heart.csv"), null, Path.Combine(folder.Path, "split.csv"), Path.Combine(folder.Path, "l.db"), new PrivacyBudget(3, 1e-5)), Assert.Single(node.Data));
        Assert.Equal(Path.GetFullPath("elsewhere"), NodeConfiguration.Load(path, "elsewhere").State);
    }

    [Theory]
    [InlineData("coordinator: http://host", "coordinator", "https://host:8443")]
    [InlineData("cordinator: https://host", "cordinator", "Did you mean 'coordinator'?")]
    [InlineData("coordinator: https://h\nthreads: 0", "threads", "1 to 4096")]
    [InlineData("coordinator: https://h\npolicy: { minContributors: 2 }", "policy.minContributors", "3")]
    [InlineData("coordinator: https://h\npolicy: { roster: abc }", "policy.roster", "compare them with the other sites")]
    [InlineData("coordinator: https://h\npolicy: { contributorSets: a_part }", "policy.contributorSets", "Did you mean 'apart'?")]
    [InlineData("coordinator: https://h\npolicy: { maxColuding: 1 }", "policy.maxColuding", "Did you mean 'maxColluding'?")]
    [InlineData("coordinator: https://h\ndata: [ { id: a, path: x }, { id: a, path: y } ]", "data[1].id", "two data sets")]
    [InlineData("coordinator: https://h\ndata: [ { id: a, path: x, budget: { epsilon: 0, delta: 1e-5 } } ]", "data[0].budget.epsilon", "above 0")]
    [InlineData("coordinator: https://h\ndata: [ { id: a, path: x, budget: { epsilon: 3, delta: 1 } } ]", "data[0].budget.delta", "in (0, 1)")]
    [InlineData("coordinator: https://h\ndata: [ { id: a, path: x, budget: { epsilon: 3 } } ]", "data[0].budget.delta", "")]
    [InlineData("coordinator: https://h\nrole: trainr", "role", "Did you mean 'trainer'?")]
    public void Load_NodeYamlWithAMistake_NamesFieldAndRepair(string yaml, string field, string says)
    {
        using var folder = new TemporaryFolder();
        var error = Assert.Throws<InvalidInputException>(() => NodeConfiguration.Load(folder.Write("node.yaml", yaml)));
        Problem problem = Assert.Single(error.Problems, problem => problem.Field == field);
        Assert.Contains(says, $"{problem.Message} {problem.Repair}");
    }

    [Fact]
    public void Load_ServerYaml_HasDefaultsAndChecksListeners()
    {
        using var folder = new TemporaryFolder();
        ServerConfiguration server = ServerConfiguration.Load(folder.Write("server.yaml", "state: s\nnodes: 127.0.0.1:0\n"));
        Assert.Null(server.NodeBandwidth);
        Assert.Equal((Path.Combine(folder.Path, "s"), "127.0.0.1:0", "127.0.0.1:8444"), (server.State, server.Nodes, server.Operators));
        var error = Assert.Throws<InvalidInputException>(() => ServerConfiguration.Load(folder.Write("bad.yaml", "operators: localhost\n")));
        Assert.Equal(("operators", 1), (error.Problems[0].Field, error.Problems[0].Line));
    }

    [Theory]
    [InlineData("", 30 * 24)]
    [InlineData("siteCertificates: 1h", 1)]
    [InlineData("siteCertificates: 730d", 730 * 24)]
    [InlineData("siteCertificates: 59m", null)]
    [InlineData("siteCertificates: 731d", null)]
    [InlineData("siteCertificates: 30", null)]
    [InlineData("siteCertificates: always", null)]
    public void Load_ServerYaml_BoundsTheLifetimeOfSiteCertificates(string line, int? hours)
    {
        using var folder = new TemporaryFolder();
        string path = folder.Write("server.yaml", $"state: s\n{line}\n");
        if (hours is { } right) Assert.Equal(TimeSpan.FromHours(right), ServerConfiguration.Load(path).SiteCertificates);
        else Assert.Contains("1h to 730d", Assert.Throws<InvalidInputException>(() => ServerConfiguration.Load(path)).Message);
    }

    [Theory]
    [InlineData("1kB", 1_000L)]
    [InlineData("20MB", 20_000_000L)]
    [InlineData("100GB", 100_000_000_000L)]
    [InlineData("101GB", null)]
    [InlineData("0MB", null)]
    [InlineData("20", null)]
    [InlineData("20 MB", null)]
    [InlineData("-1MB", null)]
    [InlineData("20MiB", null)]
    public void Load_ServerYaml_ReadsANodesBandwidth(string text, long? bytes)
    {
        using var folder = new TemporaryFolder();
        string path = folder.Write("server.yaml", $"state: s\nnodeBandwidth: {text}\n");
        if (bytes is { } right) Assert.Equal(right, ServerConfiguration.Load(path).NodeBandwidth);
        else Assert.Contains(ServerConfiguration.BandwidthRule, Assert.Throws<InvalidInputException>(() => ServerConfiguration.Load(path)).Message);
    }

    [Theory]
    [InlineData("", null, "")]
    [InlineData("store: sqlite", null, "")]
    [InlineData("store: Host=db;Database=fed", null, "Host=db;Database=fed")]
    [InlineData("store: store.txt", null, "Host=own;Password=p")]
    [InlineData("store: nothing.txt", null, "no such file")]
    [InlineData("store: empty.txt", null, "no connection string")]
    [InlineData("store: postgres://u:p@h/d", null, "Keywords and values")]
    [InlineData("store: nothing.txt", "Host=flag", "Host=flag")]
    public void Load_ServerYaml_FindsTheStore(string line, string? flag, string expected)
    {
        using var folder = new TemporaryFolder();
        folder.Write("store.txt", "Host=own;Password=p\n");
        folder.Write("empty.txt", "\n");
        string path = folder.Write("server.yaml", $"state: s\n{line}\n");
        if (expected.Contains('=', StringComparison.Ordinal) || expected.Length == 0)
        {
            ServerConfiguration server = ServerConfiguration.Load(path, store: flag);
            Assert.Equal(expected, server.Store?.Reveal() ?? "");
            Assert.DoesNotContain("Host", server.ToString(), StringComparison.Ordinal);
        }
        else
        {
            Assert.Contains(expected, Assert.Throws<InvalidInputException>(() => ServerConfiguration.Load(path)).Message);
        }
    }

    [Theory]
    [InlineData("retention: { models: 10 }", 10, 7)]
    [InlineData("retention: { models: 1, days: 0 }", 1, 0)]
    [InlineData("retention: { models: 0 }", null, 0)]
    [InlineData("retention: { days: 3 }", null, 0)]
    [InlineData("retention: { models: 1, months: 2 }", null, 0)]
    public void Load_ServerYaml_ChecksRetention(string line, int? models, int days)
    {
        using var folder = new TemporaryFolder();
        string path = folder.Write("server.yaml", $"state: s\n{line}\n");
        if (models is { } right) Assert.Equal(new RetentionRule(right, days), ServerConfiguration.Load(path).Retention);
        else Assert.Contains("retention", Assert.Throws<InvalidInputException>(() => ServerConfiguration.Load(path)).Problems[0].Field);
    }

    [Theory]
    [InlineData("Host=h;Password=x", true)]
    [InlineData("Host=h; pwd = x", true)]
    [InlineData("Host=h;PSW=x", true)]
    [InlineData("Host=h;SSL Password=x", true)]
    [InlineData("Host=password;Username=pwd", false)]
    public void HasPassword_AnyWordForOne_IsKnown(string text, bool has) => Assert.Equal(has, new ConnectionString(text).HasPassword);
}

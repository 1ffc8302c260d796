using System.Text;
using Federation.Formats.Configuration;

namespace Federation.Formats.Tests;

public sealed class RosterPinTests : IDisposable
{
    private static readonly string s_old = new('a', 64), s_new = new('b', 64);
    private static readonly string s_pin = $"sha256:{s_new}";
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>Text before and after, NEW and OLD standing for pins.</summary>
    public static TheoryData<string, string> Files => new()
    {
        { "coordinator: https://h\n", "coordinator: https://h\npolicy: { roster: NEW }\n" },
        { "coordinator: https://h", "coordinator: https://h\npolicy: { roster: NEW }\n" },
        { "coordinator: https://h\r\nthreads: 2\r\n", "coordinator: https://h\r\nthreads: 2\r\npolicy: { roster: NEW }\r\n" },
        { "# ours 🏥 äöü\ncoordinator: https://h\npolicy:\n  roster: OLD   # by phone\n  minContributors: 4\n", "# ours 🏥 äöü\ncoordinator: https://h\npolicy:\n  roster: NEW   # by phone\n  minContributors: 4\n" },
        { "coordinator: https://h\r\npolicy:\r\n  roster: OLD\r\nthreads: 1\r\n", "coordinator: https://h\r\npolicy:\r\n  roster: NEW\r\nthreads: 1\r\n" },
        { "policy: { roster: \"OLD\", maxColluding: 1 }\ncoordinator: https://h\n", "policy: { roster: NEW, maxColluding: 1 }\ncoordinator: https://h\n" },
        { "policy:\n    # ours\n    minContributors: 5\ncoordinator: https://h\n", "policy:\n    # ours\n    roster: NEW\n    minContributors: 5\ncoordinator: https://h\n" },
        { "policy: { minContributors: 5 }\ncoordinator: https://h\n", "policy: { roster: NEW, minContributors: 5 }\ncoordinator: https://h\n" },
        { "policy: {}\ncoordinator: https://h\n", "policy: { roster: NEW }\ncoordinator: https://h\n" },
        { "{ \"coordinator\": \"https://h\" }", "{ policy: { roster: NEW }, \"coordinator\": \"https://h\" }" },
        { "coordinator: https://h\n...\n", "policy: { roster: NEW }\ncoordinator: https://h\n...\n" },
        { "  coordinator: https://h\n  threads: 2\n", "  policy: { roster: NEW }\n  coordinator: https://h\n  threads: 2\n" },
        { "coordinator: https://h\ndata:\n  - id: a\n    path: a.csv\n    # policy: none\n", "coordinator: https://h\ndata:\n  - id: a\n    path: a.csv\n    # policy: none\npolicy: { roster: NEW }\n" },
        { "\uFEFFcoordinator: https://h\n", "\uFEFFcoordinator: https://h\npolicy: { roster: NEW }\n" },
    };

    [Theory]
    [MemberData(nameof(Files))]
    public void Write_AnyForm_ChangesNothingElse(string before, string after)
    {
        string path = Path.Combine(_folder.Path, "node.yaml");
        File.WriteAllText(path, before.Replace("OLD", $"sha256:{s_old}", StringComparison.Ordinal), new UTF8Encoding(false));

        string? replaced = RosterPin.Write(path, s_new);

        Assert.Equal(before.Contains("OLD", StringComparison.Ordinal) ? s_old : null, replaced);
        Assert.Equal(Encoding.UTF8.GetBytes(after.Replace("NEW", s_pin, StringComparison.Ordinal)), File.ReadAllBytes(path));
        Assert.Equal(s_new, NodeConfiguration.Load(path).Policy.RosterSha256);
        Assert.Single(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Theory]
    [InlineData("minContributors: 4\n", "roster: NEW\nminContributors: 4\n")]
    [InlineData("# ours\nroster: OLD # by phone\nbudget: { epsilon: 1, delta: 1e-5 }\n", "# ours\nroster: NEW # by phone\nbudget: { epsilon: 1, delta: 1e-5 }\n")]
    [InlineData("{ minContributors: 4 }", "{ roster: NEW, minContributors: 4 }")]
    public void Write_PolicyInAFileOfItsOwn_ChangesThatFile(string before, string after)
    {
        const string nodeYaml = "coordinator: https://h\npolicy: policy.yaml\n";
        string node = _folder.Write("node.yaml", nodeYaml), path = _folder.Write("policy.yaml", before.Replace("OLD", $"sha256:{s_old}", StringComparison.Ordinal));

        RosterPin.Write(node, s_new);

        Assert.Equal(after.Replace("NEW", s_pin, StringComparison.Ordinal), File.ReadAllText(path));
        Assert.Equal(nodeYaml, File.ReadAllText(node));
        Assert.Equal(s_new, NodeConfiguration.Load(node).Policy.RosterSha256);
    }

    [Fact]
    public void Write_LinkedPrivateFile_KeepsLinkAndMode()
    {
        if (OperatingSystem.IsWindows()) return;
        string path = _folder.Write("real.yaml", "coordinator: https://h\n"), link = Path.Combine(_folder.Path, "node.yaml");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        File.CreateSymbolicLink(link, "real.yaml");

        RosterPin.Write(link, s_new);

        Assert.Equal("real.yaml", new FileInfo(link).LinkTarget);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        Assert.Equal(s_new, NodeConfiguration.Load(path).Policy.RosterSha256);
    }

    [Fact]
    public void Write_InvalidFile_NamesItAndLeavesIt()
    {
        string path = _folder.Write("node.yaml", "coordinator: https://h\npolicy:\nthreads: 2\n");

        Problem problem = Assert.Single(Assert.Throws<InvalidInputException>(() => RosterPin.Write(path, s_new)).Problems);

        Assert.Equal((path, 2, "policy"), (problem.File, problem.Line, problem.Field));
        Assert.Equal("coordinator: https://h\npolicy:\nthreads: 2\n", File.ReadAllText(path));
    }

    [Fact]
    public void ParseHash_WithAndWithoutPrefix_IsTheSame()
    {
        Assert.Equal(s_new, RosterPin.ParseHash(s_pin));
        Assert.Equal(s_new, RosterPin.ParseHash(s_new.ToUpperInvariant()));
    }

    [Theory]
    [InlineData("lusab-babad-gutih-tugad", "7f0000013f54dcc1")]
    [InlineData("lusab babad", "Words alone")]
    [InlineData("sha256:abc", "'sha256:abc' is no roster's hash")]
    public void ParseHash_NoHash_SaysWhatIsNeeded(string text, string expected)
    {
        string message = Assert.Throws<InvalidInputException>(() => RosterPin.ParseHash(text)).Message;

        Assert.Contains(expected, message, StringComparison.Ordinal);
        Assert.Contains("64 digits", message, StringComparison.Ordinal);
    }
}

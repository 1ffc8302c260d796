using Federation.Privacy.Ledger;
using Federation.Privacy.SecureAggregation;
using Microsoft.Extensions.Logging.Abstractions;

namespace Federation.Client.Tests;

/// <summary>The node's audit log: refusals are in it, mishaps are not, and a disk without room stops nothing.</summary>
public sealed class NodeAuditTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("fed-node-audit");

    private string LogPath => new NodeFolder(_folder.FullName).Audit;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Note_RefusalsAndMishaps_KeepsRefusalsOnly()
    {
        using (var audit = new NodeAudit(LogPath, TimeProvider.System, NullLogger.Instance))
        {
            audit.Note(NodeAudit.Training, "run", 2, new ProtocolException(Refusal.AnotherOpening, "in the clear"));
            audit.Note(NodeAudit.Training, "run", 2, new FormatException("no descriptor"));
            audit.Note(NodeAudit.Training, "run", 2, new ArgumentException("a mishap"));
        }

        Assert.Equal(["in the clear", "no descriptor"], AuditVerification.Of(LogPath).Entries.Select(entry => entry.What));
    }

    [Fact] // numbers that a coordinator chooses make ever new sentences of one sort; a lie of another sort is told apart
    public void Note_AnotherSortOfLieBehindAFlood_IsKept()
    {
        using (var audit = new NodeAudit(LogPath, TimeProvider.System, NullLogger.Instance))
        {
            for (int i = 0; i < 1000; i++) audit.Note(NodeAudit.Opening, "run", i, new ProtocolException(Refusal.WrongEpoch, $"epoch {i}"));
            audit.Note(NodeAudit.Opening, "run", 7, new ProtocolException(Refusal.AnotherSet, "another set"));
        }

        Assert.Equal("another set", AuditVerification.Of(LogPath).Entries[^1].What);
    }

    [Fact] // a folder in the log's place, then a disk without room: the refusal is not held up, and the next is written when there is room
    public void Refused_ALogThatCannotBeWritten_ThrowsNothing()
    {
        using var audit = new NodeAudit(LogPath, TimeProvider.System, NullLogger.Instance);
        Directory.CreateDirectory(LogPath);
        audit.Refused(NodeAudit.Opening, "run", 1, "no log");
        Directory.Delete(LogPath);
        if (OperatingSystem.IsLinux())
        {
            File.CreateSymbolicLink(LogPath, "/dev/full");
            using (var full = new NodeAudit(LogPath, TimeProvider.System, NullLogger.Instance)) full.Refused(NodeAudit.Opening, "run", 1, "no room");
            File.Delete(LogPath);
        }

        audit.Refused(NodeAudit.Opening, "run", 1, "room");
        Assert.Equal("room", Assert.Single(AuditVerification.Of(LogPath).Entries).What);
    }
}

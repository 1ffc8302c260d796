using Federation.Protocol;

namespace Federation.Protocol.Tests;

public sealed class SpareFilesTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("fed-spare");

    private string Spare => Path.Combine(_folder.FullName, "spare");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Retire_ThenPlace_GivesTheSameFileEmpty()
    {
        var files = new SpareFiles(Spare);
        files.Retire(Written("a"));
        Assert.Equal([0L], Directory.EnumerateFiles(Spare).Select(path => new FileInfo(path).Length)); // nothing of it is kept
        files = new SpareFiles(Spare); // another process
        files.Place(In("b"));
        Assert.Equal((0, false, 0), (new FileInfo(In("b")).Length, File.Exists(In("a")), Directory.EnumerateFiles(Spare).Count()));
        files.Place(In("c"));
        Assert.False(File.Exists(In("c"))); // there is none left
    }

    [Fact]
    public void Place_WhereAFileIs_LeavesIt()
    {
        var files = new SpareFiles(Spare);
        files.Retire(Written("a"));
        files.Place(Written("b"));
        Assert.Equal("content", File.ReadAllText(In("b")));
    }

    [Fact]
    public void Retire_AFileThatSomebodyWritesTo_RemovesItForGood()
    {
        var files = new SpareFiles(Spare);
        using (var late = new FileStream(In("a"), FileMode.Append, FileAccess.Write, FileShare.Read, 1))
        {
            files.Retire(In("a"));
            files.Place(In("b"));
            late.Write("of a"u8);
        }

        Assert.Equal((false, false), (File.Exists(In("a")), File.Exists(In("b"))));
    }

    private string In(string name) => Path.Combine(_folder.FullName, name);

    private string Written(string name)
    {
        File.WriteAllText(In(name), "content");
        return In(name);
    }
}

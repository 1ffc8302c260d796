using Federation.Privacy.Canonical;
using Federation.Server.Storage;

namespace Federation.Server.Tests.Storage;

public sealed class FilesTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("fed-files");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Blob_Kept_IsThereUnderItsHash()
    {
        var blobs = new BlobStore(_folder.FullName);
        string sha256 = Keep(blobs, [1, 2, 3]);
        Assert.Equal(Sha256Hex.Of([1, 2, 3]), sha256);
        Assert.Equal((true, 3L), (blobs.Has(sha256), blobs.SizeOf(sha256)));
        Assert.Equal(sha256, Keep(blobs, [1, 2, 3])); // once more changes nothing
        Assert.Single(_folder.EnumerateFiles());
    }

    [Fact]
    public void Blob_NotKept_LeavesNothing()
    {
        using (BlobStore.NewBlob blob = new BlobStore(_folder.FullName).Create()) blob.Stream.Write([1, 2, 3]);
        Assert.Empty(_folder.EnumerateFiles());
    }

    [Fact]
    public void Blob_WriterWasKilled_ItsRestIsRemovedAtTheNextStart()
    {
        var blobs = new BlobStore(_folder.FullName);
        string kept = Keep(blobs, [1]);
        File.WriteAllBytes(Path.Combine(_folder.FullName, "0123.new"), [1, 2]);
        _ = new BlobStore(_folder.FullName);
        Assert.Equal([kept], _folder.EnumerateFiles().Select(file => file.Name));
    }

    [Theory]
    [InlineData("../ca/ca.pem")]
    [InlineData("")]
    [InlineData("ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789")]
    public void Blob_NameThatIsNoHash_IsNeverAPath(string name)
    {
        var blobs = new BlobStore(_folder.FullName);
        Assert.False(blobs.Has(name));
        Assert.Throws<ArgumentException>(() => blobs.Open(name));
    }

    [Fact]
    public void Blob_BeingRead_CanBeWrittenAgain()
    {
        var blobs = new BlobStore(_folder.FullName);
        using FileStream reading = blobs.Open(Keep(blobs, [1, 2, 3]));
        Keep(blobs, [1, 2, 3]);
        Assert.Equal(3, reading.Length);
    }

    [Fact]
    public void Spool_RoundsDropped_KeepsLaterOnesAndOtherRuns()
    {
        var spool = new Spool(Path.Combine(_folder.FullName, "spool"));
        foreach ((string run, int round) in new[] { ("one", 1), ("one", 2), ("one", 3), ("two", 1) })
        {
            using FileStream file = spool.Append(run, round, "a");
            file.Write([1, 2, 3]);
        }

        spool.DropRounds("one", 2);
        spool.DropRounds("never", 2);
        Assert.Equal([0L, 0, 3, 3], new[] { spool.Length("one", 1, "a"), spool.Length("one", 2, "a"), spool.Length("one", 3, "a"), spool.Length("two", 1, "a") });
    }

    [Fact]
    public void Spool_Appended_GoesOnWhereItStopped()
    {
        var spool = new Spool(Path.Combine(_folder.FullName, "spool"));
        for (int i = 0; i < 3; i++)
        {
            using FileStream file = spool.Append("one", 1, "a");
            file.Write([1, 2]);
        }

        Assert.Equal(6, spool.Length("one", 1, "a"));
        spool.Delete("one", 1, "a");
        Assert.Equal(0, spool.Length("one", 1, "a"));
    }

    [Theory]
    [InlineData("..", "a")]
    [InlineData("one", "../b")]
    [InlineData("", "a")]
    public void Spool_NamesThatAreNone_AreNeverAPath(string run, string site) =>
        Assert.Throws<ArgumentException>(() => new Spool(Path.Combine(_folder.FullName, "spool")).PathOf(run, 1, site));

    private static string Keep(BlobStore blobs, byte[] bytes)
    {
        using BlobStore.NewBlob blob = blobs.Create();
        blob.Stream.Write(bytes);
        return blob.Keep();
    }
}

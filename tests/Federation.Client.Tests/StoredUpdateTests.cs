namespace Federation.Client.Tests;

/// <summary>What counts as stored: only a file whose record can be read.</summary>
public sealed class StoredUpdateTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("fed-stored");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("")]
    [InlineData("{\"ModelSha256\":\"m")]
    [InlineData("null")]
    [InlineData("{\"ModelSha256\":\"model\"}")]
    public void Find_ARecordThatCannotBeRead_IsAbsent(string record)
    {
        string path = Path.Combine(_folder.FullName, "1.contribution");
        File.WriteAllText(path, "bytes");
        var node = new NodeFolder(_folder.FullName);
        StoredUpdate saved = StoredUpdate.Save(node, path, new StoredUpdate("model", "update", 3, 0.5, 7, "key"));
        Assert.Equal(saved, StoredUpdate.Find(path, "model"));
        Assert.Null(StoredUpdate.Find(path, "another"));
        File.WriteAllText(path + ".json", record);
        Assert.Null(StoredUpdate.Find(path, "model"));
    }

    [Theory] // JSON has no such numbers; the update is paid for and must be sent
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    [InlineData(double.NegativeInfinity)]
    public void Save_ALossThatIsNotFinite_IsStoredWithoutIt(double loss)
    {
        string path = Path.Combine(_folder.FullName, "1.contribution");
        File.WriteAllText(path, "bytes");
        var node = new NodeFolder(_folder.FullName);
        StoredUpdate saved = StoredUpdate.Save(node, path, new StoredUpdate("model", "update", 3, loss, 7, "key"));
        Assert.Contains("\"Loss\":null", File.ReadAllText(path + ".json"), StringComparison.Ordinal);
        Assert.Equal(saved with { Loss = double.NaN }, StoredUpdate.Find(path, "model"));
    }
}

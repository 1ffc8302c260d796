namespace Federation.Tests;

/// <summary>A folder of this test's own, gone at its end.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("fed-test");

    public string Path => _folder.FullName;

    /// <returns>The file's path.</returns>
    public string Write(string name, string text)
    {
        string path = System.IO.Path.Combine(Path, name);
        File.WriteAllText(path, text);
        return path;
    }

    public void Dispose() => _folder.Delete(recursive: true);
}

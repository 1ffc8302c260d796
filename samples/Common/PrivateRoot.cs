using Federation.Protocol.Identity;

namespace Federation.Samples;

/// <summary>A temporary folder of mode 0700 that is gone at the end.</summary>
public sealed class PrivateRoot : IDisposable
{
    /// <param name="sample">Part of its name.</param>
    public PrivateRoot(string sample)
    {
        Path = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"federated-{sample}-{Guid.NewGuid():n}");
        PrivateFile.CreateFolder(Path);
    }

    public string Path { get; }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}

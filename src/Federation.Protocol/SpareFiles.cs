using System.Collections.Concurrent;
using Federation.Protocol.Identity;

namespace Federation.Protocol;

/// <summary>
/// Files that are over, emptied and used again for the next ones. Where hundreds of small files are made and removed in a second, ext4 looks longer and longer for a free place (it gives none out again for five seconds);
/// renaming costs nothing of that.
/// </summary>
public sealed class SpareFiles
{
    private const int Most = 1000;
    private readonly string _folder;
    private readonly ConcurrentQueue<string> _spare;

    /// <param name="folder">Of its own; what an earlier process left there is used.</param>
    public SpareFiles(string folder)
    {
        PrivateFile.CreateFolder(folder);
        (_folder, _spare) = (folder, new(Directory.EnumerateFiles(folder)));
    }

    /// <summary>In place of removing a file: nothing of its content stays.</summary>
    public void Retire(string path)
    {
        if (_spare.Count >= Most || !TryMove(path)) File.Delete(path);
    }

    /// <summary>Not while anybody has it open: who goes on writing must not write into the next one. Nor a link, which leads elsewhere.</summary>
    private bool TryMove(string path)
    {
        if (File.GetAttributes(path).HasFlag(FileAttributes.ReparsePoint)) return false;
        string spare = Path.Combine(_folder, $"{Guid.NewGuid():n}");
        try
        {
            using var alone = new FileStream(path, FileMode.Truncate, FileAccess.Write, FileShare.None, 1);
            File.Move(path, spare);
        }
        catch (IOException)
        {
            return false;
        }

        _spare.Enqueue(spare);
        return true;
    }

    /// <summary>Before a file is made: an empty one at its path, if there is one to spare and none at the path.</summary>
    public void Place(string path)
    {
        if (File.Exists(path) || !_spare.TryDequeue(out string? spare)) return;
        try
        {
            File.Move(spare, path);
        }
        catch (IOException)
        {
            // gone, or another was quicker: the file is made as any other
        }
    }
}

using Federation.Formats;
using Federation.Protocol.Identity;

namespace Federation.Cli.Terminal;

/// <summary>A file that a verb writes: never over another one unless told so, whole or not at all.</summary>
internal sealed class OutputFile
{
    private OutputFile(string path) => Path = path;

    public string Path { get; }

    /// <summary>Checked before the work, so that a long one does not end in a refusal.</summary>
    /// <exception cref="InvalidInputException">The file exists and <paramref name="force"/> is not set, or its folder is missing.</exception>
    public static OutputFile Claim(string path, bool force)
    {
        string full = System.IO.Path.GetFullPath(path);
        if (Directory.Exists(full)) throw new InvalidInputException(new Problem("This is a folder.", path, Repair: "Name a file in it."));
        if (File.Exists(full) && !force) throw new InvalidInputException(new Problem("The file exists already.", path, Repair: "Name another one, or say --force to overwrite it."));
        string folder = System.IO.Path.GetDirectoryName(full) ?? "/";
        if (!Directory.Exists(folder)) throw new InvalidInputException(new Problem($"There is no folder '{folder}' to write it to.", path, Repair: "Make the folder first."));
        return new OutputFile(full);
    }

    /// <summary>Writes beside the file, then takes its place.</summary>
    /// <param name="isPrivate">For its owner alone to read.</param>
    public async Task WriteAsync(Func<FileStream, Task> write, bool isPrivate = false)
    {
        string fresh = $"{Path}.{Guid.NewGuid():N}.new";
        try
        {
            await using (FileStream file = isPrivate ? PrivateFile.Create(fresh) : new FileStream(fresh, FileMode.CreateNew, FileAccess.ReadWrite))
            {
                await write(file);
                file.Flush(flushToDisk: true);
            }

            File.Move(fresh, Path, overwrite: true);
        }
        finally
        {
            File.Delete(fresh);
        }
    }
}

namespace Federation.Formats;

/// <summary>Reading what a user named.</summary>
public static class TextFile
{
    /// <exception cref="InvalidInputException">The file is absent, a folder, or unreadable; names it.</exception>
    public static string Read(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new InvalidInputException(new Problem("There is no such file.", path));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new InvalidInputException(new Problem($"The file cannot be read: {error.Message}", path));
        }
    }
}

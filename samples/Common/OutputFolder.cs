using Federation.Formats;

namespace Federation.Samples;

/// <summary>Where <c>--out</c> points.</summary>
public static class OutputFolder
{
    /// <returns>Its full path.</returns>
    /// <exception cref="InvalidInputException">It cannot be made.</exception>
    public static string Create(string path)
    {
        try
        {
            return Directory.CreateDirectory(path).FullName;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new InvalidInputException(new Problem($"The folder cannot be made: {error.Message}", path, Field: "--out"));
        }
    }
}

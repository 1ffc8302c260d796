namespace Federation.Formats.Configuration;

/// <summary>Where a database is and how to get in: keywords and values, of which one may be a password. Does not show itself.</summary>
public sealed class ConnectionString
{
    private readonly string _text;

    public ConnectionString(string text) => _text = text.Trim();

    /// <summary>The text itself.</summary>
    public string Reveal() => _text;

    /// <summary>Whether it holds a password.</summary>
    public bool HasPassword => _text.Split(';').Any(part => Passwords.Contains(part.Split('=')[0].Replace(" ", "", StringComparison.Ordinal), StringComparer.OrdinalIgnoreCase));

    // Every word that Npgsql takes for one, blanks left out.
    private static readonly string[] Passwords = ["password", "pwd", "psw", "sslpassword"];

    public override string ToString() => "(connection string)";

    /// <summary>A connection string, or the file that holds one: what has an equals sign is no file.</summary>
    /// <param name="folder">That a file's name is relative to.</param>
    /// <returns>Null: the embedded SQLite database, <c>sqlite</c>.</returns>
    /// <exception cref="InvalidInputException">The file cannot be read, or holds none.</exception>
    public static ConnectionString? Resolve(string text, string folder)
    {
        if (text.Trim() is "" or "sqlite") return null;
        if (text.Contains('=', StringComparison.Ordinal)) return new ConnectionString(text);
        if (text.Contains("://", StringComparison.Ordinal)) throw new InvalidInputException(new Problem("The store is given as an address.", Field: "store", Repair: "Keywords and values are right: Host=db.example;Database=fed;Username=fed;Password=…"));
        string path = Path.GetFullPath(text, folder), held = TextFile.Read(path);
        return held.Contains('=', StringComparison.Ordinal) ? new ConnectionString(held) : throw new InvalidInputException(new Problem("There is no connection string in this file.", path, Field: "store", Repair: "One line is right: Host=db.example;Database=fed;Username=fed;Password=…"));
    }
}

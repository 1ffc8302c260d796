using System.Diagnostics;
using Federation.Formats.Configuration;

namespace Federation.Tests;

/// <summary>A real PostgreSQL server of the test's own, made when it is first asked for: in a temporary folder, on a unix socket alone, as a user without rights. Can be stopped and started again.</summary>
public sealed class PostgresCluster : IDisposable
{
    private static readonly string[] s_places = [Environment.GetEnvironmentVariable("FED_POSTGRES") ?? "", .. Installed(), .. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')];
    private readonly Lock _lock = new();
    private DirectoryInfo? _folder;
    private int _databases;

    /// <summary>Where its socket is.</summary>
    public string Folder => _folder!.FullName;

    private string Data => Path.Combine(Folder, "data");

    /// <summary>A new, empty database. Without PostgreSQL's programs the test is skipped, or fails where <c>FED_REQUIRE</c> asks for postgres.</summary>
    public ConnectionString NewDatabase()
    {
        lock (_lock)
        {
            if (_folder is null) Make();
            string name = $"fed{++_databases}";
            Query("postgres", $"CREATE DATABASE {name}");
            return Connection(name);
        }
    }

    public ConnectionString Connection(string database) => new($"Host={Folder};Username=fed;Database={database}");

    /// <summary>One statement by somebody else.</summary>
    /// <returns>What it printed.</returns>
    public string Query(string database, string sql) => Run("psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", Folder, "-U", "fed", "-d", database, "-c", sql).Trim();

    public void Start() => Run("pg_ctl", "start", "-w", "-D", Data, "-l", Path.Combine(Folder, "log"), "-o", $"-F -c listen_addresses='' -c unix_socket_directories='{Folder}'");

    /// <summary>As a crash: connections break, nothing is written in order.</summary>
    public void Stop() => Run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", Data);

    public void Dispose()
    {
        if (_folder is null) return;
        if (File.Exists(Path.Combine(Data, "postmaster.pid"))) Stop();
        _folder.Delete(recursive: true);
    }

    private void Make()
    {
        if (ProgramOf("initdb") is null) Requirements.Missing("postgres", "PostgreSQL's programs are not here; Debian's package is postgresql, and FED_POSTGRES names another folder of them.");
        _folder = Directory.CreateTempSubdirectory("fed-pg");
        if (IsRoot) RunAs(null, "chown", "postgres", Folder);
        Run("initdb", "-D", Data, "-U", "fed", "-A", "trust", "-E", "UTF8", "--no-sync");
        Start();
    }

    private static bool IsRoot => Environment.UserName == "root";

    private static IEnumerable<string> Installed() => Directory.Exists("/usr/lib/postgresql") ? Directory.EnumerateDirectories("/usr/lib/postgresql").OrderDescending().Select(version => Path.Combine(version, "bin")) : [];

    private static string? ProgramOf(string name) => s_places.Where(place => place.Length > 0).Select(place => Path.Combine(place, name)).FirstOrDefault(File.Exists);

    /// <summary>The server refuses to be root's.</summary>
    private static string Run(string program, params string[] arguments) => RunAs(IsRoot && program != "psql" ? "postgres" : null, ProgramOf(program)!, arguments);

    private static string RunAs(string? user, string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(user is null ? program : "runuser") { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = "/" };
        foreach (string argument in (string[])[.. user is null ? (string[])[] : ["-u", user, "--", program], .. arguments]) start.ArgumentList.Add(argument);
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}: {output} {error.GetAwaiter().GetResult()}");
    }
}

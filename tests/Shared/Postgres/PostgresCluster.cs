using System.Diagnostics;
using Federation.Formats.Configuration;

namespace Federation.Tests;

/// <summary>A real PostgreSQL server of the test's own, made when it is first asked for: in a temporary folder, on a unix socket alone, as a user without rights. Can be stopped and started again. A shell beside it waits for this process: however it ends, the server ends with it, and its folder goes.</summary>
public sealed class PostgresCluster : IDisposable
{
    private static readonly string[] s_places = [Environment.GetEnvironmentVariable("FED_POSTGRES") ?? "", .. Installed(), .. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')];

    /// <summary>$1: pg_ctl, $2: the cluster's folder. A line on its input stops the server; so does the input's end, when the process that has the other end was killed.</summary>
    private const string Keeper = """
        trap '' INT HUP PIPE
        "$1" start -w -D "$2/data" -l "$2/log" -o "-F -c listen_addresses='' -c unix_socket_directories='$2'" </dev/null || exit 1
        echo started
        if read -r line; then rest=; else rest="$2"; fi
        "$1" stop -w -m immediate -D "$2/data" >/dev/null 2>&1
        if [ -n "$rest" ]; then rm -rf "$rest"; fi
        """;

    private readonly Lock _lock = new();
    private DirectoryInfo? _folder;
    private Process? _keeper;
    private int _databases;

    /// <summary>Where its socket is.</summary>
    public string Folder => _folder!.FullName;

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

    public void Start()
    {
        // In a session of its own, where the system can: whoever kills this process may kill its group.
        string[] shell = [.. ProgramOf("setsid") is { } apart ? [apart] : (string[])[], "sh", "-c", Keeper, "sh", ProgramOf("pg_ctl")!, Folder];
        _keeper = Begin(IsRoot ? "postgres" : null, shell[0], shell[1..], hasInput: true);
        string said = "";
        while (_keeper.StandardOutput.ReadLine() is { } line)
        {
            if (line == "started") return;
            said += line + "\n";
        }

        throw new InvalidOperationException($"PostgreSQL did not start: {said}{_keeper.StandardError.ReadToEnd()}");
    }

    /// <summary>As a crash: connections break, nothing is written in order.</summary>
    public void Stop() => End(inOrder: true);

    /// <summary>What the system does where this process is killed.</summary>
    internal void Abandon()
    {
        End(inOrder: false);
        _folder = null;
    }

    public void Dispose()
    {
        if (_folder is null) return;
        if (_keeper is not null) Stop();
        _folder.Delete(recursive: true);
    }

    private void End(bool inOrder)
    {
        using Process keeper = _keeper!;
        _keeper = null;
        if (inOrder) keeper.StandardInput.WriteLine();
        keeper.StandardInput.Close();
        keeper.StandardOutput.ReadToEnd();
        keeper.WaitForExit();
    }

    private void Make()
    {
        if (ProgramOf("initdb") is null) Requirements.Missing("postgres", "PostgreSQL's programs are not here; Debian's package is postgresql, and FED_POSTGRES names another folder of them.");
        _folder = Directory.CreateTempSubdirectory("fed-pg");
        if (IsRoot) RunAs(null, "chown", "postgres", Folder);
        Run("initdb", "-D", Path.Combine(Folder, "data"), "-U", "fed", "-A", "trust", "-E", "UTF8", "--no-sync");
        Start();
    }

    private static bool IsRoot => Environment.UserName == "root";

    private static IEnumerable<string> Installed() => Directory.Exists("/usr/lib/postgresql") ? Directory.EnumerateDirectories("/usr/lib/postgresql").OrderDescending().Select(version => Path.Combine(version, "bin")) : [];

    private static string? ProgramOf(string name) => s_places.Where(place => place.Length > 0).Select(place => Path.Combine(place, name)).FirstOrDefault(File.Exists);

    /// <summary>The server refuses to be root's.</summary>
    private static string Run(string program, params string[] arguments) => RunAs(IsRoot && program != "psql" ? "postgres" : null, ProgramOf(program)!, arguments);

    private static string RunAs(string? user, string program, params string[] arguments)
    {
        using Process process = Begin(user, program, arguments, hasInput: false);
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}: {output} {error.GetAwaiter().GetResult()}");
    }

    private static Process Begin(string? user, string program, string[] arguments, bool hasInput)
    {
        var start = new ProcessStartInfo(user is null ? program : "runuser") { RedirectStandardInput = hasInput, RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = "/" };
        foreach (string argument in (string[])[.. user is null ? (string[])[] : ["-u", user, "--", program], .. arguments]) start.ArgumentList.Add(argument);
        return Process.Start(start)!;
    }
}

using System.Diagnostics;

namespace Federation.Cli.Tests;

/// <summary>A running coordinator is backed up and restored by the command line.</summary>
public sealed class BackupVerbTests : IAsyncLifetime
{
    private readonly Workspace _workspace = new();
    private Fed? _server;

    public async ValueTask InitializeAsync()
    {
        Assert.Equal(0, (await Fed.RunAsync(_workspace.Folder, ["server", "init", "--state", "coordinator"])).ExitCode);
        _server = Start("coordinator");
        await _server.FirstLineAsync();
        _workspace.Write("passphrase", "a long enough one\n");
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is not null) await _server.DisposeAsync();
        _workspace.Dispose();
    }

    [Fact]
    public async Task Restore_OfABackupWithTheCa_StartsAsTheSameFederation()
    {
        FedResult made = await RunAsync("backup", "fed.tar", "--state", "coordinator", "--include-ca", "--passphrase-file", "passphrase", "--json");
        Assert.Equal((0, ""), (made.ExitCode, made.Error));
        await OutputSchema.AssertValidAsync("server-backup", made.Output);
        if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_workspace["fed.tar"]));

        FedResult restored = await RunAsync("restore", "fed.tar", "--state", "second", "--passphrase-file", "passphrase", "--json");
        Assert.Equal((0, ""), (restored.ExitCode, restored.Error));
        await OutputSchema.AssertValidAsync("server-restore", restored.Output);
        Assert.Equal(made.Json.GetProperty("federation").GetString(), restored.Json.GetProperty("federation").GetString());
        Assert.Equal(File.ReadAllText(_workspace["coordinator/ca/ca.pem"]), File.ReadAllText(_workspace["second/ca/ca.pem"]));
        Assert.Equal(0, (await Fed.RunAsync(_workspace.Folder, ["audit", "verify", "--state", "second"])).ExitCode);
        await using Fed second = Start("second");
        await second.FirstLineAsync();
    }

    [Fact]
    public async Task Admin_TheCredentialIsLost_AnotherIsMadeWhileTheCoordinatorIsStopped()
    {
        string[] make = ["admin", "--state", "coordinator", "--name", "second", "-o", "second.pem", "--json"];
        FedResult running = await RunAsync(make);
        Assert.Equal(2, running.ExitCode);
        Assert.Contains("in use by another coordinator", Assert.Single(running.ErrorLines), StringComparison.Ordinal);
        await _server!.InterruptAsync("TERM");
        await _server.EndAsync();

        FedResult made = await RunAsync(make), again = await RunAsync(make), log = await Fed.RunAsync(_workspace.Folder, ["audit", "verify", "--state", "coordinator"]);

        Assert.Equal((0, ""), (made.ExitCode, made.Error));
        await OutputSchema.AssertValidAsync("server-admin", made.Output);
        Assert.Equal((2, 0), (again.ExitCode, log.ExitCode));
        // The database knows how long the log was.
        File.WriteAllText(_workspace["coordinator/audit.jsonl"], File.ReadAllLines(_workspace["coordinator/audit.jsonl"])[0] + "\n");
        FedResult cut = await Fed.RunAsync(_workspace.Folder, ["audit", "verify", "--state", "coordinator"]);
        Assert.Equal((1, true), (cut.ExitCode, cut.Output.Contains("its end was cut off", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Restore_OfABackupWithoutTheCa_SaysThatItHasToBeBrought()
    {
        Assert.Equal(0, (await RunAsync("backup", "fed.tar", "--state", "coordinator")).ExitCode);
        FedResult restored = await RunAsync("restore", "fed.tar", "--state", "second");
        Assert.Equal(0, restored.ExitCode);
        Assert.Contains("ca.pem", restored.Output, StringComparison.Ordinal);
        FedResult again = await RunAsync("restore", "fed.tar", "--state", "second");
        Assert.Equal(2, again.ExitCode);
        Assert.Contains("not empty", Assert.Single(again.ErrorLines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Backup_WithoutAWordOfThePassphrase_IsRefusedAndLeavesNothing()
    {
        FedResult made = await RunAsync("backup", "fed.tar", "--state", "coordinator", "--include-ca");
        Assert.Equal(2, made.ExitCode);
        Assert.Contains("no passphrase", Assert.Single(made.ErrorLines), StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFiles(_workspace.Folder, "fed.tar*"));
    }

    [Fact] // no file of this process may grow beyond 4 kB
    public async Task Backup_OntoAFullDisk_IsOneLineAndLeavesNothing()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs ulimit");
        string fed = Path.Combine(AppContext.BaseDirectory, "fed");
        var start = new ProcessStartInfo("bash", ["-c", "trap '' XFSZ; ulimit -f 4; exec \"$@\"", "bash", fed, "server", "backup", "fed.tar", "--state", "coordinator"]) { WorkingDirectory = _workspace.Folder, RedirectStandardError = true, RedirectStandardOutput = true };
        start.Environment["DOTNET_EnableWriteXorExecute"] = "0"; // the runtime's own large files
        using Process process = Process.Start(start)!;
        string error = await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(1, process.ExitCode);
        Assert.Single(error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.Empty(Directory.EnumerateFiles(_workspace.Folder, "fed.tar*"));
    }

    [Fact]
    public async Task Server_PasswordOnTheCommandLine_IsRefusedWithoutShowingIt()
    {
        FedResult result = await Fed.RunAsync(_workspace.Folder, ["server", "--state", "coordinator", "--store", "Host=h;Username=u;Password=s3cret"]);
        Assert.Equal(2, result.ExitCode);
        Assert.DoesNotContain("s3cret", result.Error + result.Output, StringComparison.Ordinal);
        Assert.Contains("FED_STORE", Assert.Single(result.ErrorLines), StringComparison.Ordinal);
    }

    private Fed Start(string state) => Fed.Start(_workspace.Folder, ["server", "--state", state, "--nodes", "127.0.0.1:0", "--operators", "127.0.0.1:0", "--json"]);

    private Task<FedResult> RunAsync(params string[] args) => Fed.RunAsync(_workspace.Folder, ["server", .. args]);
}

using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Privacy.Ledger;
using Federation.Protocol.Identity;
using Federation.Server.Identity;
using Federation.Server.Storage;
using Federation.V1;
using Microsoft.Extensions.Logging;

namespace Federation.Server.Tests.Identity;

/// <summary>When no admin's credential is left, the machine's own administrator makes one; before that, the log has warned.</summary>
public sealed class LocalAdminTests : IAsyncLifetime
{
    private TestCoordinator _test = null!;

    private string Fresh => Path.Combine(_test.State, "admin2.pem");

    public async ValueTask InitializeAsync() => _test = await TestCoordinator.StartAsync();

    public ValueTask DisposeAsync() => _test.DisposeAsync();

    [Fact]
    public async Task Issue_AfterTheFirstAdminsIsLost_OperatesAndHasItsLine()
    {
        await _test.EnrolAsync("a"); // the first admin is taken down
        Assert.Contains("in use", Assert.Throws<InvalidInputException>(() => Issue("bob", Fresh)).Message, StringComparison.Ordinal);
        Assert.False(File.Exists(Fresh));
        await _test.StopAsync();
        Assert.Contains("not overwritten", Assert.Throws<InvalidInputException>(() => Issue("bob", _test.Folder.Admin)).Message, StringComparison.Ordinal);
        Assert.Contains("'admin' already", Assert.Throws<InvalidInputException>(() => Issue("admin", Fresh)).Message, StringComparison.Ordinal);
        Assert.False(File.Exists(Fresh));

        Issue("bob", Fresh);
        await _test.ListenAsync();

        var bob = new Operator.OperatorClient(_test.Channel(_test.Coordinator.OperatorsAddress, _test.Own(Credential.Load(Fresh))));
        await bob.RevokeOperatorAsync(new RevokeOperatorRequest { Name = "admin" });
        AuditVerification log = AuditVerification.Of(_test.Folder.Audit);
        Assert.Empty(log.Problems);
        Assert.Contains("(on this machine) issued the operator 'bob' (admin", log.Entries[^2].What, StringComparison.Ordinal);
        Assert.StartsWith("bob (admin, by certificate) revoked", log.Entries[^1].What, StringComparison.Ordinal);
        if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Fresh));
    }

    [Fact]
    public async Task Warnings_OperatorsWhoseCredentialsEndSoon_AreSaidAtTheStartAndEveryDay()
    {
        await _test.StopAsync();
        using var store = new SqliteStore(_test.Folder.Database);
        DateTimeOffset now = _test.Time.GetUtcNow();
        foreach ((string name, OperatorRole role, int days) in new[] { ("ann", OperatorRole.Admin, 31), ("bob", OperatorRole.Viewer, 20), ("eve", OperatorRole.Viewer, 400) }) store.AddOperator(new OperatorRecord(name, role, IsToken: name == "bob", name, now, now.AddDays(days)), now);
        var log = new SaidLog();
        var ending = new EndingCredentials(store, _test.Time, log);

        ending.Tick();
        ending.Tick();
        Assert.Contains("token of operator 'bob' (viewer) ends at", Assert.Single(log.Said), StringComparison.Ordinal);
        _test.Sleep(TimeSpan.FromDays(2));
        ending.Tick();
        Assert.Contains(log.Said[1..], line => line.Contains("certificate of operator 'ann' (admin)", StringComparison.Ordinal));
        _test.Sleep(TimeSpan.FromDays(40));
        log.Said.Clear();
        ending.Tick();
        Assert.Contains("fed server admin", Assert.Single(log.Said), StringComparison.Ordinal);
    }

    private void Issue(string name, string path) => LocalAdmin.Issue(new ServerConfiguration { State = _test.State }, name, path, _test.Time);

    private sealed class SaidLog : ILogger
    {
        public List<string> Said { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Said.Add(formatter(state, exception));
    }
}

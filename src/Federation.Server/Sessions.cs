using System.Collections.Concurrent;
using System.Text;
using Federation.Formats.Configuration;
using Federation.Privacy.Canonical;
using Federation.Server.Runs;
using Federation.Server.Storage;

namespace Federation.Server;

/// <summary>Which sites are there: heard of in the last 30 s. After a restart of the coordinator every enrolled site counts as heard of now.</summary>
public sealed class Sessions(ICoordinatorStore store, TimeProvider time)
{
    /// <summary>Longer than a long poll (20 s) and two heartbeats (10 s each).</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly SteadyTime _steady = new(time); // a clock that is set makes nobody come or go
    private readonly DateTimeOffset _started = time.GetUtcNow();
    private readonly ConcurrentDictionary<string, Session> _sessions = new(StringComparer.Ordinal);
    private long _polls;

    /// <param name="LastSeen">By the clock.</param>
    /// <param name="Heard">By the time that goes by.</param>
    /// <param name="Poll">Number of the newest long poll.</param>
    /// <param name="Waiting">Long polls under way.</param>
    /// <param name="EndedRun">A run whose end was handed out and is known to the site once it asks again.</param>
    /// <param name="Working">The run and round that the site's messages are counted for.</param>
    private sealed record Session(NodeRole Role, DateTimeOffset LastSeen, DateTimeOffset Heard, long Poll = 0, int Waiting = 0, bool Lost = false, string? EndedRun = null, (string Run, int Round)? Working = null);

    public void Join(string site, NodeRole role) => _sessions[site] = new Session(role, time.GetUtcNow(), _steady.GetUtcNow());

    /// <summary>The site may not come back under the key it had.</summary>
    public void Leave(string site) => _sessions.TryRemove(site, out _);

    public bool HasJoined(string site) => _sessions.ContainsKey(site);

    public NodeRole? RoleOf(string site) => _sessions.TryGetValue(site, out Session? session) ? session.Role : null;

    /// <summary>A call of the site arrived.</summary>
    public void Touch(string site) => Change(site, session => session with { LastSeen = time.GetUtcNow(), Heard = _steady.GetUtcNow(), Lost = false });

    /// <summary>The site waits for a task.</summary>
    /// <returns>The poll's number, for <see cref="Lose"/>.</returns>
    public long BeginPoll(string site)
    {
        long poll = Interlocked.Increment(ref _polls);
        Change(site, session => session with { Poll = poll, Waiting = session.Waiting + 1 });
        return poll;
    }

    /// <summary>The site's connection broke while it waited for a task. An older poll's end says nothing: the site has dialled again since.</summary>
    public void Lose(string site, long poll) => Change(site, session => session.Poll == poll ? session with { Lost = true } : session);

    /// <summary>A long poll is over, however it ended.</summary>
    public void EndPoll(string site) => Change(site, session => session with { Waiting = Math.Max(0, session.Waiting - 1) });

    /// <summary>Long polls of the site under way.</summary>
    internal int Polls(string site) => _sessions.TryGetValue(site, out Session? session) ? session.Waiting : 0;

    public void HandOutEnd(string site, string runId) => Change(site, session => session with { EndedRun = runId });

    /// <summary>The run whose end was handed out by the call before, if any; forgets it.</summary>
    public string? TakeEnd(string site)
    {
        string? run = _sessions.TryGetValue(site, out Session? session) ? session.EndedRun : null;
        if (run is not null) Change(site, current => current with { EndedRun = null });
        return run;
    }

    public void Work(string site, string runId, int round) => Change(site, session => session with { Working = (runId, round) });

    public (string Run, int Round)? WorkOf(string site) => _sessions.TryGetValue(site, out Session? session) ? session.Working : null;

    public bool IsLive(string site)
    {
        DateTimeOffset now = _steady.GetUtcNow();
        return _sessions.TryGetValue(site, out Session? session) ? !session.Lost && now - session.Heard < Patience : now - _started < Patience;
    }

    public DateTimeOffset? LastSeen(string site) => _sessions.TryGetValue(site, out Session? session) ? session.LastSeen : null;

    /// <summary>All enrolled sites that train, or have not said yet.</summary>
    public Roster Roster()
    {
        SiteRecord[] trainers = [.. store.Sites().Where(site => site.KeySha256 is not null && site.Role != NodeRole.Evaluator)];
        string identities = Sha256Hex.Of(Encoding.UTF8.GetBytes(string.Join('\n', trainers.Select(site => $"{site.Name} {site.KeySha256}"))));
        return new Roster(
            trainers.Select(site => site.Name).ToHashSet(StringComparer.Ordinal), trainers.Select(site => site.Name).Where(IsLive).ToHashSet(StringComparer.Ordinal), identities,
            trainers.ToDictionary(site => site.Name, site => site.Labels ?? SiteLabels.None, StringComparer.Ordinal));
    }

    private void Change(string site, Func<Session, Session> change)
    {
        while (_sessions.TryGetValue(site, out Session? session) && !_sessions.TryUpdate(site, change(session), session))
        {
        }
    }
}

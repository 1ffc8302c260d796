using System.Text;

namespace Federation.Privacy.Ledger;

/// <summary>
/// What somebody tried and was refused, and what an administrator did: JSON lines that only grow, each with the hash of the one before. A line is on disk when <see cref="Write"/> returns.
/// The chain shows edits, removals and re-ordering; a cut-off end shows only against a head that somebody else has kept.
/// </summary>
/// <remarks>
/// The same thing again and again is written when it happened 1, 2, 4, 8, … times, each line saying how often; so a flood fills no disk. Of a run's sentences of one kind, 64 are counted each by itself, further ones by their reason; of runs beyond 1,000, by kind and reason:
/// however much is thought up, what is refused for a reason of its own has a line. One process writes.
/// </remarks>
public sealed class AuditLog : IDisposable
{
    public const string FileName = "audit.jsonl";

    // Longest texts: what a line takes is bounded. A coordinator that thinks up ever new sentences or runs is counted by kind and reason from here on.
    private const int LongestWhat = 1000, LongestName = 100, MostSentences = 64, MostSubjects = 1000;

    private const int TailBytes = 1 << 16;

    private readonly FileStream _file;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private readonly Dictionary<(string Kind, string Run), Dictionary<(string Sentence, string Reason), Count>> _counts = [];
    private long _number, _length; // of what is known to be whole
    private string _hash = AuditEntry.Beginning;

    private AuditLog(FileStream file, TimeProvider time) => (_file, _time) = (file, time);

    /// <summary>What was wrong with the last lines when the log was opened; null: nothing. The log goes on behind them, and says so.</summary>
    public string? Problem { get; private set; }

    /// <summary>Opens or begins a log; reads only its last lines. An end that a crash cut short is taken off: that line had not counted.</summary>
    /// <exception cref="IOException">The file cannot be used, or another process writes it.</exception>
    /// <exception cref="UnauthorizedAccessException">The file cannot be used.</exception>
    public static AuditLog Open(string path, TimeProvider time)
    {
        var options = new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.Read, BufferSize = 1 };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        AuditLog log = new(new FileStream(path, options), time);
        try
        {
            log.ReadTail();
            if (log.Problem is { } problem) log.Write("log-broken", problem);
            return log;
        }
        catch
        {
            log.Dispose();
            throw;
        }
    }

    /// <summary>Adds a line, or counts it where it is a repetition.</summary>
    /// <param name="kind">Lower-case words with hyphens.</param>
    /// <param name="what">One sentence; of a longer one than 1000 characters the beginning.</param>
    /// <param name="reason">One of few names, no free text: refusals for one reason are of one sort, whatever numbers are in their sentences.</param>
    /// <returns>Null: it was only counted.</returns>
    /// <exception cref="IOException">It could not be written; the log is as before, and the next may be tried.</exception>
    public AuditEntry? Write(string kind, string what, string run = "", int round = 0, string reason = "")
    {
        (kind, what, run) = (Clean(kind, LongestName), Clean(what, LongestWhat), Clean(run, LongestName));
        lock (_lock)
        {
            Count count = CountOf(kind, run, what, reason);
            count.Times++;
            if (count.Written > 0 && count.Times < 2 * count.Written) return null;
            AuditEntry entry = Add(kind, what, run, round, count.Times);
            count.Written = count.Times;
            return entry;
        }
    }

    /// <summary>Adds a line in any case: what somebody did with power, each time anew.</summary>
    /// <param name="kind">As of <see cref="Write"/>, like the other parameters.</param>
    /// <exception cref="IOException">It could not be written; the log is as before, and the next may be tried.</exception>
    public AuditEntry Record(string kind, string what, string run = "")
    {
        lock (_lock) return Add(Clean(kind, LongestName), Clean(what, LongestWhat), Clean(run, LongestName), 0, 1);
    }

    public void Dispose() => _file.Dispose();

    private AuditEntry Add(string kind, string what, string run, int round, long times)
    {
        AuditEntry entry = AuditEntry.Make(_number + 1, _time.GetUtcNow(), kind, run, Math.Max(0, round), what, times, _hash);
        Append(Encoding.UTF8.GetBytes(entry.ToJson() + "\n"));
        (_number, _hash) = (entry.Number, entry.Hash);
        return entry;
    }

    private void Append(byte[] line)
    {
        if (_file.Length != _length) _file.SetLength(_length); // a piece of a line for which there was no room
        _file.Position = _length;
        try
        {
            _file.Write(line);
            _file.Flush(flushToDisk: true);
        }
        catch (IOException)
        {
            try
            {
                _file.SetLength(_length);
            }
            catch (IOException)
            {
                // tried again before the next line; until then a reader takes it for a line cut short
            }

            throw;
        }

        _length = checked(_length + line.Length);
    }

    private Count CountOf(string kind, string run, string what, string reason = "")
    {
        if (!_counts.TryGetValue((kind, run), out Dictionary<(string Sentence, string Reason), Count>? sentences))
        {
            (string, string) subject = _counts.Count < MostSubjects ? (kind, run) : ("", "");
            if (!_counts.TryGetValue(subject, out sentences)) sentences = _counts[subject] = [];
        }

        if (sentences.TryGetValue((what, ""), out Count? count)) return count;
        (string, string) key = sentences.Count < MostSentences ? (what, "") : ("", $"{kind} {reason}");
        return sentences.TryGetValue(key, out count) ? count : sentences[key] = new Count();
    }

    private void ReadTail()
    {
        long start = Math.Max(0, _file.Length - TailBytes);
        byte[] bytes = new byte[_file.Length - start];
        _file.Position = start;
        _file.ReadExactly(bytes);
        int end = bytes.AsSpan().LastIndexOf((byte)'\n') + 1, begin = start == 0 ? 0 : bytes.AsSpan().IndexOf((byte)'\n') + 1;
        _length = start + end;
        if (_file.Length != _length) _file.SetLength(_length);
        if (end <= begin) return;
        AuditChain chain = new(startsInTheMiddle: start > 0);
        foreach (string line in Encoding.UTF8.GetString(bytes, begin, end - begin - 1).Split('\n'))
        {
            if (chain.Add(line) is not { } entry) continue;
            Count count = CountOf(entry.Kind, entry.Run, entry.What);
            (count.Times, count.Written) = (Math.Max(count.Times, entry.Times), Math.Max(count.Written, entry.Times));
        }

        (_number, _hash) = (chain.Number, chain.Hash);
        if (chain.Problems.Count > 0) Problem = $"The last lines of the log were changed by somebody: {chain.Problems[0]} `fed audit verify` shows all.";
    }

    private static string Clean(string text, int longest)
    {
        if (text.Length > longest) text = text[..(char.IsHighSurrogate(text[longest - 1]) ? longest - 1 : longest)];
        return Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)); // half a character has no canonical bytes
    }

    private sealed class Count
    {
        public long Times { get; set; }

        public long Written { get; set; }
    }
}

using System.Text;

namespace Federation.Privacy.Ledger;

/// <summary>
/// What somebody tried and was refused, and what an administrator did: JSON lines that only grow, each with the hash of the one before. A line is on disk when <see cref="Write"/> returns.
/// The chain shows edits, removals and re-ordering; a cut-off end shows only against a head that somebody else has kept.
/// </summary>
/// <remarks>
/// The same thing again and again is written when it happened 1, 2, 4, 8, … times, each line saying how often; so a flood fills no disk. Of a run's sentences of one kind, 64 are counted each by itself, further ones by their reason; of runs beyond 1,000, by kind and reason:
/// however much is thought up, what is refused for a reason of its own has a line. Processes take turns at writing: before each line what others added is read, and whether the file in this place still is the log.
/// </remarks>
public sealed class AuditLog : IDisposable
{
    public const string FileName = "audit.jsonl";

    /// <summary>Kinds of lines about the log itself: lines that were changed; a file that took the log's place.</summary>
    public const string Broken = "log-broken", Replaced = "log-replaced";

    // Longest texts: what a line takes is bounded. A coordinator that thinks up ever new sentences or runs is counted by kind and reason from here on.
    private const int LongestWhat = 1000, LongestName = 100, MostSentences = 64, MostSubjects = 1000;

    private const int TailBytes = 1 << 16;

    private readonly string _path;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private readonly Dictionary<(string Kind, string Run), Dictionary<(string Sentence, string Reason), Count>> _counts = [];
    private long _number, _length; // of what is known to be whole
    private string _hash = AuditEntry.Beginning;
    private byte[] _last = []; // line, with its end
    private FileStream _file;

    private AuditLog(string path, TimeProvider time) => (_path, _time, _file) = (path, time, OpenFile(path));

    /// <summary>What was wrong with the last lines, or with the file, when it was looked at; null: nothing. The log goes on behind them, and says so.</summary>
    public string? Problem { get; private set; }

    /// <summary>Number and hash of the last line; 0 and zeros: there is none.</summary>
    public (long Count, string Hash) Head
    {
        get
        {
            lock (_lock) return (_number, _hash);
        }
    }

    /// <summary>Opens or begins a log; reads only its last lines. An end that a crash cut short is taken off: that line had not counted.</summary>
    /// <exception cref="IOException">The file cannot be used, or another process does not let go of it.</exception>
    /// <exception cref="UnauthorizedAccessException">The file cannot be used.</exception>
    public static AuditLog Open(string path, TimeProvider time)
    {
        AuditLog log = new(path, time);
        try
        {
            using (AuditTurn.Take(path)) log.ReadTail();
            if (log.Problem is { } problem) log.Write(Broken, problem);
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

    public void Dispose()
    {
        lock (_lock) _file.Dispose();
    }

    private AuditEntry Add(string kind, string what, string run, int round, long times)
    {
        try
        {
            using (AuditTurn.Take(_path))
            {
                ReadOn();
                return Append(kind, what, run, round, times);
            }
        }
        catch (UnauthorizedAccessException error)
        {
            throw new IOException(error.Message, error);
        }
    }

    private AuditEntry Append(string kind, string what, string run, int round, long times)
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

        (_length, _last) = (checked(_length + line.Length), line);
    }

    /// <summary>What became of the file since the last line: others may have added some, or put another in its place.</summary>
    private void ReadOn()
    {
        _file.Dispose();
        _file = OpenFile(_path); // anew: one that was moved away is the log no longer
        if (!EndsAsKnown())
        {
            (long Number, long Length, string Hash, byte[] Last) old = (_number, _length, _hash, _last);
            (_number, _length, _hash, _last) = (0, 0, AuditEntry.Beginning, []);
            try
            {
                ReadTail();
                Problem = FormattableString.Invariant($"The log was removed, cut or replaced while it was being written; its head was {old.Number}:{old.Hash}.");
                Append(Replaced, Problem, "", 0, 1);
            }
            catch
            {
                (_number, _length, _hash, _last) = old; // not said yet
                throw;
            }
        }
        else
        {
            string? problem = null;
            while (_file.Length > _length && ReadMore(ref problem))
            {
                // what others added
            }

            if (problem is null) return;
            Problem = $"Lines were added to the log by somebody: {problem}";
            Append(Broken, Problem, "", 0, 1);
        }
    }

    private bool ReadMore(ref string? problem)
    {
        byte[] bytes = new byte[Math.Min(_file.Length - _length, TailBytes)];
        _file.Position = _length;
        _file.ReadExactly(bytes);
        int end = bytes.AsSpan().LastIndexOf((byte)'\n') + 1;
        if (end == 0) return false; // cut short; taken off before the next line
        AuditChain chain = new(startsInTheMiddle: true);
        foreach (string line in Encoding.UTF8.GetString([.. _last, .. bytes.AsSpan(0, end - 1)]).Split('\n')) chain.Add(line);
        (_number, _hash, _length) = (chain.Number, chain.Hash, _length + end);
        _last = bytes[(bytes.AsSpan(0, end - 1).LastIndexOf((byte)'\n') + 1)..end];
        problem ??= chain.Problems.FirstOrDefault();
        return true;
    }

    private bool EndsAsKnown()
    {
        if (_file.Length < _length) return false;
        if (_last.Length == 0) return true;
        byte[] there = new byte[_last.Length];
        _file.Position = _length - there.Length;
        _file.ReadExactly(there);
        return there.AsSpan().SequenceEqual(_last);
    }

    private static FileStream OpenFile(string path)
    {
        var options = new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.ReadWrite | FileShare.Delete, BufferSize = 1 };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        return new FileStream(path, options);
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
        _last = bytes[(bytes.AsSpan(0, end - 1).LastIndexOf((byte)'\n') + 1)..end];
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

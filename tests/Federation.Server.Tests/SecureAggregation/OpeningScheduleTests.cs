using System.Collections.Immutable;
using System.Globalization;
using Federation.Privacy.SecureAggregation;
using Federation.Server.Runs;
using Federation.Server.SecureAggregation;
using Federation.Server.Storage;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Contribution = Federation.Server.Runs.Contribution;

namespace Federation.Server.Tests.SecureAggregation;

/// <summary>
/// The round's state machine, the coordinator's opening and the members', under random schedules: messages dropped, delayed, repeated and re-ordered; coordinator and members killed and restarted at any step.
/// Whatever happens: opened at most once, by one set of contributors, with at least the minimum, equal to the plain sum; and when the faults end, it is opened.
/// <c>FED_SCHEDULES</c> sets the number.
/// </summary>
public sealed class OpeningScheduleTests : IDisposable
{
    private static readonly int s_schedules = int.TryParse(Environment.GetEnvironmentVariable("FED_SCHEDULES"), CultureInfo.InvariantCulture, out int asked) ? asked : 1000;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("fed-schedules");
    private readonly FakeTimeProvider _time = new();
    private readonly SqliteStore _store;
    private readonly RunContext _context;
    private readonly List<(string, string)> _files = [];

    public OpeningScheduleTests()
    {
        _store = new SqliteStore(":memory:");
        var blobs = new BlobStore(Path.Combine(_folder.FullName, "blobs"));
        _context = new RunContext(_store, blobs, new Spool(Path.Combine(_folder.FullName, "spool")), new Sessions(_store, _time), new Traffic(), new Signal(), _time, NullLogger.Instance);
        _store.AddRun(new RunRecord("run", "run", "", "", _time.GetUtcNow(), "{}", false), new EventRecord(1, _time.GetUtcNow(), RunLog.Submitted, 0, "", "", "", null), new ModelRecord("run", 0, new string('0', 64), 0, _time.GetUtcNow()));
        for (int i = 0; i < SecureEpoch.Sites.Length; i++)
        {
            string path = Path.Combine(_folder.FullName, SecureEpoch.Sites[i]);
            File.WriteAllBytes(path, SecureEpoch.One.Contributions[i]);
            _files.Add((SecureEpoch.Sites[i], path));
        }
    }

    public void Dispose()
    {
        _store.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public void Opening_AnySchedule_HappensOnceByOneSetWithEnoughAndIsThePlainSum()
    {
        int opened = 0, abandoned = 0, replaced = 0;
        for (int seed = 0; seed < s_schedules; seed++)
        {
            using var schedule = new Schedule(seed, _context, _time, _files);
            string? wrong = schedule.Run();
            Assert.True(wrong is null, $"Schedule {seed}: {wrong}");
            if (schedule.IsOpened) opened++;
            else abandoned++;
            if (schedule.SetsAsked > 1) replaced++;
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{s_schedules} schedules: {opened} opened, {abandoned} abandoned with too few contributors, {replaced} by more than one set of members");
        Assert.True(opened > s_schedules / 2 && replaced > s_schedules / 20);
    }

    private sealed class Schedule(int seed, RunContext context, FakeTimeProvider time, List<(string Site, string Path)> files) : IDisposable
    {
        private static readonly string s_model = new('1', 64);
        private static readonly Federation.Server.Runs.Roster s_all = new(SecureEpoch.Sites.ToHashSet(), SecureEpoch.Sites.ToHashSet(), "same");

        private readonly Random _random = new(seed);
        private readonly Member[] _members = [.. Enumerable.Range(0, 4).Select(i => new Member(i))];
        private readonly List<(int Member, V1.OpeningAnswer Answer)> _answers = []; // on their way to the coordinator
        private readonly List<ulong> _sums = [];
        private RunState _state = Open(time.GetUtcNow());
        private OpeningSession? _session; // lost when the coordinator is killed

        public bool IsOpened => _sums.Count > 0;

        public int SetsAsked { get; private set; }

        /// <returns>What went wrong; null: nothing.</returns>
        public string? Run()
        {
            int steps = _random.Next(20, 120);
            for (int i = 0; i < steps && _state.Phase is RoundOpen or Aggregating; i++) Step(faults: true);
            foreach (Member member in _members) member.IsThere = true;
            for (int i = 0; i < 400 && _state.Phase is RoundOpen or Aggregating; i++) Step(faults: false);
            return Check();
        }

        public void Dispose() => _session?.Dispose();

        private static RunState Open(DateTimeOffset now)
        {
            var plan = new RunPlan(1, 3, TimeSpan.FromSeconds(60), SecureEpoch.Sites, null, Secure: true, MaxOpenings: 100);
            var phase = new RoundOpen(now, now + plan.Deadline, [.. SecureEpoch.Sites], ImmutableSortedDictionary.Create<string, Contribution>(StringComparer.Ordinal), []);
            return new RunState(plan, phase, SecureEpoch.Sites.ToImmutableSortedDictionary(site => site, _ => new RunSite(SiteStanding.Ready, [])), 1, 0, s_model, 1, new EpochKeys(1, "", "", "", "same", 0));
        }

        private void Step(bool faults)
        {
            switch (_random.Next(faults ? 12 : 7))
            {
                case 0:
                    int site = _random.Next(4);
                    Apply(new UpdateArrived(SecureEpoch.Sites[site], 1, s_model, new Contribution(new string((char)('a' + site), 64), 0)));
                    break;
                case 1:
                    time.Advance(TimeSpan.FromSeconds(_random.Next(faults ? 25 : 10)));
                    Apply(new Tick());
                    break;
                case 2 or 3:
                    Advance();
                    break;
                case 4:
                    Member asked = _members[_random.Next(4)];
                    if (asked.IsThere && _session?.TaskFor(asked.Site) is { } task) asked.Requests.Add(Read(task.RequestSha256));
                    break;
                case 5:
                    Member member = _members[_random.Next(4)];
                    if (member.IsThere && member.Requests.Count > 0) Work(member, killed: faults && _random.Next(6) == 0);
                    break;
                case 6:
                    if (_answers.Count > 0) Deliver(faults);
                    break;
                case 7:
                    KillCoordinator();
                    break;
                case 8:
                    _members[_random.Next(4)].Restart();
                    break;
                case 9:
                    Member moved = _members[_random.Next(4)];
                    moved.IsThere = !moved.IsThere;
                    break;
                case 10:
                    Member flooded = _members[_random.Next(4)];
                    if (flooded.Requests.Count > 0) flooded.Requests.Add(flooded.Requests[_random.Next(flooded.Requests.Count)]);
                    break;
                case 11:
                    if (_answers.Count > 0) _answers.RemoveAt(_random.Next(_answers.Count));
                    break;
            }
        }

        private void Apply(RunEvent happened) => _state = RunMachine.Apply(_state, happened, s_all, time.GetUtcNow()).State;

        private void Advance()
        {
            if (_state.Phase is not Aggregating closed) return;
            _session ??= new OpeningSession(context, "run", SecureEpoch.One.Round, SecureEpoch.One.Roster, [.. files.Where(file => closed.Contributions.ContainsKey(file.Site))]);
            if (_session.Advance(site => _members.Single(member => member.Site == site).IsThere) is { } opened)
            {
                using (opened) _sums.Add(opened.Coefficients[0]);
                Apply(new Aggregated(1, new string('2', 64)));
            }

            SetsAsked = Math.Max(SetsAsked, _session.SetsAsked);
        }

        private void Work(Member member, bool killed)
        {
            int place = _random.Next(member.Requests.Count);
            (string request, byte[] bytes) = member.Requests[place];
            member.Requests.RemoveAt(place);
            var answer = new V1.OpeningAnswer { RunId = "run", RequestSha256 = request };
            OpeningRequest asked = OpeningRequest.Decode(bytes);
            try
            {
                SignedOpeningAnswer given = member.Answer(asked, asked.Contributions.Select(contribution => Second(contribution.Site)));
                (answer.Answer, answer.Part) = (Google.Protobuf.ByteString.CopyFrom(given.Message.Encode()), Google.Protobuf.ByteString.CopyFrom(given.Part));
            }
            catch (ProtocolException refused)
            {
                answer.Refusal = refused.Message;
            }

            if (killed) member.Restart(); // after the record was written, before the answer left
            else _answers.Add((member.Index, answer));
        }

        private void Deliver(bool faults)
        {
            int place = _random.Next(_answers.Count);
            (int member, V1.OpeningAnswer answer) = _answers[place];
            if (!(faults && _random.Next(4) == 0)) _answers.RemoveAt(place); // else it comes again
            try
            {
                _session?.Receive(SecureEpoch.Sites[member], answer);
            }
            catch (ProtocolException)
            {
                // to another session's request: refused
            }
        }

        private void KillCoordinator()
        {
            _session?.Dispose();
            _session = null;
        }

        private string? Check()
        {
            if (_sums.Count > 1) return $"opened {_sums.Count} times";
            string[][] sets = [.. _members.SelectMany(member => member.Sets).Distinct().Select(set => set.Split(','))];
            if (sets.Length > 1) return $"{sets.Length} sets of contributors were answered";
            if (_members.FirstOrDefault(member => member.Asked.Distinct().Count() > 3) is { } generous) return $"{generous.Site} answered {generous.Asked.Distinct().Count()} active sets";
            if (sets.Length == 1 && sets[0].Length < 3) return $"a sum of {sets[0].Length} was answered";
            if (_sums.Count == 0) return _state.Phase is Aggregating ? "closed with enough, but never opened" : null;
            ulong plain = sets[0].Aggregate(0UL, (sum, site) => sum + (ulong)Math.Pow(1000, Array.IndexOf(SecureEpoch.Sites, site)));
            return _sums[0] == plain ? null : $"the sum is {_sums[0]}, the plain sum {plain}";
        }

        private (string Sha256, byte[] Bytes) Read(string sha256)
        {
            using FileStream file = context.Blobs.Open(sha256);
            byte[] bytes = new byte[file.Length];
            file.ReadExactly(bytes);
            return (sha256, bytes);
        }

        private static byte[] Second(string site)
        {
            byte[] file = SecureEpoch.One.Contributions[Array.IndexOf(SecureEpoch.Sites, site)];
            int half = (int)ContributionFile.BodyBytes(SecureEpoch.One.Round) / 2;
            return file[half..(2 * half)];
        }
    }

    /// <summary>A member: what it wrote down stays, all else goes with its process.</summary>
    private sealed class Member(int index)
    {
        private readonly List<OpeningEntry> _stored = [];
        private OpeningMember? _running;

        public int Index => index;

        public string Site => SecureEpoch.Sites[index];

        public bool IsThere { get; set; } = true;

        public List<(string Sha256, byte[] Bytes)> Requests { get; } = [];

        /// <summary>Contributors of each new answer.</summary>
        public List<string> Sets { get; } = [];

        public List<string> Asked { get; } = [];

        public SignedOpeningAnswer Answer(OpeningRequest request, IEnumerable<byte[]> seconds)
        {
            _running ??= SecureEpoch.One.Member(index, OpeningRecord.Load(_stored.Select(entry => (entry.Bytes, (byte[]?)entry.Answer))), entry =>
            {
                _stored.Add(entry);
                Sets.Add(string.Join(',', request.Contributions.Select(contribution => contribution.Site)));
                Asked.Add(string.Join(',', request.Active));
            });
            return _running.Answer(request, seconds);
        }

        public void Restart()
        {
            _running = null;
            Requests.Clear();
        }
    }
}

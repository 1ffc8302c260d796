using System.Diagnostics;
using System.Globalization;
using Federation.Server.Runs;
using Federation.Server.Storage;

namespace Federation.Server.Tests.SecureAggregation;

/// <summary>
/// Whole runs under random schedules of failures and lies; <see cref="ScheduleRules"/> says what must hold. <c>FED_SCHEDULES</c> sets how many; <c>FED_SCHEDULE</c> runs the one with that seed and prints all that happens in it.
/// </summary>
public sealed class RunScheduleTests
{
    private static readonly int? s_only = int.TryParse(Environment.GetEnvironmentVariable("FED_SCHEDULE"), CultureInfo.InvariantCulture, out int seed) ? seed : null;
    private static readonly int s_schedules = int.TryParse(Environment.GetEnvironmentVariable("FED_SCHEDULES"), CultureInfo.InvariantCulture, out int asked) ? asked : 1000;

    [Fact]
    public async Task AnySchedule_OfFailuresAndLies_OpensOneSumARoundAndEnds()
    {
        if (s_only is { } only)
        {
            Print(only);
            return;
        }

        int completed = 0, openings = 0, replaced = 0, restored = 0, lying = 0, next = -1;
        List<string> broken = [];
        string firstTrace = "";
        long began = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, Environment.ProcessorCount).Select(_ => Task.Factory.StartNew(Work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
        TestContext.Current.TestOutputHelper?.WriteLine($"{s_schedules} schedules in {Stopwatch.GetElapsedTime(began).TotalSeconds:0.0} s: {completed} runs completed, {openings} sums opened, {replaced} with members replaced, {restored} with a store put back, {lying} with a lying coordinator");
        if (firstTrace.Length > 0) TestContext.Current.TestOutputHelper?.WriteLine(firstTrace);
        Assert.True(broken.Count == 0, string.Join('\n', broken.Take(20)));
        // A simulator in which nothing happens would find nothing.
        if (s_schedules >= 1000) Assert.True(completed > s_schedules / 2 && replaced > s_schedules / 4 && restored > s_schedules / 20 && lying > s_schedules / 5);

        void Work()
        {
            using ScheduleWorker worker = new();
            while (Interlocked.Increment(ref next) is var seed && seed < s_schedules)
            {
                using RunSchedule schedule = worker.Schedule(seed);
                string? wrong;
                try
                {
                    wrong = schedule.Run();
                }
#pragma warning disable CA1031 // told with its seed
                catch (Exception error)
#pragma warning restore CA1031
                {
                    wrong = error.ToString();
                }

                lock (broken)
                {
                    if (wrong is not null) broken.Add($"FED_SCHEDULE={seed}: {wrong}");
                    if (wrong is not null && firstTrace.Length == 0) firstTrace = schedule.Trace;
                    if (schedule.Coordinator.State.Phase is Ended { How: RunEnd.Completed }) completed++;
                    openings += schedule.Rules.Openings;
                    if (schedule.Rules.MostActiveSets > 1) replaced++;
                    if (schedule.Sites.Any(site => site.IsRestored)) restored++;
                    if (schedule.IsCoordinatorLying) lying++;
                }
            }
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Schedule_TheSameSeed_GivesTheSameTrace(int seed)
    {
        string[] traces = [.. Enumerable.Range(0, 2).Select(_ =>
        {
            using ScheduleWorker worker = new(); // other keys, other folders
            using RunSchedule schedule = worker.Schedule(seed);
            schedule.Run();
            return schedule.Trace;
        })];
        Assert.Equal(traces[0], traces[1]);
        Assert.True(traces[0].Count('\n') > 20);
    }

    private static void Print(int seed)
    {
        using ScheduleWorker worker = new();
        using RunSchedule schedule = worker.Schedule(seed);
        string? wrong = schedule.Run();
        TestContext.Current.TestOutputHelper?.WriteLine(schedule.Trace);
        Assert.Null(wrong);
    }

    /// <summary>What one thread's schedules share: sites with their keys, a folder.</summary>
    private sealed class ScheduleWorker : IDisposable
    {
        private readonly Dictionary<int, ScheduleFederation> _federations = [];
        private readonly DirectoryInfo _folder = Directory.Exists("/dev/shm") ? Directory.CreateDirectory(Path.Combine("/dev/shm", $"fed-schedules-{Guid.NewGuid():n}")) : Directory.CreateTempSubdirectory("fed-schedules");
        private BlobStore? _blobs;

        public RunSchedule Schedule(int seed)
        {
            bool isReal = seed % 250 == 249; // the protocol's own ring costs a hundred times as much
            int sites = isReal ? 4 : seed % 12 == 11 ? 6 : 4 + (seed % 4 / 3);
            if (!_federations.TryGetValue(isReal ? 0 : sites, out ScheduleFederation? federation)) _federations[isReal ? 0 : sites] = federation = new(sites, isReal);
            _blobs ??= new BlobStore(Path.Combine(_folder.FullName, "blobs"));
            return new RunSchedule(seed, federation, _blobs, _folder.FullName, isReal);
        }

        public void Dispose()
        {
            foreach (ScheduleFederation federation in _federations.Values) federation.Dispose();
            _folder.Delete(recursive: true);
        }
    }
}

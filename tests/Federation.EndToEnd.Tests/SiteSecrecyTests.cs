using System.Text;
using Federation.Client;
using Federation.Formats.Configuration;
using Federation.Formats.Models;
using Federation.Learning;
using Federation.V1;
using EvaluationSums = Federation.Formats.Evaluation.EvaluationSums;

namespace Federation.EndToEnd.Tests;

/// <summary>A run that cannot be done at a site: its log says what stands in which line of its table, the coordinator hears neither.</summary>
public sealed class SiteSecrecyTests
{
    private const string Cell = "Q7ZPLANTED", Table = $"x,colour,y\n0.5,red,1\n{Cell},{Cell},0\n0.5,{Cell},0\n0.5,red,{Cell}\n\"{Cell}\n";

    private static readonly string[] s_sites = ["a", "b", "c"];

    private static string Spec(string secure = "none") => SyntheticSites.Spec(least: 3, secure: secure);

    [Fact]
    public async Task Training_WithASchemaThatDoesNotFit_SendsNothingOfATable() => Assert.Equal(
        ["a.csv: x: A value there does not fit the schema.", "a.csv: colour: A value there does not fit the schema.", "a.csv: y: A value there does not fit the schema.", "a.csv: row: A value there does not fit the schema."],
        await RefusedAsync(federation => federation.SubmitAsync(Spec(), SyntheticSites.SchemaYaml, SyntheticSites.Initial(Spec()))));

    [Fact]
    public async Task Statistics_WithASchemaThatDoesNotFit_SendNothingOfATable() => Assert.Equal(
        ["a.csv: x: A value there does not fit the schema.", "a.csv: colour: A value there does not fit the schema.", "a.csv: y: A value there does not fit the schema.", "a.csv: row: A value there does not fit the schema."],
        await RefusedAsync(async federation => (await federation.Operator.SubmitRunAsync(new SubmitRunRequest
        {
            SpecYaml = "name: s\ndata: { schema: s }\nstatistics: { bins: 10 }\ncohort: { sites: all, minContributors: 3, deadline: 60s }\nsecureAggregation: threshold-bfv\n", SchemaYaml = SyntheticSites.SchemaYaml,
        })).RunId));

    [Fact] // a file without a heading, and a schema that asks for one: its first row is a record
    public async Task Training_WithARecordInPlaceOfTheHeading_SendsNothingOfIt() => Assert.Equal(
        ["a.csv: x: The column is missing.", "a.csv: colour: The column is missing.", "a.csv: y: The column is missing.", "a.csv: heading: A value there does not fit the schema."],
        (await RefusedAsync(federation => federation.SubmitAsync(Spec(), SyntheticSites.SchemaYaml, SyntheticSites.Initial(Spec())), $"{Cell},{Cell},colou\n1,red,1\n")).OrderBy(sentence => sentence.Contains("heading", StringComparison.Ordinal)));

    [Theory] // the table changed after it was checked, or a program of one's own quotes a record in its exception
    [InlineData(false)]
    [InlineData(true)]
    public async Task Round_WhoseLearnerFails_SendsNothingOfARecord(bool isOfTheLearner)
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        var log = new KeptLog();
        var failing = new FailingLearner(isOfTheLearner ? new FormatException($"'{Cell}' was not in a correct format.") : new Formats.InvalidInputException(new Formats.Problem($"'{Cell}' is no number.", "/records/a.csv", 17, "x")));
        List<Task> nodes = [];
        foreach (string site in s_sites)
        {
            await federation.EnrollAsync(site);
            nodes.Add(federation.RunNodeAsync(site, site == "a" ? failing : new SteppingLearner(1), loggers: site == "a" ? log : null));
        }

        string run = await federation.SubmitAsync(OneVector.Spec(rounds: 1, least: 2, secure: "none"), "", OneVector.Initial(4));
        await Task.WhenAll(nodes);
        await SecretAsync(federation, run, log);
        Assert.Contains(isOfTheLearner ? "FormatException" : "a.csv: x: A value there does not fit the schema.", (await federation.WaitForAsync(run, "site-failed")).Message, StringComparison.Ordinal);
    }

    private static async Task<IReadOnlyList<string>> RefusedAsync(Func<TestFederation, Task<string>> submit, string table = Table)
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var log = new KeptLog();
        List<ILocalLearner> learners = [];
        List<Task> nodes = [];
        foreach (string site in s_sites)
        {
            await federation.EnrollAsync(site);
            DataSource data = SyntheticSites.Write(federation.Folder, site, text: site == "a" ? table : null);
            learners.Add(SyntheticSites.Learner(data));
            nodes.Add(federation.RunNodeAsync(site, learners[^1], data: [data], policy: new NodePolicy(AllowStatistics: true), loggers: site == "a" ? log : null, cancellationToken: stop.Token));
        }

        string run = await submit(federation);
        await federation.WaitForAsync(run, "failed"); // three are needed
        await SecretAsync(federation, run, log);
        await stop.CancelAsync();
        await Task.WhenAll(nodes).ContinueWith(_ => { }, TaskScheduler.Default);
        foreach (ILocalLearner learner in learners) learner.Dispose();
        return [.. (await federation.ShowAsync(run)).Sites.Single(site => site.Name == "a").Mismatches];
    }

    private static async Task SecretAsync(TestFederation federation, string run, KeptLog log)
    {
        Assert.Contains(log.Lines, line => line.Contains(Cell, StringComparison.Ordinal));
        Assert.DoesNotContain(Cell, (await federation.ShowAsync(run)).ToString(), StringComparison.Ordinal);
        foreach (string file in Directory.EnumerateFiles(federation.State, "*", SearchOption.AllDirectories).Where(file => Path.GetFileName(file) != "lock"))
        {
            using FileStream open = new(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            byte[] bytes = new byte[open.Length];
            open.ReadExactly(bytes);
            Assert.False(bytes.AsSpan().IndexOf(Encoding.UTF8.GetBytes(Cell)) >= 0, $"{file} holds a value of a table.");
        }
    }

    private sealed class FailingLearner(Exception error) : ILocalLearner
    {
        public IReadOnlyList<string> Check(LearningTask task, ModelState initial) => [];

        public TrainingResult Train(LearningTask task, int round, ModelState start, CancellationToken cancellationToken) => throw error;

        public EvaluationSums Evaluate(LearningTask task, ModelState model, CancellationToken cancellationToken) => new() { Examples = 0, Correct = 0, LogLossSum = 0, BrierSum = 0 };

        public void Dispose()
        {
        }
    }
}

using Federation.Formats.Configuration;
using Federation.Formats.Models;
using Federation.Protocol;
using Federation.Server.Runs;
using Federation.V1;
using Grpc.Core;
using Model = Federation.V1.Model;
using NodeRole = Federation.V1.NodeRole;

namespace Federation.Server.Tests.Services;

/// <summary>Old models of runs that are over are given up, and no others.</summary>
public sealed class RetentionTests
{
    private static readonly ModelState Good = Tiny.Update(1, 2, 3, 4);

    [Fact]
    public async Task Tick_DaysAfterTheEnd_LeavesTheFirstTheNewestAndTheBest()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync(retention: new RetentionRule(2, 7));
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        TestNode evaluator = await test.EnrolAsync("judge", NodeRole.Evaluator);
        string run = await test.OpenRoundAsync(nodes, spec: Tiny.Spec(rounds: 6));
        for (int round = 1; round <= 6; round++)
        {
            foreach (TestNode node in nodes) await node.ContributeAsync(run, Good);
            await test.SummedAsync(run);
        }

        Assert.Equal("completed", test.StateOf(run).PhaseName);
        for (int round = 0; round < 4; round++) await EvaluateAsync(evaluator, run, correct: round == 2 ? 9UL : 5);
        string other = await test.SubmitAsync(Tiny.Model(0, 0, 0, 1)); // of one that goes on nothing is given up
        Assert.All(await ModelsAsync(test, run), model => Assert.False(model.Removed));
        test.Sleep(TimeSpan.FromDays(6));
        test.Wait();
        Assert.All(await ModelsAsync(test, run), model => Assert.False(model.Removed));
        test.Sleep(TimeSpan.FromDays(2));
        test.Wait();

        Model[] models = await ModelsAsync(test, run);
        Assert.Equal([0U, 2, 5, 6], models.Where(model => !model.Removed).Select(model => model.Round));
        Assert.False(Assert.Single(await ModelsAsync(test, other)).Removed);
        await Tiny.RefusedAsync(Refusal.UnknownBlob, StatusCode.NotFound, () => test.DownloadAsync(models[1].Sha256), "removed by retention");
        await test.DownloadAsync(models[^1].Sha256);
        // An evaluator that comes late is asked for what is left.
        Assert.Equal((5U, 6U), (await EvaluateAsync(evaluator, run, 5), await EvaluateAsync(evaluator, run, 5)));
        Assert.Equal(run, (await evaluator.NextAsync()).RunEnded.RunId);
        await test.CrashAsync();
        Assert.Equal(models.Select(model => model.Removed), (await ModelsAsync(test, run)).Select(model => model.Removed));
    }

    [Fact] // the last model of one run may be the first of the next
    public async Task Tick_ModelThatAnotherRunNeeds_Stays()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync(retention: new RetentionRule(1, 0));
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes, spec: Tiny.Spec(rounds: 3));
        foreach (TestNode node in nodes) await node.ContributeAsync(run, Good);
        await test.SummedAsync(run);
        string second = await test.SubmitAsync(await test.DownloadAsync(test.StateOf(run).ModelSha256));
        for (int round = 2; round <= 3; round++)
        {
            foreach (TestNode node in nodes)
            {
                // The second run is refused, and its end told, before or between.
                for (NodeTask task = await node.NextAsync(); task.Train is null; task = await node.NextAsync())
                {
                    if (task.CheckData is { } check) await node.Client.ReportReadinessAsync(new ReadinessReport { RunId = check.Run.RunId, Mismatches = { "not this one" } });
                }

                await node.ContributeAsync(run, Good);
            }

            await test.SummedAsync(run);
        }

        test.Sleep(TimeSpan.FromHours(2));
        test.Wait();
        Model[] models = await ModelsAsync(test, run);
        Assert.Equal([false, false, true, false], models.Select(model => model.Removed));
        Assert.Equal(models[1].Sha256, Assert.Single(await ModelsAsync(test, second)).Sha256);
    }

    private static async Task<uint> EvaluateAsync(TestNode evaluator, string run, ulong correct)
    {
        Evaluate task = (await evaluator.NextAsync()).Evaluate;
        Assert.Equal(run, task.Run.RunId);
        await evaluator.Client.ReportEvaluationAsync(new EvaluationReport { RunId = run, Round = task.Round, ModelSha256 = task.ModelSha256, Sums = new EvaluationSums { Examples = 10, Correct = correct, LogLossSum = 10 - correct, BrierSum = 10 - correct } });
        return task.Round;
    }

    private static async Task<Model[]> ModelsAsync(TestCoordinator test, string run) => [.. (await test.Operator.ListModelsAsync(new ListModelsRequest { RunId = run })).Models.OrderBy(model => model.Round)];
}

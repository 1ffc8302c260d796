using Federation.Formats;
using Federation.Formats.Models;
using Federation.Protocol;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;

namespace Federation.Server.Tests.Services;

public sealed class OperatorTests : IAsyncLifetime
{
    private const string Schema = """
        name: made-up
        columns:
          - { name: age, kind: number, unit: years, range: [0, 120] }
          - { name: disease, kind: label, categories: [0, 1] }
          - { name: stage, kind: label, categories: [0, 1, 2] }
        """;

    private TestCoordinator _test = null!;

    public async ValueTask InitializeAsync() => _test = await TestCoordinator.StartAsync();

    public ValueTask DisposeAsync() => _test.DisposeAsync();

    [Fact]
    public async Task Submit_SpecWithProblems_IsRefusedWithAllOfThemAndTheirLines()
    {
        string spec = Tiny.Spec().Replace("rounds: 2", "rouns: 2", StringComparison.Ordinal).Replace("batchSize: 1", "batchSize: 0", StringComparison.Ordinal);
        RpcException error = await Tiny.RefusedAsync(Refusal.Invalid, StatusCode.InvalidArgument, () => _test.SubmitAsync(spec: spec));
        IReadOnlyList<Problem> problems = RpcError.Describe(error);
        Assert.Contains(problems, problem => problem is { Field: "rouns", Line: 3 } && problem.Repair!.Contains("rounds", StringComparison.Ordinal));
        Assert.Contains(problems, problem => problem is { Field: "local.batchSize", Line: 6 });
        Assert.Empty((await _test.Operator.ListRunsAsync(new ListRunsRequest())).Runs);
    }

    [Fact]
    public async Task Submit_SpecWithThousandsOfProblems_IsRefusedInAStatusThatArrives()
    {
        string spec = Tiny.Spec() + string.Concat(Enumerable.Range(0, 3000).Select(i => $"\nunknown-field-{i}: {i}"));
        RpcException error = await Tiny.RefusedAsync(Refusal.Invalid, StatusCode.InvalidArgument, () => _test.SubmitAsync(spec: spec), "more)");
        IReadOnlyList<Problem> problems = RpcError.Describe(error);
        Assert.InRange(problems.Count, 51, 2999);
        Assert.Equal($"And {3000 - problems.Count + 1} more problems.", problems[^1].Message);
    }

    [Fact]
    public async Task Submit_NameOfManyForeignLetters_IsRefusedInAStatusThatArrives() =>
        await Tiny.RefusedAsync(Refusal.Invalid, StatusCode.InvalidArgument, () => _test.SubmitAsync(spec: Tiny.Spec().Replace("name: tiny", $"name: {new string('病', 200_000)}", StringComparison.Ordinal)));

    [Theory]
    [InlineData("diseas", "binary-classification", "disease")]
    [InlineData("age", "binary-classification", "no label 'age'")]
    [InlineData("stage", "binary-classification", "3 classes")]
    public async Task Submit_LabelThatIsNoneOfTheSchema_IsRefused(string label, string kind, string says) =>
        await Tiny.RefusedAsync(Refusal.Invalid, StatusCode.InvalidArgument, () => _test.SubmitAsync(spec: Tabular(label, kind), schema: Schema), says);

    [Fact]
    public async Task Submit_WithoutTheSchemaItNeeds_IsRefused() =>
        await Tiny.RefusedAsync(Refusal.Invalid, StatusCode.InvalidArgument, () => _test.SubmitAsync(spec: Tabular("disease")));

    [Fact]
    public async Task Submit_SchemaForAModelOfOnesOwn_IsRefusedAndTheCoordinatorStartsAgain()
    {
        await Tiny.RefusedAsync(Refusal.Invalid, StatusCode.InvalidArgument, () => _test.SubmitAsync(schema: "{ not: a: schema"));
        await _test.CrashAsync();
        Assert.Empty((await _test.Operator.ListRunsAsync(new ListRunsRequest())).Runs);
    }

    [Fact]
    public async Task Submit_SpecAndSchemaTooLargeForATask_IsRefused() =>
        await Tiny.RefusedAsync(Refusal.WrongSize, StatusCode.InvalidArgument, () => _test.SubmitAsync(spec: Tabular("disease"), schema: Schema + "# " + new string('€', 400_000)), "1048576 are allowed");

    [Fact]
    public async Task Submit_InitialModelNeverUploaded_IsRefused() => await Tiny.RefusedAsync(Refusal.UnknownBlob, StatusCode.NotFound, async () =>
        await _test.Operator.SubmitRunAsync(new SubmitRunRequest { SpecYaml = Tiny.Spec(), InitialModelSha256 = new string('0', 64) }), "UploadBlob");

    [Fact]
    public async Task Submit_InitialModelHoldsNaN_IsRefused() =>
        await Tiny.RefusedAsync(Refusal.NotFinite, StatusCode.InvalidArgument, () => _test.SubmitAsync(Tiny.Model(1, 2, float.NaN, 4)));

    [Fact]
    public async Task Submit_InitialModelIsNotCanonical_IsRefused()
    {
        byte[] bytes = Tiny.Model().ToBytes();
        int at = bytes.AsSpan().IndexOf("\"bias\""u8);
        bytes[at + 1] = (byte)'z'; // names out of order
        await _test.UploadAsync(bytes, Federation.Privacy.Canonical.Sha256Hex.Of(bytes));
        await Tiny.RefusedAsync(Refusal.WrongLayout, StatusCode.InvalidArgument, async () =>
            await _test.Operator.SubmitRunAsync(new SubmitRunRequest { SpecYaml = Tiny.Spec(), InitialModelSha256 = Federation.Privacy.Canonical.Sha256Hex.Of(bytes) }), "canonical");
    }

    [Fact]
    public async Task Show_ByABeginningOrLatest_FindsTheRun()
    {
        await Tiny.RefusedAsync(Refusal.UnknownRun, StatusCode.NotFound, () => _test.ShowAsync("latest"), "No run was submitted");
        string first = await _test.SubmitAsync(), second = await _test.SubmitAsync();
        Assert.Matches("^[0-9a-f]{16}$", first);
        Assert.Equal(second, (await _test.ShowAsync("latest")).Summary.RunId);
        Assert.Equal(first, (await _test.ShowAsync(first[..8])).Summary.RunId);
        foreach (string none in new[] { "", "x", first + "0" }) await Tiny.RefusedAsync(Refusal.UnknownRun, StatusCode.NotFound, () => _test.ShowAsync(none));
    }

    [Fact]
    public async Task Show_ABeginningOfSeveralRuns_IsRefused()
    {
        List<string> runs = [];
        while (runs.GroupBy(run => run[0]).All(group => group.Count() == 1)) runs.Add(await _test.SubmitAsync());
        await Tiny.RefusedAsync(Refusal.UnknownRun, StatusCode.InvalidArgument, () => _test.ShowAsync(runs.GroupBy(run => run[0]).First(group => group.Count() > 1).Key.ToString()), "Write more");
    }

    [Fact]
    public async Task UploadBlob_OtherContentThanAnnounced_IsRefusedAndNotKept()
    {
        byte[] bytes = [1, 2, 3];
        string sha256 = Federation.Privacy.Canonical.Sha256Hex.Of(bytes);
        await Tiny.RefusedAsync(Refusal.WrongHash, StatusCode.DataLoss, () => _test.UploadAsync([1, 2, 4], sha256));
        await Tiny.RefusedAsync(Refusal.WrongHash, StatusCode.InvalidArgument, () => _test.UploadAsync(bytes, "../../state.db"));
        foreach ((ulong size, ulong offset, Refusal expected) in new[] { (2UL, 0UL, Refusal.WrongSize), (4UL, 0UL, Refusal.WrongSize), (3UL, 1UL, Refusal.WrongOffset) })
        {
            using AsyncClientStreamingCall<BlobChunk, BlobReply> call = _test.Operator.UploadBlob();
            await call.RequestStream.WriteAsync(new BlobChunk { Sha256 = sha256, Size = size, Offset = offset, Data = ByteString.CopyFrom(bytes) });
            try
            {
                await call.RequestStream.CompleteAsync();
            }
            catch (Exception error) when (error is RpcException or InvalidOperationException)
            {
                // answered already
            }

            Assert.Equal(expected, RpcError.ReasonOf(await Assert.ThrowsAsync<RpcException>(async () => await call.ResponseAsync)));
        }

        Assert.Empty(Directory.EnumerateFiles(_test.Folder.Blobs));
    }

    [Fact]
    public async Task UploadBlob_LargerThanThirtyMegabytes_IsTaken()
    {
        ModelState model = Tiny.Large(8_500_000); // beyond the web server's own limit for a request
        await _test.SubmitAsync(model);
        Assert.Equal(model.Header.FileLength, new FileInfo(Path.Combine(_test.Folder.Blobs, model.Sha256)).Length);
    }

    [Fact]
    public async Task Models_OfARun_AreListedWithTheirEvaluations()
    {
        TestNode[] nodes = await _test.EnrolAllAsync("a", "b", "c");
        TestNode judge = await _test.EnrolAsync("judge", NodeRole.Evaluator);
        string run = await _test.OpenRoundAsync(nodes, spec: Tiny.Spec(rounds: 1));
        foreach (TestNode node in nodes) await node.ContributeAsync(run, Tiny.Update(1, 2, 3, 4));
        await _test.SummedAsync(run);
        for (uint round = 0; round <= 1; round++)
        {
            Evaluate task = (await judge.NextAsync()).Evaluate;
            Assert.Equal((run, round), (task.Run.RunId, task.Round));
            await judge.Client.ReportEvaluationAsync(new EvaluationReport { RunId = run, Round = round, ModelSha256 = task.ModelSha256, Sums = Sums(10, 5 + round) });
        }

        Assert.Equal("completed", (await judge.NextAsync()).RunEnded.State);
        ListModelsReply models = await _test.Operator.ListModelsAsync(new ListModelsRequest { RunId = run });
        Assert.Equal([0U, 1U], models.Models.Select(model => model.Round));
        Assert.Equal([0.5, 0.6], models.Models.Select(model => Assert.Single(model.Evaluations).Metrics.Accuracy));
        Assert.All(models.Models, model => Assert.Equal("judge", model.Evaluations[0].Source));
        RpcException error = await Tiny.RefusedAsync(Refusal.WrongModel, StatusCode.FailedPrecondition, async () =>
            await judge.Client.ReportEvaluationAsync(new EvaluationReport { RunId = run, Round = 1, ModelSha256 = new string('0', 64), Sums = Sums(10, 5) }));
        Assert.NotNull(error);
    }

    [Fact]
    public async Task Evaluation_FederatedAndOneSiteReportsNonsense_OnlyItsReportIsRefused()
    {
        TestNode[] nodes = await _test.EnrolAllAsync("a", "b", "c");
        string run = await _test.OpenRoundAsync(nodes, spec: Tiny.Spec(rounds: 1, extra: "evaluate: { every: 1 }"));
        foreach (TestNode node in nodes) await node.ContributeAsync(run, Tiny.Update(1, 2, 3, 4));
        await _test.SummedAsync(run);
        EvaluationSums[] nonsense =
        [
            Sums(5, 9), Sums(ulong.MaxValue, 1), new EvaluationSums { Examples = 10, LogLossSum = double.MaxValue }, new EvaluationSums { Examples = 10, BrierSum = double.PositiveInfinity },
            new EvaluationSums { Examples = 10, LogLossSum = double.NaN }, new EvaluationSums { Examples = 10, NegativeHistogram = { 1, 2, 3 }, PositiveHistogram = { 1 } },
        ];
        foreach (EvaluationSums sums in nonsense)
        {
            await Tiny.RefusedAsync(Refusal.Invalid, StatusCode.InvalidArgument, async () => await nodes[0].Client.ReportEvaluationAsync(new EvaluationReport { RunId = run, Round = 1, Sums = sums }));
        }

        foreach (TestNode node in nodes)
        {
            Assert.Equal(1U, (await node.NextAsync()).Evaluate.Round);
            await node.Client.ReportEvaluationAsync(new EvaluationReport { RunId = run, Round = 1, Sums = Sums(10, 7) });
        }

        Assert.Equal("completed", _test.StateOf(run).PhaseName);
        Metrics metrics = (await _test.Operator.ListModelsAsync(new ListModelsRequest { RunId = run })).Models[1].Evaluations.Single().Metrics;
        Assert.Equal((30UL, 0.7), (metrics.Examples, metrics.Accuracy));
    }

    private static EvaluationSums Sums(ulong examples, ulong correct) => new() { Examples = examples, Correct = correct, LogLossSum = 1, BrierSum = 1 };

    private static string Tabular(string label, string kind = "binary-classification") => $$"""
        name: tabular
        data: { schema: made-up.schema.yaml }
        model: { kind: logistic }
        task: { kind: {{kind}}, label: {{label}} }
        rounds: 1
        seed: 1
        cohort: { sites: all, minContributors: 1, deadline: 60s }
        local: { optimizer: { kind: sgd, learningRate: 0.1 }, batchSize: 1 }
        privacy: none
        secureAggregation: none
        """;
}

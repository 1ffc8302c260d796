using System.Diagnostics;
using System.Globalization;
using Federation.Client;
using Federation.Formats.Configuration;
using Federation.Formats.Models;
using Federation.Learning;
using Federation.Protocol.Identity;
using Federation.Server;
using Federation.Server.Identity;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.Logging.Abstractions;

namespace Federation.Benchmarks;

/// <summary>One whole secure round over gRPC on loopback: the coordinator as a process of its own, whose peak memory is read at the end, the nodes in this process. Training takes no time: the update is there.</summary>
internal static class SecureRoundBenchmark
{
    public static async Task<int> Run(string[] args)
    {
        if (args is ["coordinator", var folder]) return await CoordinatorAsync(folder);
        int parameters = 25_000_000, nodes = 10, bits = 14;
        for (int i = 0; i < args.Length; i += 2)
        {
            if (i + 1 == args.Length || !int.TryParse(args[i + 1], out int value) || value < 1 || args[i] is not ("--parameters" or "--nodes" or "--bits"))
            {
                Console.Error.WriteLine($"'{args[i]}' is not an option, or its number is not positive: --parameters N --nodes n --bits b.");
                return 2;
            }

            if (args[i] == "--parameters") parameters = value;
            else if (args[i] == "--nodes") nodes = value;
            else bits = value;
        }

        DirectoryInfo root = Directory.CreateTempSubdirectory("fed-secagg-round");
        try
        {
            await MeasureAsync(root.FullName, parameters, nodes, bits);
            return 0;
        }
        finally
        {
            root.Delete(recursive: true);
        }
    }

    private static async Task<int> CoordinatorAsync(string state)
    {
        using var stop = new CancellationTokenSource();
        _ = Task.Run(() =>
        {
            while (Console.In.Read() >= 0)
            {
                // until the parent is gone
            }

            stop.Cancel();
        });
        await using Coordinator coordinator = await Coordinator.StartAsync(new ServerConfiguration { State = state, Nodes = "127.0.0.1:0", Operators = "127.0.0.1:0" }, TimeProvider.System, NullLoggerFactory.Instance, stop.Token);
        Console.WriteLine($"{coordinator.NodesAddress} {coordinator.OperatorsAddress}");
        await Coordinator.WaitForShutdownAsync(stop.Token);
        return 0;
    }

    private static async Task MeasureAsync(string root, int parameters, int nodes, int bits)
    {
        string state = Path.Combine(root, "coordinator");
        CoordinatorSetup.Initialize(state);
        using Process process = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, ["secagg-round", "coordinator", state]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        try
        {
            string[] addresses = (await process.StandardOutput.ReadLineAsync())!.Split(' ');
            using GrpcChannel channel = CoordinatorChannel.Open(new Uri(addresses[1]), Credential.Load(new CoordinatorFolder(state).Admin));
            var operators = new Operator.OperatorClient(channel);
            float[] update = new float[parameters];
            var random = new Random(1);
            for (int i = 0; i < update.Length; i++) update[i] = (random.NextSingle() - 0.5f) * 0.01f;
            List<Task<NodeOutcome>> working = [];
            for (int i = 1; i <= nodes; i++)
            {
                string site = $"site-{i}", folder = Path.Combine(root, site);
                InviteSiteReply invitation = await operators.InviteSiteAsync(new InviteSiteRequest { Name = site });
                await NodeEnrolment.EnrollAsync(new Uri(addresses[0]), invitation.Token, folder, CancellationToken.None);
                var options = new NodeOptions { Configuration = new NodeConfiguration { Coordinator = new Uri(addresses[0]), State = folder, Data = [] }, ExitAfterRun = true };
                working.Add(Task.Run(() => FederatedNode.RunAsync(options, new ReadyLearner(update), NullLoggerFactory.Instance, CancellationToken.None)));
            }

            string run = await SubmitAsync(operators, new ModelState([new NamedTensor("weight", [parameters], new float[parameters])]), nodes, bits);
            Dictionary<string, long> at = [];
            long members = 0;
            using AsyncServerStreamingCall<RunEvent> watch = operators.WatchRun(new WatchRunRequest { RunId = run });
            await foreach (RunEvent happened in watch.ResponseStream.ReadAllAsync())
            {
                at[happened.Kind] = happened.UnixMs;
                if (happened.Kind is "failed" or "round-abandoned") throw new InvalidOperationException(happened.Message);
                members++;
            }

            await Task.WhenAll(working);
            RunDetails details = await operators.ShowRunAsync(new ShowRunRequest { RunId = run });
            RoundSummary round = details.Rounds.Single();
            long memory = 1024 * long.Parse(File.ReadLines($"/proc/{process.Id}/status").First(line => line.StartsWith("VmHWM:", StringComparison.Ordinal)).Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Measured.Machine()}; {parameters} parameters, {nodes} nodes, all on this machine"));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"bytes a parameter uploaded      {(double)round.BytesUp / nodes / parameters:F3}"));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"keys made in                    {(at["keys-made"] - at["submitted"]) / 1000.0:F2} s"));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"downloads, encryption, uploads  {(at["round-closed"] - at["round-opened"]) / 1000.0:F2} s"));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"opened after the close          {(at["opened"] - at["round-closed"]) / 1000.0:F2} s"));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"summed and decoded after that   {(at["model"] - at["opened"]) / 1000.0:F2} s, {(at["model"] - at["opened"]) / (double)nodes:F0} ms a contribution"));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"the coordinator's peak memory   {memory / 1e6:F0} MB"));
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync();
        }
    }

    private static async Task<string> SubmitAsync(Operator.OperatorClient operators, ModelState initial, int nodes, int bits)
    {
        byte[] bytes = initial.ToBytes();
        using AsyncClientStreamingCall<BlobChunk, BlobReply> upload = operators.UploadBlob();
        for (int offset = 0; offset < bytes.Length; offset += 1 << 20)
        {
            int length = Math.Min(1 << 20, bytes.Length - offset);
            await upload.RequestStream.WriteAsync(new BlobChunk { Sha256 = initial.Sha256, Size = (ulong)bytes.Length, Offset = (ulong)offset, Data = ByteString.CopyFrom(bytes.AsSpan(offset, length)) });
        }

        await upload.RequestStream.CompleteAsync();
        await upload.ResponseAsync;
        string spec = $$"""
            name: secagg-round
            model: { kind: custom, initial: x.safetensors }
            rounds: 1
            seed: 1
            cohort: { sites: all, minContributors: {{nodes}}, deadline: 1h }
            local: { optimizer: { kind: sgd, learningRate: 0.1 }, batchSize: 1, epochs: 1 }
            privacy: none
            secureAggregation: { kind: threshold-bfv, cut: 0.01, bits: {{bits}}, maxWeight: 100 }
            """;
        return (await operators.SubmitRunAsync(new SubmitRunRequest { SpecYaml = spec, InitialModelSha256 = initial.Sha256 })).RunId;
    }

    /// <summary>An update that is there without training.</summary>
    private sealed class ReadyLearner(float[] update) : ILocalLearner
    {
        public IReadOnlyList<string> Check(LearningTask task, ModelState initial) => [];

        public TrainingResult Train(LearningTask task, int round, ModelState start, CancellationToken cancellationToken) => new(new ModelState([new NamedTensor("weight", [update.Length], update)]), 1, 0);

        public Formats.Evaluation.EvaluationSums Evaluate(LearningTask task, ModelState model, CancellationToken cancellationToken) => new() { Examples = 0, Correct = 0, LogLossSum = 0, BrierSum = 0 };

        public void Dispose()
        {
        }
    }
}

using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Federation.V1;
using Grpc.Core;

namespace Federation.Benchmarks.Load;

/// <param name="Errors">Of nodes, calls and the coordinator; rounds that were given up.</param>
/// <param name="OverheadSecondsPerRound">Median of a round's whole time: nothing in it is training.</param>
/// <param name="CoordinatorPeakBytes">Resident memory.</param>
/// <param name="NodesPeakBytes">Resident memory of the largest of the processes, each with its share of the nodes.</param>
/// <param name="P99RpcMilliseconds">Of the nodes' calls, from the request to the answer's first byte, without long polls.</param>
internal sealed record LoadReport(int Nodes, int Rounds, int Selected, int Parameters, string SecureAggregation, int Errors, double OverheadSecondsPerRound, double LongestRoundSeconds, long CoordinatorPeakBytes, int Processes, long NodesPeakBytes, double P99RpcMilliseconds, int Rpcs, string Machine);

/// <summary>Rounds without training over mutual TLS: the coordinator in a process of its own, real nodes in others.</summary>
internal static class ServerLoadBenchmark
{
    public static async Task<int> Run(string[] args)
    {
        Dictionary<string, string> given = new() { ["--nodes"] = "1000", ["--rounds"] = "20", ["--selected"] = "100", ["--parameters"] = "1000", ["--secure-aggregation"] = "none", ["--processes"] = "" };
        bool json = args.Contains("--json");
        string[] options = [.. args.Where(arg => arg != "--json")];
        for (int i = 0; i < options.Length; i += 2)
        {
            bool isText = options[i] == "--secure-aggregation";
            if (i + 1 == options.Length || !given.ContainsKey(options[i]) || (isText ? options[i + 1] is not ("none" or "threshold-bfv") : !int.TryParse(options[i + 1], out int number) || number < 1))
            {
                Console.Error.WriteLine($"'{options[i]}' is no option, or its value is not right: --nodes N --rounds R --selected n --parameters P --secure-aggregation none|threshold-bfv --processes n --json.");
                return 2;
            }

            given[options[i]] = options[i + 1];
        }

        int nodes = Number("--nodes"), selected = Math.Min(Number("--selected"), nodes), processes = given["--processes"].Length > 0 ? Math.Min(Number("--processes"), nodes) : (nodes + 249) / 250;
        DirectoryInfo folder = Directory.CreateTempSubdirectory("fed-server-load");
        try
        {
            LoadReport report = await MeasureAsync(folder.FullName, nodes, processes, Number("--rounds"), selected, Number("--parameters"), given["--secure-aggregation"]);
            Console.WriteLine(json ? JsonSerializer.Serialize(report, JsonSerializerOptions.Web) : string.Create(CultureInfo.InvariantCulture, $"""
                {report.Machine}; {nodes} nodes, {selected} selected, {report.Parameters} parameters, secure aggregation {report.SecureAggregation}
                a round                        {report.OverheadSecondsPerRound:F3} s, the longest {report.LongestRoundSeconds:F3} s
                the coordinator's peak memory  {report.CoordinatorPeakBytes / 1e6:F0} MB
                nodes' peak memory             {report.NodesPeakBytes / 1e6:F0} MB, of the largest of {report.Processes} processes
                99 of 100 calls within         {report.P99RpcMilliseconds:F0} ms, of {report.Rpcs}
                errors                         {report.Errors}
                """));
            return report.Errors == 0 ? 0 : 1;
        }
        finally
        {
            folder.Delete(recursive: true);
        }

        int Number(string option) => int.Parse(given[option], CultureInfo.InvariantCulture);
    }

    private static async Task<LoadReport> MeasureAsync(string folder, int nodes, int count, int rounds, int selected, int parameters, string secure)
    {
        await using CoordinatorProcess coordinator = await CoordinatorProcess.StartAsync(Path.Combine(folder, "coordinator"));
        List<Process> processes = [];
        try
        {
            for (int part = 0; part < count; part++)
            {
                (int first, int end) = (nodes * part / count, nodes * (part + 1) / count);
                Process process = CoordinatorProcess.Start([LoadNodes.Verb, Path.Combine(folder, $"nodes-{first}"), coordinator.Nodes.ToString(), parameters.ToString(CultureInfo.InvariantCulture)]);
                processes.Add(process);
                for (int i = first; i < end; i++)
                {
                    await process.StandardInput.WriteLineAsync((await coordinator.Operator.InviteSiteAsync(new InviteSiteRequest { Name = $"site-{i}" })).Token);
                }

                await process.StandardInput.WriteLineAsync();
                await process.StandardInput.FlushAsync();
            }

            foreach (Process process in processes) await process.StandardOutput.ReadLineAsync();
            string run = await coordinator.SubmitAsync(SpecOf(selected == nodes ? "all" : $"all, count: {selected}", selected, rounds, secure == "none" ? secure : "{ kind: threshold-bfv, cut: 0.01, bits: 14, maxWeight: 100 }"), LoadNodes.InitialOf(parameters));
            (double[] seconds, int abandoned) = await WatchAsync(coordinator, run);
            List<LoadedNodes> ended = [];
            foreach (Process process in processes) ended.Add(JsonSerializer.Deserialize<LoadedNodes>((await process.StandardOutput.ReadLineAsync())!)!);
            double[] calls = [.. ended.SelectMany(process => process.Milliseconds).Order()];
            return new LoadReport(
                nodes, rounds, selected, parameters, secure, ended.Sum(process => process.Errors) + abandoned + coordinator.Complaints + (seconds.Length == rounds ? 0 : 1),
                Math.Round(seconds.Order().ElementAt(seconds.Length / 2), 3), Math.Round(seconds.Max(), 3), coordinator.PeakBytes, count, ended.Max(process => process.PeakBytes), Math.Round(calls[(int)(calls.Length * 0.99)], 1), calls.Length, Measured.Machine());
        }
        finally
        {
            foreach (Process process in processes)
            {
                if (!process.HasExited) process.Kill();
                await process.WaitForExitAsync();
                process.Dispose();
            }
        }
    }

    /// <summary>Each round's seconds, from the end of the one before, or from when it was opened where keys are made first.</summary>
    private static async Task<(double[] Seconds, int Abandoned)> WatchAsync(CoordinatorProcess coordinator, string run)
    {
        List<double> seconds = [];
        int abandoned = 0;
        long opened = 0;
        using AsyncServerStreamingCall<RunEvent> watch = coordinator.Operator.WatchRun(new WatchRunRequest { RunId = run });
        await foreach (RunEvent happened in watch.ResponseStream.ReadAllAsync())
        {
            if (happened.Kind == "round-opened" && opened == 0) opened = happened.UnixMs;
            if (happened.Kind == "model" && happened.Round > 0)
            {
                seconds.Add((happened.UnixMs - opened) / 1000.0);
                opened = happened.UnixMs;
            }

            if (happened.Kind is "round-abandoned" or "failed") (abandoned, opened) = (abandoned + 1, 0);
        }

        return ([.. seconds], abandoned);
    }

    /// <param name="sites">The beginning of the cohort, after <c>sites:</c>.</param>
    public static string SpecOf(string sites, int contributors, int rounds, string secure) => $$"""
        name: load
        model: { kind: custom, initial: x.safetensors }
        rounds: {{rounds}}
        seed: 1
        cohort: { sites: {{sites}}, minContributors: {{contributors}}, deadline: 1h }
        local: { optimizer: { kind: sgd, learningRate: 0.1 }, batchSize: 1, epochs: 1 }
        privacy: none
        secureAggregation: {{secure}}
        """;
}

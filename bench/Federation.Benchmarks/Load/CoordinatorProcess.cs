using System.Diagnostics;
using System.Globalization;
using Federation.Formats.Configuration;
using Federation.Formats.Models;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.Server;
using Federation.Server.Identity;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;

namespace Federation.Benchmarks.Load;

/// <summary>The coordinator as a process of its own, so that its memory is its own, and its operator.</summary>
internal sealed class CoordinatorProcess : IAsyncDisposable
{
    public const string Verb = "load-coordinator";

    private readonly Process _process;
    private readonly GrpcChannel _channel;

    private CoordinatorProcess(Process process, Uri nodes, GrpcChannel channel) => (_process, Nodes, _channel, Operator) = (process, nodes, channel, new Operator.OperatorClient(channel));

    public Uri Nodes { get; }

    public Operator.OperatorClient Operator { get; }

    /// <summary>The highest resident memory so far, bytes.</summary>
    public long PeakBytes => PeakBytesOf(_process);

    /// <summary>Lines that the coordinator wrote as warnings or errors.</summary>
    public int Complaints => Volatile.Read(ref _complaints);

    private int _complaints;

    public static async Task<CoordinatorProcess> StartAsync(string state)
    {
        CoordinatorSetup.Initialize(state);
        Process process = Start([Verb, state]);
        string[] addresses = (await process.StandardOutput.ReadLineAsync() ?? throw new InvalidOperationException("The coordinator did not start.")).Split(' ');
        var started = new CoordinatorProcess(process, new Uri(addresses[0]), CoordinatorChannel.Open(new Uri(addresses[1]), Credential.Load(new CoordinatorFolder(state).Admin)));
        _ = started.ReadComplaintsAsync();
        return started;
    }

    /// <summary>What runs in the process.</summary>
    public static async Task<int> RunAsync(string state)
    {
        using CancellationTokenSource stop = UntilTheParentEnds();
        using var logs = new ComplaintLog(Console.Out);
        await using Coordinator coordinator = await Coordinator.StartAsync(new ServerConfiguration { State = state, Nodes = "127.0.0.1:0", Operators = "127.0.0.1:0" }, TimeProvider.System, logs, stop.Token);
        Console.WriteLine($"{coordinator.NodesAddress} {coordinator.OperatorsAddress}");
        await Coordinator.WaitForShutdownAsync(stop.Token);
        return 0;
    }

    /// <summary>This program again, with another verb.</summary>
    public static Process Start(string[] arguments) => Process.Start(new ProcessStartInfo(Environment.ProcessPath!, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true })!;

    public static CancellationTokenSource UntilTheParentEnds()
    {
        var stop = new CancellationTokenSource();
        _ = Task.Run(() =>
        {
            while (Console.In.Read() >= 0)
            {
                // until the parent is gone
            }

            stop.Cancel();
        });
        return stop;
    }

    public static long PeakBytesOf(Process process) =>
        1024 * long.Parse(File.ReadLines($"/proc/{process.Id}/status").First(line => line.StartsWith("VmHWM:", StringComparison.Ordinal)).Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);

    /// <returns>The run's id.</returns>
    public async Task<string> SubmitAsync(string spec, ModelState initial)
    {
        byte[] bytes = initial.ToBytes();
        using AsyncClientStreamingCall<BlobChunk, BlobReply> upload = Operator.UploadBlob();
        for (int offset = 0; offset < bytes.Length; offset += Limits.PieceBytes)
        {
            int length = Math.Min(Limits.PieceBytes, bytes.Length - offset);
            await upload.RequestStream.WriteAsync(new BlobChunk { Sha256 = initial.Sha256, Size = (ulong)bytes.Length, Offset = (ulong)offset, Data = ByteString.CopyFrom(bytes.AsSpan(offset, length)) });
        }

        await upload.RequestStream.CompleteAsync();
        await upload.ResponseAsync;
        return (await Operator.SubmitRunAsync(new SubmitRunRequest { SpecYaml = spec, InitialModelSha256 = initial.Sha256 })).RunId;
    }

    public async ValueTask DisposeAsync()
    {
        _channel.Dispose();
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    private async Task ReadComplaintsAsync()
    {
        while (await _process.StandardOutput.ReadLineAsync() is { } line)
        {
            Interlocked.Increment(ref _complaints);
            Console.Error.WriteLine($"coordinator: {line}");
        }
    }
}

using System.Globalization;
using System.Text.Json;
using Federation.Formats.Data;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning.Models;
using Federation.Protocol.Identity;
using Federation.Samples.Medical.Data;
using Federation.Server.Identity;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;

namespace Federation.Samples.Medical.Processes;

/// <param name="Results">By hospital, in the order of <see cref="Hospital.All"/>.</param>
/// <param name="Secure">What the run's last keys rest on; null: it had no secure aggregation.</param>
/// <param name="CoordinatorMemory">Peak resident bytes.</param>
internal sealed record RunOutcome(ModelState Model, IReadOnlyList<HospitalResult> Results, long BytesUploadedPerSite, int OpenedRounds, SecureAggregation? Secure, long? CoordinatorMemory);

/// <summary>One coordinator and four hospitals as processes on loopback, from CA to final model.</summary>
internal static class FederatedRun
{
    /// <param name="root">A private folder for everything; the caller removes it.</param>
    /// <param name="progress">Called with the number of rounds that are done.</param>
    public static async Task<RunOutcome> RunAsync(Experiment experiment, HeartData data, ulong seed, string root, Action<int> progress, CancellationToken cancellationToken)
    {
        string state = Path.Combine(root, "coordinator");
        CoordinatorSetup.Initialize(state);
        using var coordinator = ChildProcess.Start("The coordinator", CoordinatorProcess.Verb, state);
        string[] addresses = (await coordinator.ReadLineAsync(cancellationToken)).Split(' ');
        using Credential admin = Credential.Load(new CoordinatorFolder(state).Admin);
        using GrpcChannel channel = CoordinatorChannel.Open(new Uri(addresses[1]), admin);
        var operators = new Operator.OperatorClient(channel);
        List<ChildProcess> hospitals = [];
        try
        {
            foreach (Hospital hospital in Hospital.All) hospitals.Add(await StartHospitalAsync(experiment, data, hospital, root, addresses[0], operators, cancellationToken));
            string run = await SubmitAsync(experiment, seed, operators, cancellationToken);
            Task watching = WatchAsync(operators, run, progress, cancellationToken);
            Task[] working = [.. hospitals.Select(hospital => hospital.WaitAsync(cancellationToken))];
            await foreach (Task done in Task.WhenEach([watching, .. working])) await done; // the first failure ends the sample
            RunDetails details = await operators.ShowRunAsync(new ShowRunRequest { RunId = run }, cancellationToken: cancellationToken);
            ModelState model = ModelState.Read(Path.Combine(root, Hospital.All[0].Name, "node", "runs", run, "model.safetensors"));
            HospitalResult[] results = [.. Hospital.All.Select(hospital => JsonSerializer.Deserialize<HospitalResult>(File.ReadAllText(Path.Combine(root, hospital.Name, HospitalProcess.ResultFile)))!)];
            return new RunOutcome(model, results, (long)details.Rounds.Aggregate(0UL, (sum, round) => sum + round.BytesUp) / Hospital.All.Count, details.Rounds.Count(round => round.State == "completed"), details.SecureAggregation, coordinator.PeakMemory());
        }
        finally
        {
            foreach (ChildProcess hospital in hospitals) hospital.Dispose();
        }
    }

    private static async Task<ChildProcess> StartHospitalAsync(Experiment experiment, HeartData data, Hospital hospital, string root, string coordinator, Operator.OperatorClient operators, CancellationToken cancellationToken)
    {
        string folder = Path.Combine(root, hospital.Name);
        PrivateFile.CreateFolder(folder);
        experiment.Prepare(data, hospital, folder);
        InviteSiteReply invitation = await operators.InviteSiteAsync(new InviteSiteRequest { Name = hospital.Name }, cancellationToken: cancellationToken);
        PrivateFile.Write(Path.Combine(folder, HospitalProcess.TokenFile), invitation.Token);
        return ChildProcess.Start(hospital.Title, HospitalProcess.Verb, hospital.Name, folder, coordinator);
    }

    private static async Task<string> SubmitAsync(Experiment experiment, ulong seed, Operator.OperatorClient operators, CancellationToken cancellationToken)
    {
        RunSpec spec = experiment.Spec(seed);
        DataSchema schema = experiment.Schema;
        ModelState initial = TabularModel.Initial(spec, schema);
        using AsyncClientStreamingCall<BlobChunk, BlobReply> upload = operators.UploadBlob(cancellationToken: cancellationToken);
        byte[] bytes = initial.ToBytes(); // a few hundred bytes: one chunk
        await upload.RequestStream.WriteAsync(new BlobChunk { Sha256 = initial.Sha256, Size = (ulong)bytes.Length, Data = ByteString.CopyFrom(bytes) }, cancellationToken);
        await upload.RequestStream.CompleteAsync();
        await upload.ResponseAsync;
        var request = new SubmitRunRequest { SpecYaml = experiment.SpecText(seed), SchemaYaml = experiment.SchemaText, InitialModelSha256 = initial.Sha256 };
        return (await operators.SubmitRunAsync(request, cancellationToken: cancellationToken)).RunId;
    }

    private static async Task WatchAsync(Operator.OperatorClient operators, string run, Action<int> progress, CancellationToken cancellationToken)
    {
        int done = 0;
        using AsyncServerStreamingCall<RunEvent> watch = operators.WatchRun(new WatchRunRequest { RunId = run }, cancellationToken: cancellationToken);
        await foreach (RunEvent happened in watch.ResponseStream.ReadAllAsync(cancellationToken))
        {
            if (happened.Kind == "model") progress(++done);
            if (happened.Kind is "failed" or "cancelled") throw new ChildFailedException(string.Create(CultureInfo.InvariantCulture, $"The run {happened.Kind}: {happened.Message}"));
        }
    }
}

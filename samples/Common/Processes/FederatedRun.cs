using System.Globalization;
using System.Text.Json;
using Federation.Formats.Models;
using Federation.Learning.Models;
using Federation.Protocol.Identity;
using Federation.Samples.Data;
using Federation.Server.Identity;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;

namespace Federation.Samples.Processes;

/// <param name="Results">By site, in the order of the tables.</param>
/// <param name="Secure">What the run's last keys rest on; null: it had no secure aggregation.</param>
/// <param name="CoordinatorMemory">Peak resident bytes.</param>
public sealed record RunOutcome(ModelState Model, IReadOnlyList<SiteResult> Results, long BytesUploadedPerSite, int OpenedRounds, SecureAggregation? Secure, long? CoordinatorMemory);

/// <summary>One coordinator and every site as processes on loopback, from CA to final model.</summary>
internal static class FederatedRun
{
    /// <param name="root">A private folder for everything; the caller removes it.</param>
    /// <param name="progress">Called with the number of rounds that are done.</param>
    public static async Task<RunOutcome> RunAsync(Experiment experiment, IReadOnlyList<SiteTable> tables, string root, Action<int> progress, CancellationToken cancellationToken)
    {
        string state = Path.Combine(root, "coordinator");
        CoordinatorSetup.Initialize(state);
        using var coordinator = ChildProcess.Start("The coordinator", CoordinatorProcess.Verb, state);
        string[] addresses = (await coordinator.ReadLineAsync(cancellationToken)).Split(' ');
        using Credential admin = Credential.Load(new CoordinatorFolder(state).Admin);
        using GrpcChannel channel = CoordinatorChannel.Open(new Uri(addresses[1]), admin);
        var operators = new Operator.OperatorClient(channel);
        List<ChildProcess> sites = [];
        try
        {
            foreach (SiteTable table in tables) sites.Add(await StartSiteAsync(experiment, table, root, addresses[0], operators, cancellationToken));
            string run = await SubmitAsync(experiment, operators, cancellationToken);
            Task watching = WatchAsync(operators, run, progress, cancellationToken);
            Task[] working = [.. sites.Select(site => site.WaitAsync(cancellationToken))];
            await foreach (Task done in Task.WhenEach([watching, .. working])) await done; // the first failure ends the sample
            RunDetails details = await operators.ShowRunAsync(new ShowRunRequest { RunId = run }, cancellationToken: cancellationToken);
            ModelState model = ModelState.Read(Path.Combine(root, tables[0].Site.Name, "node", "runs", run, "model.safetensors"));
            SiteResult[] results = [.. tables.Select(table => JsonSerializer.Deserialize<SiteResult>(File.ReadAllText(Path.Combine(root, table.Site.Name, SiteProcess.ResultFile)))!)];
            return new RunOutcome(model, results, (long)details.Rounds.Aggregate(0UL, (sum, round) => sum + round.BytesUp) / tables.Count, details.Rounds.Count(round => round.State == "completed"), details.SecureAggregation, coordinator.PeakMemory());
        }
        finally
        {
            foreach (ChildProcess site in sites) site.Dispose();
        }
    }

    private static async Task<ChildProcess> StartSiteAsync(Experiment experiment, SiteTable table, string root, string coordinator, Operator.OperatorClient operators, CancellationToken cancellationToken)
    {
        string folder = Path.Combine(root, table.Site.Name);
        PrivateFile.CreateFolder(folder);
        table.WriteTo(folder, experiment.Schema.Name);
        File.WriteAllText(Path.Combine(folder, SiteProcess.OpenSpecFile), experiment.OpenText);
        File.WriteAllText(Path.Combine(folder, SiteProcess.PolicyFile), experiment.PolicyText);
        InviteSiteReply invitation = await operators.InviteSiteAsync(new InviteSiteRequest { Name = table.Site.Name }, cancellationToken: cancellationToken);
        PrivateFile.Write(Path.Combine(folder, SiteProcess.TokenFile), invitation.Token);
        return ChildProcess.Start(table.Site.Title, [SiteProcess.Verb, table.Site.Name, folder, experiment.Schema.Name, coordinator]);
    }

    private static async Task<string> SubmitAsync(Experiment experiment, Operator.OperatorClient operators, CancellationToken cancellationToken)
    {
        ModelState initial = TabularModel.Initial(experiment.Spec, experiment.Schema);
        using AsyncClientStreamingCall<BlobChunk, BlobReply> upload = operators.UploadBlob(cancellationToken: cancellationToken);
        byte[] bytes = initial.ToBytes(); // some kilobytes: one chunk
        await upload.RequestStream.WriteAsync(new BlobChunk { Sha256 = initial.Sha256, Size = (ulong)bytes.Length, Data = ByteString.CopyFrom(bytes) }, cancellationToken);
        await upload.RequestStream.CompleteAsync();
        await upload.ResponseAsync;
        var request = new SubmitRunRequest { SpecYaml = experiment.SpecText, SchemaYaml = experiment.SchemaText, InitialModelSha256 = initial.Sha256 };
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

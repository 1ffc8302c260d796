using System.Globalization;
using Federation.Formats.Models;
using Federation.Protocol;
using Federation.Server.Runs;
using Federation.Server.Storage;
using Federation.V1;
using Grpc.Core;

namespace Federation.Server.Tests.Simulation;

/// <summary>Whoever operates the federation: submits runs, pauses, resumes and cancels them, revokes sites and invites them again.</summary>
internal sealed class SimulatedOperator(SimulatedDay day)
{
    private const int MostRuns = 3;
    private int _submitted;

    /// <summary>Does now and then one of the things that operators do.</summary>
    public async Task StepAsync()
    {
        if (!day.Coordinator.IsUp) return;
        try
        {
            RunHost[] active = [.. day.Coordinator.Runs.Active];
            if (active.Length < MostRuns && (active.Length == 0 || day.Happens(0.02))) await SubmitAsync();
            foreach (SimulatedSite refused in day.AllSites.Where(site => site.NeedsInvitation && site.Down is null && (day.IsCalm || day.Happens(0.02)))) await InviteAsync(refused);
            if (active.Length == 0) return;
            RunHost one = active[day.Random.Next(active.Length)];
            if (day.Happens(0.001)) await ActAsync("pauses", one.Record.Name, new PauseRunsRequest { RunId = day.Happens(0.5) ? one.Id : "" }, (service, asked, call) => service.PauseRuns(asked, call));
            if (active.Any(run => run.State.Paused is not null) && (day.IsCalm || day.Happens(0.01))) await ResumeAsync(active);
            if (day.Happens(0.0004)) await ActAsync("cancellations", one.Record.Name, new CancelRunRequest { RunId = one.Id }, (service, asked, call) => service.CancelRun(asked, call));
            SimulatedSite site = day.AllSites[day.Random.Next(day.AllSites.Count)];
            if (day.Happens(0.0006)) await ActAsync("revocations", site.Name, new RevokeSiteRequest { Name = site.Name }, (service, asked, call) => service.RevokeSite(asked, call));
            if (day.Happens(0.0003)) await ActAsync("rotations", one.Record.Name, new RotateKeysRequest { RunId = one.Id }, (service, asked, call) => service.RotateKeys(asked, call));
        }
        catch (RpcException error)
        {
            day.Say($"operator: {RpcError.ReasonOf(error)?.ToString() ?? error.StatusCode.ToString()}");
        }
    }

    /// <summary>Lets every run go on.</summary>
    public async Task ResumeAsync(IReadOnlyList<RunHost> active)
    {
        await ActAsync("resumptions", "all", new ResumeRunsRequest(), (service, asked, call) => service.ResumeRuns(asked, call));
        foreach (RunHost run in active.Where(run => run.State is { Paused: Pause.ByName, IsOver: false })) await ActAsync("resumptions", run.Record.Name, new ResumeRunsRequest { RunId = run.Id }, (service, asked, call) => service.ResumeRuns(asked, call));
    }

    private async Task InviteAsync(SimulatedSite site)
    {
        InviteSiteReply invitation = await ActAsync("invitations", site.Name, new InviteSiteRequest { Name = site.Name }, (service, asked, call) => service.InviteSite(asked, call));
        await site.EnrolAsync(invitation.Token);
    }

    private async Task SubmitAsync()
    {
        string name = string.Create(CultureInfo.InvariantCulture, $"run-{++_submitted}");
        var initial = new ModelState([new NamedTensor("w", [SimulatedDay.Values], new float[SimulatedDay.Values])]);
        using (BlobStore.NewBlob blob = day.Coordinator.Blobs.Create())
        {
            initial.Write(blob.Stream);
            blob.Keep();
        }

        string more = day.Random.Next(4) switch
        {
            0 => "strategy: { kind: fedbuff, buffer: 3, maxStaleness: 2 }",
            1 => "strategy: { kind: fedbuff, buffer: 2, maxStaleness: 4 }\nevaluate: { every: 3, metrics: [accuracy] }",
            2 => "evaluate: { every: 2, metrics: [accuracy] }",
            _ => "",
        };
        string draw = more.Contains("fedbuff", StringComparison.Ordinal) || day.Random.Next(2) == 0 ? "sites: all" : "count: 3, overSelect: 1.4";
        string spec = string.Create(CultureInfo.InvariantCulture, $$"""
            name: {{name}}
            model: { kind: custom, initial: initial.safetensors }
            rounds: {{day.Random.Next(10, 60)}}
            seed: {{_submitted}}
            cohort: { {{draw}}, minContributors: {{day.Random.Next(2, 4)}}, deadline: {{day.Random.Next(2, 8)}}m }
            local: { optimizer: { kind: sgd, learningRate: 0.1 }, batchSize: 1 }
            secureAggregation: none
            privacy: none
            {{more}}
            """);
        await ActAsync("submissions", more, new SubmitRunRequest { SpecYaml = spec, InitialModelSha256 = initial.Sha256 }, (service, asked, call) => service.SubmitRun(asked, call));
    }

    private async Task<TReply> ActAsync<TRequest, TReply>(string what, string about, TRequest request, Func<Server.Services.OperatorService, TRequest, ServerCallContext, Task<TReply>> handler)
        where TRequest : class
        where TReply : class
    {
        day.Say($"operator: {what} {about}");
        TReply reply = await day.TransmitAsync(() => day.Coordinator.OperatorAsync(typeof(TRequest).Name[..^"Request".Length], request, handler));
        day.Count(what);
        return reply;
    }
}

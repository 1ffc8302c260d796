using System.Text;
using Federation.Formats;
using Federation.Formats.Data;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Formats.Statistics;
using Federation.Privacy.Canonical;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.Server.Identity;
using Federation.Server.Runs;
using Federation.Server.Storage;
using Federation.V1;
using Grpc.Core;
using RunEvent = Federation.V1.RunEvent;

namespace Federation.Server.Services;

/// <summary>The operator's side: sites, runs, models.</summary>
public sealed partial class OperatorService(RunRegistry runs, RunContext context, CertificateAuthority ca, SiteCertificates certificates, OpenCalls calls) : Operator.OperatorBase
{
    // Both travel in one message with every task that describes the run.
    private const int LongestDocuments = 1 << 20;

    /// <summary>How long an invitation can be used.</summary>
    public static readonly TimeSpan InvitationLifetime = TimeSpan.FromHours(24);

    public override Task<InviteSiteReply> InviteSite(InviteSiteRequest request, ServerCallContext call)
    {
        if (!Names.IsSiteName(request.Name)) throw NoSiteName(request.Name);
        if (CallerInterceptor.OperatorOf(call) is { Role: < OperatorRole.Admin } who && context.Store.FindSite(request.Name)?.KeySha256 is not null)
        {
            throw RpcError.Refuse(StatusCode.PermissionDenied, Refusal.WrongRole, $"The site '{request.Name}' is enrolled: an invitation lets another key take the place of its own, which needs the role admin; {who.Name} has the role {who.Role.ToText()}.", "name", "Ask an admin to invite it, or name a site that is new.");
        }

        InvitationToken token = InvitationToken.Create(request.Name, ca.SpkiSha256);
        DateTimeOffset expires = context.Time.GetUtcNow() + InvitationLifetime;
        Do(call, AdministrativeLog.Invited, $"invited the site '{request.Name}', until {expires:u}.", () => context.Store.AddInvitation(request.Name, token.SecretSha256, expires), () => context.Store.IsInvited(token.SecretSha256));
        return Task.FromResult(new InviteSiteReply { Token = token.Reveal(), ExpiresUnixMs = expires.ToUnixTimeMilliseconds() });
    }

    public override Task<RevokeSiteReply> RevokeSite(RevokeSiteRequest request, ServerCallContext call)
    {
        string name = request.Name;
        if (!Names.IsSiteName(name)) throw NoSiteName(name);
        DateTimeOffset now = context.Time.GetUtcNow();
        RevokedSite revoked = Try(call, AdministrativeLog.SiteRevoked, $"revoked the site '{name}'.", () => context.Store.Revoke(name, now), () => context.Store.FindSite(name)?.Revoked is not null, () => Leave(name))
            ?? throw RpcError.Refuse(StatusCode.NotFound, Refusal.Invalid, $"There is no site '{name}'.", "name", context.Store.Sites() is [] ? "`fed site invite` makes one." : Nearest.Repair(name, [.. context.Store.Sites().Select(site => site.Name)]));
        try
        {
            Leave(name);
        }
        finally
        {
            Record(call, AdministrativeLog.SiteRevoked, $"revoked the site '{name}'{(revoked.KeySha256 is { } key ? $", key {key}" : "")}.");
        }

        return Task.FromResult(new RevokeSiteReply { RevokedUnixMs = revoked.At.ToUnixTimeMilliseconds(), KeySha256 = revoked.KeySha256 ?? "" });
    }

    /// <summary>On disk from here on: no new call passes. Now those under way.</summary>
    private void Leave(string site)
    {
        calls.End(site, CallerInterceptor.Revoked(site));
        context.Sessions.Leave(site);
        try
        {
            foreach (RunHost run in runs.Active) run.Apply(new SiteRevoked(site));
        }
        finally
        {
            context.Signal.Raise();
        }
    }

    public override Task<ListSitesReply> ListSites(ListSitesRequest request, ServerCallContext call)
    {
        var reply = new ListSitesReply();
        foreach (SiteRecord site in context.Store.Sites())
        {
            reply.Sites.Add(new Site
            {
                Name = site.Name,
                State = site.KeySha256 is not null ? "enrolled" : site.Revoked is not null ? "revoked" : "invited",
                Role = site.Role?.ToString().ToLowerInvariant() ?? "",
                Connected = context.Sessions.HasJoined(site.Name) && context.Sessions.IsLive(site.Name),
                LastSeenUnixMs = (context.Sessions.LastSeen(site.Name) ?? site.LastSeen)?.ToUnixTimeMilliseconds() ?? 0,
                KeySha256 = site.KeySha256 ?? "",
                DataIds = { site.DataIds },
                Labels = { (site.Labels ?? Formats.Configuration.SiteLabels.None).ToDictionary() },
                Ledgers = { context.Store.LedgerHeads(site.Name).Select(head => new KnownLedger { DataSet = head.DataSet, LedgerId = head.LedgerId, Count = (ulong)head.Count, Hash = head.Hash }) },
            });
        }

        return Task.FromResult(reply);
    }

    public override async Task<BlobReply> UploadBlob(IAsyncStreamReader<BlobChunk> requests, ServerCallContext call)
    {
        using BlobStore.NewBlob blob = context.Blobs.Create();
        string? announced = null;
        ulong size = 0, length = 0;
        while (await requests.MoveNext(call.CancellationToken))
        {
            BlobChunk chunk = requests.Current;
            if (announced is null)
            {
                (announced, size) = (chunk.Sha256, chunk.Size);
                if (!Sha256Hex.IsValid(announced)) throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.WrongHash, $"'{announced}' is no SHA-256 in lower-case hex.", "sha256");
            }

            if (chunk.Offset != length) throw RpcError.Refuse(StatusCode.OutOfRange, Refusal.WrongOffset, $"The chunk begins at {chunk.Offset}; {length} is right.", "offset");
            length += (ulong)chunk.Data.Length;
            if (chunk.Data.Length > Limits.ChunkBytes || length > size) throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.WrongSize, $"{length} bytes came; {size} were announced, at most {Limits.ChunkBytes} in a chunk.", "data");
            await blob.Stream.WriteAsync(chunk.Data.Memory, call.CancellationToken);
        }

        if (announced is null || length != size) throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.WrongSize, $"{length} bytes came; {size} were announced.", "size");
        blob.Stream.Position = 0;
        string actual = Sha256Hex.Of(blob.Stream);
        if (actual != announced) throw RpcError.Refuse(StatusCode.DataLoss, Refusal.WrongHash, $"The content's SHA-256 is {actual}; {announced} was announced.", "sha256");
        blob.Keep();
        return new BlobReply();
    }

    public override Task<SubmitRunReply> SubmitRun(SubmitRunRequest request, ServerCallContext call)
    {
        int length = Encoding.UTF8.GetByteCount(request.SpecYaml) + Encoding.UTF8.GetByteCount(request.SchemaYaml);
        if (length > LongestDocuments) throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.WrongSize, $"Spec and schema have {length} bytes; together {LongestDocuments} are allowed.", "schema_yaml");
        RunSpec spec = RunSpec.Parse(request.SpecYaml, "spec");
        if (spec.Data is null && request.SchemaYaml.Length > 0) throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.Invalid, "A run of one's own model has no data schema.", "schema_yaml", "Leave it empty.");
        SignedSubmission submission = RequireSubmission(request);
        if (spec.Statistics is not null) return Task.FromResult(new SubmitRunReply { RunId = AddStatistics(call, spec, request, submission).Id });
        if (spec.Data is not null) RequireLabel(spec, DataSchema.Parse(request.SchemaYaml, "schema"));
        RequireInitialModel(request.InitialModelSha256);
        return Task.FromResult(new SubmitRunReply { RunId = Add(call, spec, request, request.InitialModelSha256, submission).Id });
    }

    public override Task<ListRunsReply> ListRuns(ListRunsRequest request, ServerCallContext call) =>
        Task.FromResult(new ListRunsReply { Runs = { OperatorMessages.Newest(runs.All.Select(OperatorMessages.Summarize)) } });

    public override Task<RunDetails> ShowRun(ShowRunRequest request, ServerCallContext call) => Task.FromResult(Describe(Find(request.RunId)));

    public override async Task WatchRun(WatchRunRequest request, IServerStreamWriter<RunEvent> responses, ServerCallContext call)
    {
        RunHost run = Find(request.RunId);
        long after = (long)Math.Min(request.AfterSequence, long.MaxValue);
        while (true)
        {
            Task changed = context.Signal.Next;
            bool over = run.State.IsOver; // before the events, so that the last ones are not missed
            IReadOnlyList<EventRecord> events = context.Store.Events(run.Id, after);
            foreach (EventRecord happened in events)
            {
                await responses.WriteAsync(OperatorMessages.Of(happened), call.CancellationToken);
                after = happened.Sequence;
            }

            if (events.Count > 0) continue;
            if (over) return;
            await changed.WaitAsync(call.CancellationToken);
        }
    }

    public override Task<RunDetails> CancelRun(CancelRunRequest request, ServerCallContext call)
    {
        RunHost run = Find(request.RunId);
        Apply(call, run, new CancelRequested(), AdministrativeLog.Cancelled, $"cancelled the run '{run.Record.Name}'.");
        return Task.FromResult(Describe(run));
    }

    public override Task<ListRunsReply> PauseRuns(PauseRunsRequest request, ServerCallContext call)
    {
        RunHost[] asked = request.RunId.Length == 0 ? [.. runs.Active] : [Find(request.RunId)];
        return Task.FromResult(ApplyAll(call, asked, new PauseRequested(request.RunId.Length == 0 ? Pause.WithAll : Pause.ByName), AdministrativeLog.Paused, "paused"));
    }

    public override Task<ListRunsReply> ResumeRuns(ResumeRunsRequest request, ServerCallContext call)
    {
        bool all = request.RunId.Length == 0;
        RunHost[] asked = all ? [.. runs.Active.Where(run => run.State.Paused == Pause.WithAll)] : [Find(request.RunId)];
        return Task.FromResult(ApplyAll(call, asked, new ResumeRequested(all), AdministrativeLog.Resumed, "resumed"));
    }

    private ListRunsReply ApplyAll(ServerCallContext call, RunHost[] asked, Runs.RunEvent happened, string kind, string did)
    {
        // Of all runs one may have come to its end just now.
        foreach (RunHost run in asked) Apply(call, run, happened, kind, $"{did} the run '{run.Record.Name}'.", mayBeOver: asked.Length > 1);
        return new ListRunsReply { Runs = { OperatorMessages.Newest(asked.Select(OperatorMessages.Summarize)) } };
    }

    public override Task<RunDetails> RotateKeys(RotateKeysRequest request, ServerCallContext call)
    {
        RunHost run = Find(request.RunId);
        if (run.Secure is null) throw WithoutSecureAggregation(run, "no keys");
        Apply(call, run, new RotateRequested(), AdministrativeLog.Rotated, $"asked for new keys of the run '{run.Record.Name}'.");
        return Task.FromResult(Describe(run));
    }

    public override Task DownloadTranscripts(DownloadTranscriptsRequest request, IServerStreamWriter<TranscriptChunk> responses, ServerCallContext call)
    {
        RunHost run = Find(request.RunId);
        if (run.Secure is null) throw WithoutSecureAggregation(run, "nothing that was signed");
        return SecureMessages.SendTranscriptsAsync(context.Store.Transcripts(run.Id), responses, call.CancellationToken);
    }

    public override Task ShowRoster(ShowRosterRequest request, IServerStreamWriter<Chunk> responses, ServerCallContext call) => SecureMessages.SendRosterAsync(context, responses, call.CancellationToken);

    public override Task<ListModelsReply> ListModels(ListModelsRequest request, ServerCallContext call)
    {
        string? run = request.RunId.Length == 0 ? null : Find(request.RunId).Id;
        ILookup<(string RunId, int Round), EvaluationRecord> evaluations = context.Store.Evaluations(run).ToLookup(evaluation => (evaluation.RunId, evaluation.Round));
        IEnumerable<Model> models = context.Store.Models(run).Select(model => OperatorMessages.Of(model, evaluations[(model.RunId, model.Round)], !context.Blobs.Has(model.Sha256)));
        return Task.FromResult(new ListModelsReply { Models = { OperatorMessages.Newest(models) } });
    }

    public override Task DownloadModel(DownloadRequest request, IServerStreamWriter<Chunk> responses, ServerCallContext call)
    {
        if (!context.Blobs.Has(request.Sha256) && context.Store.Models(null).Any(model => model.Sha256 == request.Sha256)) throw RpcError.Refuse(StatusCode.NotFound, Refusal.UnknownBlob, $"The model {request.Sha256} was removed by retention.", "sha256", "`fed model list` shows which are left; `retention` in server.yaml says how many stay.");
        return BlobStreams.SendAsync(context.Blobs, request, responses, _ => Task.CompletedTask, (_, _) => { }, call.CancellationToken);
    }

    /// <summary>Of one query and version of the data one sum is opened: what is known already is not asked again.</summary>
    private RunHost AddStatistics(ServerCallContext call, RunSpec spec, SubmitRunRequest request, SignedSubmission submission)
    {
        StatisticsQuery query = StatisticsQuery.Of(spec, DataSchema.Parse(request.SchemaYaml, "schema"));
        if (runs.All.FirstOrDefault(run => run.State.StatisticsSha256.Length > 0 && run.State.ModelSha256 == query.DataSha256) is { } known)
        {
            throw RpcError.Refuse(StatusCode.AlreadyExists, Refusal.Invalid, $"These statistics were opened in run {known.Id}; of one query and version of the data the sites open one sum.", "spec_yaml", $"`fed data stats --run {known.Id}` shows them. When the records have changed, give the schema another `version`.");
        }

        if (spec.Cohort.Sites is { } named) RequireSet(named, spec.Cohort.MinContributors);
        return Add(call, spec, request, query.DataSha256, submission);
    }

    /// <summary>Sites that are there, and not almost those of an earlier question: nobody would be asked, or answer.</summary>
    private void RequireSet(IReadOnlyList<string> named, int least)
    {
        string[] enrolled = [.. context.Store.Sites().Where(site => site.KeySha256 is not null).Select(site => site.Name)];
        if (named.FirstOrDefault(site => !enrolled.Contains(site)) is { } unknown)
        {
            throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.Invalid, $"No site '{unknown}' is enrolled.", "cohort.sites", enrolled.Length == 0 ? "Invite sites first: `fed site invite`." : Nearest.Repair(unknown, enrolled));
        }

        try
        {
            SecureAggregation.OpenedSets.Require(context.Store, named, least);
        }
        catch (Privacy.SecureAggregation.ProtocolException near)
        {
            throw RpcError.Refuse(StatusCode.FailedPrecondition, Refusal.ProtocolRefused, near.Message, "cohort.sites");
        }
    }

    private static void RequireLabel(RunSpec spec, DataSchema schema)
    {
        Column[] labels = [.. schema.Columns.Where(column => column.Kind == ColumnKind.Label)];
        Column? label = labels.FirstOrDefault(column => column.Name == spec.Task!.Label);
        if (label is null) throw new InvalidInputException(new Problem($"The schema has no label '{spec.Task!.Label}'.", "spec", Field: "task.label", Repair: Nearest.Repair(spec.Task.Label, [.. labels.Select(column => column.Name)])));
        if (spec.Task!.Kind == TaskKind.BinaryClassification && label.Categories.Count != 2) throw new InvalidInputException(new Problem($"The label '{label.Name}' has {label.Categories.Count} classes; binary classification needs 2.", "spec", Field: "task.kind"));
    }

    private void RequireInitialModel(string sha256)
    {
        if (!context.Blobs.Has(sha256)) throw RpcError.Refuse(StatusCode.NotFound, Refusal.UnknownBlob, $"There is no content with the SHA-256 '{sha256}'.", "initial_model_sha256", "Send the initial model with UploadBlob first.");
        using FileStream file = context.Blobs.Open(sha256);
        try
        {
            SafetensorsHeader header = SafetensorsHeader.Read(file, file.Length);
            header.RequireCanonicalFloat32();
            Aggregation.UpdateFile.RequireFinite(file, header);
        }
        catch (SafetensorsException error)
        {
            throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.WrongLayout, $"The initial model is not acceptable: {error.Message}", "initial_model_sha256");
        }
    }

    private static RpcException NoSiteName(string name) => RpcError.Refuse(StatusCode.InvalidArgument, Refusal.Invalid, $"'{name}' is no site name.", "name", $"A name has {Names.Rule}.");

    private static RpcException WithoutSecureAggregation(RunHost run, string hence) =>
        RpcError.Refuse(StatusCode.FailedPrecondition, Refusal.Invalid, $"The run {run.Id} ({run.Record.Name}) has no secure aggregation, hence {hence}.", "run_id", "A spec with secureAggregation: { kind: threshold-bfv } has.");

    private RunHost Find(string id)
    {
        RunHost[] found = id == "latest" ? [.. runs.All.TakeLast(1)] : [.. runs.All.Where(run => id.Length > 0 && run.Id.StartsWith(id, StringComparison.Ordinal))];
        return found switch
        {
            [var run] => run,
            [] => throw RpcError.Refuse(StatusCode.NotFound, Refusal.UnknownRun, id == "latest" ? "No run was submitted yet." : $"There is no run '{id}'.", "run_id", "`fed run list` shows them."),
            _ => throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.UnknownRun, $"'{id}' begins the names of {found.Length} runs.", "run_id", "Write more of it."),
        };
    }

    private RunDetails Describe(RunHost run) => OperatorMessages.Describe(run, context.Store.Rounds(run.Id), context.Store.TranscriptHashes(run.Id));
}

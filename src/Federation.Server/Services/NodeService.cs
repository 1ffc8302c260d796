using System.Security.Cryptography.X509Certificates;
using Federation.Formats.Runs;
using Federation.Privacy.SecureAggregation;
using Federation.Protocol;
using Federation.Server.Identity;
using Federation.Server.Runs;
using Federation.Server.Storage;
using Federation.V1;
using Google.Protobuf;
using Google.Protobuf.Collections;
using Grpc.Core;
using OpeningAnswer = Federation.V1.OpeningAnswer;
using Refusal = Federation.Protocol.Refusal;
using DomainRole = Federation.Formats.Configuration.NodeRole;

namespace Federation.Server.Services;

/// <summary>The node's side: messages become events of the run, or are refused. The site is the certificate's subject.</summary>
public sealed class NodeService(RunRegistry runs, RunTasks tasks, RunContext context, UploadReceiver uploads, SiteCertificates certificates, NodePace pace) : Node.NodeBase
{
    private const int MostDataIds = 1000, LongestList = 16_000, LongestSentence = 1000;

    /// <summary>How long a poll waits for something to do.</summary>
    public static readonly TimeSpan LongPoll = TimeSpan.FromSeconds(20);

    public override Task<JoinReply> Join(JoinRequest request, ServerCallContext call)
    {
        RequireVersion(request.ProtocolVersion);
        DomainRole role = request.Role switch
        {
            NodeRole.Trainer => DomainRole.Trainer,
            NodeRole.Evaluator => DomainRole.Evaluator,
            _ => throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.Invalid, $"The role {request.Role} is not known.", "role", "trainer or evaluator is right."),
        };
        if (request.DataIds.Count > MostDataIds || !request.DataIds.All(Formats.Names.IsSiteName)) throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.Invalid, $"At most {MostDataIds} data sets can be named, each with {Formats.Names.Rule}.", "data_ids");
        if (!Formats.Configuration.SiteLabels.AreValid(request.Labels)) throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.Invalid, $"{request.Labels.Count} labels came that are too many or no labels; right are {Formats.Configuration.SiteLabels.Rule}.", "labels");
        string site = CallerInterceptor.SiteOf(call);
        context.Store.SaveJoin(site, role, [.. request.DataIds], request.Labels.ToDictionary(), context.Time.GetUtcNow());
        context.Sessions.Join(site, role);
        foreach (RunHost run in runs.Active) run.Apply(new SiteJoined(site));
        context.Signal.Raise();
        return Task.FromResult(new JoinReply { ProtocolVersion = ProtocolVersion.Current, LedgerHeads = { HeadsOf(site) }, OpeningAnswer = ByteString.CopyFrom(context.Store.KeptAnswer(site) ?? []) });
    }

    public override Task<CheckReply> Check(CheckRequest request, ServerCallContext call)
    {
        RequireVersion(request.ProtocolVersion);
        return Task.FromResult(new CheckReply { NowUnixMs = context.Time.GetUtcNow().ToUnixTimeMilliseconds(), LedgerHeads = { HeadsOf(CallerInterceptor.SiteOf(call)) } });
    }

    public override async Task<NodeTask> NextTask(NextTaskRequest request, ServerCallContext call)
    {
        string site = CallerInterceptor.SiteOf(call);
        DomainRole role = context.Sessions.RoleOf(site) ?? throw NotJoined();
        if (context.Sessions.TakeEnd(site) is { } known) context.Store.SaveTold(known, site);
        long poll = context.Sessions.BeginPoll(site);
        try
        {
            return await WaitForTaskAsync(site, role, poll, call);
        }
        finally
        {
            context.Sessions.EndPoll(site);
        }
    }

    private async Task<NodeTask> WaitForTaskAsync(string site, DomainRole role, long poll, ServerCallContext call)
    {
        Task timeout = Task.Delay(LongPoll, context.Time, call.CancellationToken);
        while (true)
        {
            Task changed = context.Signal.Next; // taken before the look, so that no change is missed
            if (tasks.Next(site, role) is { } task)
            {
                Remember(site, task);
                if (task.Train is { Model.IsEmpty: false } train)
                {
                    context.Traffic.AddDown(train.RunId, (int)train.Round, train.Model.Length);
                    await pace.WaitAsync(site, train.Model.Length, call.CancellationToken);
                }

                return task;
            }

            if (timeout.IsCompletedSuccessfully) return new NodeTask { Idle = new Idle() };
            if (await Task.WhenAny(changed, timeout) == timeout && call.CancellationToken.IsCancellationRequested)
            {
                context.Sessions.Lose(site, poll);
                throw new RpcException(Status.DefaultCancelled);
            }
        }
    }

    public override Task<HeartbeatReply> Heartbeat(HeartbeatRequest request, ServerCallContext call)
    {
        if (!context.Sessions.HasJoined(CallerInterceptor.SiteOf(call))) throw NotJoined();
        return Task.FromResult(new HeartbeatReply());
    }

    public override Task Download(DownloadRequest request, IServerStreamWriter<Chunk> responses, ServerCallContext call)
    {
        string site = CallerInterceptor.SiteOf(call);
        (string run, int round) = context.Sessions.WorkOf(site) ?? ("", 0);
        context.Traffic.AddControl(run, round, request.CalculateSize());
        return BlobStreams.SendAsync(
            context.Blobs,
            request,
            responses,
            bytes => pace.WaitAsync(site, bytes, call.CancellationToken),
            (data, other) =>
            {
                context.Traffic.AddDown(run, round, data);
                context.Traffic.AddControl(run, round, other);
                context.Sessions.Touch(site);
            },
            call.CancellationToken);
    }

    public override async Task<ReadinessReply> ReportReadiness(ReadinessReport request, ServerCallContext call)
    {
        RequireTaken(await RunOf(request.RunId).ApplyAsync(new SiteAnswered(CallerInterceptor.SiteOf(call), Bound(request.Mismatches), request.AwaitsApproval, (int)Math.Min(request.Approvals, int.MaxValue))));
        return new ReadinessReply();
    }

    public override async Task<BeginUploadReply> BeginUpload(BeginUploadRequest request, ServerCallContext call)
    {
        RunHost run = RunOf(request.RunId);
        string site = CallerInterceptor.SiteOf(call);
        LedgerHeads.Keep(context.Store, site, request.LedgerHead);
        context.Traffic.AddUp(run.Id, (int)Math.Min(request.Round, int.MaxValue), request.Data.Length);
        return new() { Offset = (ulong)await uploads.BeginAsync(run, site, request, call.CancellationToken), Zstd = true };
    }

    public override async Task<UploadReply> Upload(IAsyncStreamReader<UploadChunk> requests, ServerCallContext call)
    {
        if (!await requests.MoveNext(call.CancellationToken)) throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.WrongSize, "The upload holds no chunk.");
        UploadChunk first = requests.Current;
        int round = (int)Math.Min(first.Round, int.MaxValue);
        return new UploadReply { Duplicate = await uploads.ReceiveAsync(RunOf(first.RunId), CallerInterceptor.SiteOf(call), round, first, requests, call.CancellationToken) };
    }

    public override Task<EvaluationReply> ReportEvaluation(EvaluationReport request, ServerCallContext call)
    {
        string site = CallerInterceptor.SiteOf(call);
        RunHost run = RunOf(request.RunId);
        Formats.Evaluation.EvaluationSums sums = (request.Sums ?? new EvaluationSums()).ToDomain();
        RequireFit(run, sums);
        LedgerHeads.Keep(context.Store, site, request.LedgerHead);
        int round = (int)Math.Min(request.Round, int.MaxValue);
        if (context.Sessions.RoleOf(site) == DomainRole.Evaluator)
        {
            if (!context.Store.Models(run.Id).Any(model => model.Round == round && model.Sha256 == request.ModelSha256)) throw RpcError.Refuse(StatusCode.FailedPrecondition, Refusal.WrongModel, $"Round {round} did not make model '{request.ModelSha256}'.", "model_sha256");
            if (sums.Examples == 0) tasks.GiveUp(run.Id, round, site);
            else context.Store.SaveEvaluation(new EvaluationRecord(run.Id, round, site, sums));
            context.Signal.Raise();
        }
        else
        {
            RequireTaken(run.Apply(new EvaluationArrived(site, round, sums)));
        }

        return Task.FromResult(new EvaluationReply());
    }

    public override Task<EpochMessageReply> SendEpochMessage(EpochMessage request, ServerCallContext call)
    {
        request.Refusal = Shorten(request.Refusal);
        Take(request.RunId, run => run.Secure?.Receive(CallerInterceptor.SiteOf(call), request));
        return Task.FromResult(new EpochMessageReply());
    }

    public override Task<OpeningAnswerReply> SendOpeningAnswer(OpeningAnswer request, ServerCallContext call)
    {
        request.Refusal = Shorten(request.Refusal);
        Take(request.RunId, run => run.Secure?.Receive(CallerInterceptor.SiteOf(call), request));
        return Task.FromResult(new OpeningAnswerReply());
    }

    public override Task<FailureReply> ReportFailure(FailureReport request, ServerCallContext call)
    {
        string site = CallerInterceptor.SiteOf(call);
        RunHost run = RunOf(request.RunId);
        int round = (int)Math.Min(request.Round, int.MaxValue);
        if (context.Sessions.RoleOf(site) == DomainRole.Evaluator) tasks.GiveUp(run.Id, round, site);
        else RequireTaken(run.Apply(new SiteFailed(site, round, Shorten(request.Reason), request.RosterRefused, request.AwaitsApproval)));
        return Task.FromResult(new FailureReply());
    }

    public override Task<RenewCertificateReply> RenewCertificate(RenewCertificateRequest request, ServerCallContext call)
    {
        string site = CallerInterceptor.SiteOf(call);
        using X509Certificate2 certificate = certificates.Renew(site, request.CertificateSigningRequest, context.Store.FindSite(site)?.KeySha256);
        return Task.FromResult(new RenewCertificateReply { Certificate = ByteString.CopyFrom(certificate.RawData) });
    }

    private RunHost RunOf(string id) => runs.Find(id) ?? throw RpcError.Refuse(StatusCode.NotFound, Refusal.UnknownRun, $"There is no run '{Shorten(id)}'.", "run_id");

    private void Remember(string site, NodeTask task)
    {
        if (task.Train is { } train) context.Sessions.Work(site, train.RunId, (int)train.Round);
        else if (task.RunEnded is { } ended) context.Sessions.HandOutEnd(site, ended.RunId);
    }

    private static void RequireFit(RunHost run, Formats.Evaluation.EvaluationSums sums)
    {
        if (run.Spec.Task is not { } task || sums.Examples == 0) return;
        bool binary = task.Kind == TaskKind.BinaryClassification, histograms = sums.NegativeHistogram.Count > 0;
        if (binary != histograms) throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.Invalid, $"The report has {(histograms ? "" : "no ")}score histograms; a {(binary ? "binary task needs them" : "multi-class task has none")}.", "sums.negative_histogram");
    }

    /// <summary>A message of the committee; the protocol's refusals become the call's.</summary>
    private void Take(string runId, Action<RunHost> take)
    {
        RunHost run = RunOf(runId);
        try
        {
            take(run);
        }
        catch (Exception wrong) when (wrong is ProtocolException or FormatException)
        {
            throw RpcError.Refuse(StatusCode.FailedPrecondition, Refusal.ProtocolRefused, wrong.Message);
        }

        context.Signal.Raise();
    }

    private static void RequireTaken(Transition transition)
    {
        if (transition.Refused is { } refusal) throw RpcError.Refuse(StatusCode.FailedPrecondition, refusal, transition.Reason);
    }

    /// <summary>The list is kept with the run and shown to the operator in one message; a site cannot make either large.</summary>
    private static List<string> Bound(RepeatedField<string> sentences)
    {
        List<string> kept = [];
        int room = LongestList;
        foreach (string sentence in sentences.Select(Shorten))
        {
            room -= sentence.Length + 4;
            if (room < 0) break;
            kept.Add(sentence);
        }

        if (kept.Count < sentences.Count) kept.Add($"And {sentences.Count - kept.Count} more.");
        return kept;
    }

    private static string Shorten(string text) => text.Length <= LongestSentence ? text : text[..LongestSentence] + "…";

    private IEnumerable<LedgerHead> HeadsOf(string site) => context.Store.LedgerHeads(site).Select(head => head.ToMessage());

    private static void RequireVersion(uint version)
    {
        if (version == ProtocolVersion.Current) return;
        throw RpcError.Refuse(StatusCode.FailedPrecondition, Refusal.ProtocolVersion, $"The node speaks protocol version {version}, the coordinator {ProtocolVersion.Current}.", "protocol_version", version < ProtocolVersion.Current ? "Update the node." : "Update the coordinator.");
    }

    private static RpcException NotJoined() => RpcError.Refuse(StatusCode.FailedPrecondition, Refusal.NotJoined, "This site has not joined since the coordinator started.", repair: "Call Join first.");
}

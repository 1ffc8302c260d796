using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Federation.Formats.Models;
using Federation.Privacy.Canonical;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;

namespace Federation.Server.Tests.Simulation;

/// <summary>
/// A site's node as the protocol describes it, with bad luck: it crashes, its connection breaks in the middle, answers are lost and messages come twice or hours late.
/// Its update moves a coordinate of its own and one that all share by whole numbers, so that a lost, a doubled and an exchanged update each show in the model.
/// </summary>
internal sealed class SimulatedSite(int number, SimulatedDay day)
{
    /// <summary>Divisible by the sum of any cohort's weights (1 or 2 each, five sites), so that every mean is a whole number.</summary>
    private const int Unit = 2520;

    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private X509Certificate2? _certificate;
    private Job? _job;
    private bool _hasJoined;
    private Task? _looked;
    private DateTimeOffset _heard;
    private int _made;

    /// <summary>What the node was told to do, and when it is ready to answer.</summary>
    private sealed record Job(NodeTask Task, DateTimeOffset Ready, string? Update = null);

    public string Name { get; } = Witness.SiteName(number);

    /// <summary>Its process is dead until then; null: it runs.</summary>
    public DateTimeOffset? Down { get; private set; }

    /// <summary>It has no certificate that the coordinator takes, and says so.</summary>
    public bool NeedsInvitation { get; private set; } = true;

    public bool IsIdle => Down is null && _hasJoined && _job is null && !NeedsInvitation;

    private Random Random => day.Random;

    private SimulatedCoordinator Coordinator => day.Coordinator;

    public void Crash(TimeSpan time)
    {
        Down = day.Time.Right + time;
        _hasJoined = false;
        if (Random.Next(2) == 0) _job = null; // else the update is on its disk
    }

    public void Start() => Down = day.Time.Right;

    /// <summary>Redeems an invitation, each time with the same key or a new one.</summary>
    public async Task EnrolAsync(string token)
    {
        using ECDsa? another = day.IsCalm || Random.Next(2) == 0 ? ECDsa.Create(ECCurve.NamedCurves.nistP256) : null;
        byte[] request = new CertificateRequest("CN=whatever", another ?? _key, HashAlgorithmName.SHA256).CreateSigningRequest();
        EnrollReply reply = await day.TransmitAsync(() => Coordinator.EnrollAsync(new EnrollRequest { Token = token, CertificateSigningRequest = ByteString.CopyFrom(request) }));
        _certificate = X509CertificateLoader.LoadCertificate(reply.Certificate.Span);
        if (another is not null) _key.ImportECPrivateKey(another.ExportECPrivateKey(), out _);
        (NeedsInvitation, _hasJoined) = (false, false);
    }

    /// <summary>What the node does in a moment.</summary>
    public async Task StepAsync()
    {
        if (Down is { } until)
        {
            if (day.Time.Right < until) return;
            Down = null;
        }

        if (NeedsInvitation) return;
        try
        {
            if (!_hasJoined)
            {
                await CallAsync("Join", new JoinRequest { ProtocolVersion = ProtocolVersion.Current, SoftwareVersion = "simulated", Role = NodeRole.Trainer }, (node, asked, call) => node.Join(asked, call));
                (_hasJoined, _looked) = (true, null);
            }

            if (day.Time.Right >= CertificateProfile.RenewalOf(_certificate!)) await RenewAsync();
            if (_job is null) await LookAsync();
            else await BeatAsync();
            if (_job is not null && day.Time.Right >= _job.Ready) await DoAsync(_job);
        }
        catch (RpcException refused)
        {
            Refused(refused);
        }
    }

    private void Refused(RpcException error)
    {
        Refusal? reason = RpcError.ReasonOf(error);
        day.Say($"{Name}: {reason?.ToString() ?? error.StatusCode.ToString()}: {error.Status.Detail}");
        switch (reason)
        {
            case null when _job?.Task.Train is { } train && day.Happens(0.15): // its process died, and what it had made with it
                day.Count("updates made anew");
                _job = _job with { Update = Train(train) };
                break;
            case null or Refusal.StorageUnavailable or Refusal.WrongOffset or Refusal.WrongSize or Refusal.WrongHash:
                break; // once more, later
            case Refusal.NotJoined:
                _hasJoined = false;
                break;
            case Refusal.Revoked or Refusal.UnknownIdentity or Refusal.ExpiredCertificate:
                NeedsInvitation = true;
                break;
            case Refusal.Late or Refusal.RunOver or Refusal.WrongRound or Refusal.WrongModel or Refusal.NotInCohort or Refusal.AlreadyContributed:
                _job = null;
                break;
            default:
                day.Witness.Breaks($"{Name} was refused: {reason}: {error.Status.Detail}");
                break;
        }
    }

    private async Task RenewAsync()
    {
        byte[] request = new CertificateRequest("CN=whatever", _key, HashAlgorithmName.SHA256).CreateSigningRequest();
        RenewCertificateReply reply = await CallAsync("RenewCertificate", new RenewCertificateRequest { CertificateSigningRequest = ByteString.CopyFrom(request) }, (node, asked, call) => node.RenewCertificate(asked, call));
        _certificate = X509CertificateLoader.LoadCertificate(reply.Certificate.Span);
        day.Count("certificates renewed");
    }

    private async Task BeatAsync()
    {
        if (day.Time.Right - _heard < TimeSpan.FromSeconds(10)) return;
        await CallAsync("Heartbeat", new HeartbeatRequest(), (node, asked, call) => node.Heartbeat(asked, call));
        _heard = day.Time.Right;
    }

    /// <summary>A long poll that something ends; where nothing has changed it waits on.</summary>
    private async Task LookAsync()
    {
        bool isLost = day.Happens(0.002); // its connection breaks while it waits
        bool isUp = Coordinator is { IsUp: true, Faults.IsAway: false };
        if (isUp && !isLost && (_looked is { IsCompleted: false } || Coordinator.Tasks.Next(Name, Formats.Configuration.NodeRole.Trainer) is null))
        {
            _looked = Coordinator.Signal.Next;
            await BeatAsync();
            return;
        }

        _looked = null;
        NodeTask task = await day.TransmitAsync(() => Coordinator.NextTaskAsync(_certificate!, isLost));
        day.Say($"{Name} is asked: {task.TaskCase} {day.NameOf(task.Train?.RunId ?? task.Evaluate?.Run.RunId ?? task.CheckData?.Run.RunId ?? task.RunEnded?.RunId)} {task.Train?.Round}");
        double seconds = day.Happens(0.06) ? Random.Next(300, 1500) : Random.Next(1, 60); // some are late
        if (task.Train is { } train) _job = new Job(task, day.Time.Right + TimeSpan.FromSeconds(seconds), Train(train));
        else if (task.Evaluate is not null || task.CheckData is not null) _job = new Job(task, day.Time.Right + TimeSpan.FromSeconds(seconds / 10));
    }

    private string Train(Train train)
    {
        ulong weight = (ulong)Random.Next(1, 3);
        float[] values = new float[SimulatedDay.Values];
        values[number] = (float)weight * Unit * Random.Next(1, 8);
        values[^2] = (float)weight * Unit;
        values[^1] = (float)weight * ++_made; // no two are the same
        var update = new ModelState([new NamedTensor("w", [values.Length], values)]);
        day.Witness.Made(update.Sha256, day.Update(update.Sha256, new MadeUpdate(train.RunId, (int)train.Round, number, weight, values, update.ToBytes())));
        return update.Sha256;
    }

    private async Task DoAsync(Job job)
    {
        if (job.Task.CheckData is { } check) await CallAsync("ReportReadiness", new ReadinessReport { RunId = check.Run.RunId }, (node, asked, call) => node.ReportReadiness(asked, call));
        if (job.Task.Evaluate is { } evaluate) await CallAsync("ReportEvaluation", new EvaluationReport { RunId = evaluate.Run.RunId, Round = evaluate.Round, ModelSha256 = evaluate.ModelSha256, Sums = new EvaluationSums { Examples = 10, Correct = (ulong)Random.Next(11) } }, (node, asked, call) => node.ReportEvaluation(asked, call));
        if (job.Task.Train is { } train)
        {
            if (day.Happens(0.01)) await CallAsync("ReportFailure", new FailureReport { RunId = train.RunId, Round = train.Round, Reason = "The disk of this site is full." }, (node, asked, call) => node.ReportFailure(asked, call));
            else if (!await ContributeAsync(train, job.Update!)) return;
        }

        _job = null;
    }

    /// <returns>Whether it was taken.</returns>
    private async Task<bool> ContributeAsync(Train train, string sha256)
    {
        MadeUpdate update = day.UpdateOf(sha256);
        var begin = new BeginUploadRequest { RunId = train.RunId, Round = train.Round, ModelSha256 = train.ModelSha256, UpdateSha256 = sha256, Size = (ulong)update.File.Length, Weight = update.Weight };
        if (day.Happens(0.3)) begin.Data = ByteString.CopyFrom(update.File); // as nodes do with small ones
        if (!begin.Data.IsEmpty && day.Happens(0.02)) begin.Data = ByteString.CopyFrom(update.File.AsSpan(0, update.File.Length - 1));
        BeginUploadReply begun = await CallAsync("BeginUpload", begin, (node, asked, call) => node.BeginUpload(asked, call), answered: reply => Hear(begin, reply.Offset));
        if (begun.Offset == begin.Size) return true;
        int offset = (int)begun.Offset, until = day.Happens(0.15) ? Random.Next(offset, update.File.Length) : update.File.Length;
        bool isDamaged = day.Happens(0.02);
        if (until < update.File.Length) day.Count("uploads cut short");
        if (isDamaged) day.Count("uploads damaged");
        List<UploadChunk> chunks = [];
        int piece = Random.Next(20, 200);
        for (int at = offset; chunks.Count == 0 || at < until; at += piece)
        {
            byte[] data = update.File[at..Math.Min(at + piece, until)];
            if (isDamaged && data.Length > 0) data[Random.Next(data.Length)] ^= 1;
            var chunk = new UploadChunk { Offset = (ulong)at, Data = ByteString.CopyFrom(data) };
            if (chunks.Count == 0) (chunk.RunId, chunk.Round, chunk.UpdateSha256) = (train.RunId, train.Round, sha256);
            chunks.Add(chunk);
        }

        bool breaks = until < update.File.Length && Random.Next(2) == 0;
        X509Certificate2 certificate = _certificate!;
        await day.TransmitAsync(
            async () =>
            {
                UploadReply reply = await Coordinator.UploadAsync(certificate, chunks, breaks);
                Hear(begin, begin.Size);
                return reply;
            },
            string.Create(CultureInfo.InvariantCulture, $"{Name} Upload {day.NameOf(train.RunId)} {train.Round} {sha256[..8]} {offset}..{until}"));
        return true;
    }

    /// <summary>The coordinator says how much of an update it has.</summary>
    private void Hear(BeginUploadRequest begun, ulong offset)
    {
        if (offset != begun.Size) return;
        day.Say($"{Name} is told that {begun.UpdateSha256[..8]} of round {begun.Round} of {day.NameOf(begun.RunId)} counts");
        day.Witness.Acknowledged(begun.RunId, Name, begun.UpdateSha256);
    }

    private Task<TReply> CallAsync<TRequest, TReply>(string method, TRequest request, Func<Server.Services.NodeService, TRequest, ServerCallContext, Task<TReply>> handler, Action<TReply>? answered = null)
        where TRequest : class
        where TReply : class
    {
        X509Certificate2 certificate = _certificate!;
        return day.TransmitAsync(
            async () =>
            {
                TReply reply = await Coordinator.NodeAsync(certificate, method, request, handler);
                answered?.Invoke(reply);
                return reply;
            },
            method == "Heartbeat" ? null : $"{Name} {method} {(request as BeginUploadRequest)?.UpdateSha256[..8]}",
            mayBeLate: method is not ("Join" or "RenewCertificate"));
    }
}

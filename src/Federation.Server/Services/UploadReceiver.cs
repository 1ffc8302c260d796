using System.Collections.Concurrent;
using Federation.Privacy.Canonical;
using Federation.Privacy.SecureAggregation;
using Federation.Protocol;
using Federation.Server.Aggregation;
using Federation.Server.Runs;
using Federation.Server.SecureAggregation;
using Federation.Server.Storage;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;
using Opening = Federation.Privacy.SecureAggregation.Opening;
using Refusal = Federation.Protocol.Refusal;

namespace Federation.Server.Services;

/// <summary>Takes updates: announced first, then chunks into the spool, then checked as a whole and counted once. An upload cut short adds nothing.</summary>
public sealed class UploadReceiver(RunContext context, NodePace pace)
{
    private const ulong HeaviestWeight = 1UL << 40;

    // No training moves a weight so far, and squares of it, which strategies keep in float32, stay finite over a million rounds.
    private const float LargestChange = 1e15f;
    private readonly ConcurrentDictionary<(string Run, string Site), Writer> _writers = new();

    /// <summary>One connection at a time writes a site's upload; a newer one takes over, because the older may hang on a dead peer.</summary>
    private sealed class Writer
    {
        public SemaphoreSlim Turn { get; } = new(1);

        public CancellationTokenSource Current { get; set; } = new();
    }

    /// <summary>Announces an update.</summary>
    /// <returns>The offset to go on at; the size where nothing is left to send.</returns>
    public async Task<long> BeginAsync(RunHost run, string site, BeginUploadRequest request, CancellationToken cancellationToken)
    {
        int round = (int)Math.Min(request.Round, int.MaxValue);
        if (!Sha256Hex.IsValid(request.UpdateSha256)) throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.WrongHash, $"'{request.UpdateSha256}' is no SHA-256 in lower-case hex.", "update_sha256");
        if (run.Secure is null ? request.Weight is 0 or > HeaviestWeight : request.Weight != 0) throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.BadWeight, $"The weight {request.Weight} is not allowed; {(run.Secure is null ? "the number of examples, 1 to 2^40," : "0 (it travels in the sum)")} is right.", "weight");
        RequireWelcome(run, site, round, request.ModelSha256, request.UpdateSha256);
        if (RunMachine.IsCounted(run.State, site, round)) return (long)request.Size;
        if (run.Secure is { } secure)
        {
            long body = ContributionFile.BodyBytes(RoundOf(run, secure, round));
            if (request.Size <= (ulong)body || request.Size > (ulong)body + ContributionFile.MostHeaderBytes) throw Fail(run, site, round, RpcError.Refuse(StatusCode.InvalidArgument, Refusal.WrongSize, $"The contribution has {request.Size} bytes; {body} and a signed header are right.", "size"));
        }
        else if (request.Size != (ulong)run.UpdateShape.Header.FileLength)
        {
            throw Fail(run, site, round, RpcError.Refuse(StatusCode.InvalidArgument, Refusal.WrongSize, $"The update has {request.Size} bytes; one of this model has {run.UpdateShape.Header.FileLength}.", "size"));
        }

        using Turn turn = await TakeTurnAsync((run.Id, site), cancellationToken);
        RequireWelcome(run, site, round, request.ModelSha256, request.UpdateSha256); // again: an earlier connection may have finished meanwhile, and what is counted must stay
        if (RunMachine.IsCounted(run.State, site, round)) return (long)request.Size;
        var upload = new UploadRecord(site, request.ModelSha256, request.UpdateSha256, (long)request.Size, request.Weight);
        if (!request.Data.IsEmpty)
        {
            await TakeWholeAsync(run, round, upload, request.Data, turn.Cancelled);
            return upload.Size;
        }

        if (context.Store.FindUpload(run.Id, round, site) != upload)
        {
            context.Spool.Delete(run.Id, round, site); // another update than the one begun: from the start
            context.Store.SaveUpload(run.Id, round, upload);
        }

        long length = context.Spool.Length(run.Id, round, site);
        if (length == upload.Size) await CompleteAsync(run, round, upload);
        return length;
    }

    /// <summary>A small update, which came with its announcement. One that was begun otherwise makes room for it: nothing of it counts.</summary>
    private async Task TakeWholeAsync(RunHost run, int round, UploadRecord upload, ByteString data, CancellationToken cancellationToken)
    {
        if (data.Length != upload.Size || data.Length > Limits.SmallBytes) throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.WrongSize, $"{data.Length} bytes came with an announcement of {upload.Size}; all of them, {Limits.SmallBytes} at most, or none are right.", "data");
        await pace.WaitAsync(upload.Site, data.Length, cancellationToken);
        context.Spool.Delete(run.Id, round, upload.Site);
        using (FileStream file = context.Spool.Append(run.Id, round, upload.Site))
        {
            file.Write(data.Span);
            file.Flush(flushToDisk: true);
        }

        await CompleteAsync(run, round, upload);
    }

    /// <summary>Receives chunks until the update is complete.</summary>
    /// <returns>Whether the same update had been counted before.</returns>
    public async Task<bool> ReceiveAsync(RunHost run, string site, int round, UploadChunk first, IAsyncStreamReader<UploadChunk> rest, CancellationToken cancellationToken)
    {
        using Turn turn = await TakeTurnAsync((run.Id, site), cancellationToken);
        UploadRecord? upload = context.Store.FindUpload(run.Id, round, site);
        RequireWelcome(run, site, round, upload?.ModelSha256 ?? run.State.ModelSha256, first.UpdateSha256);
        if (RunMachine.IsCounted(run.State, site, round)) return true;
        if (upload is null || upload.UpdateSha256 != first.UpdateSha256)
        {
            throw RpcError.Refuse(StatusCode.FailedPrecondition, Refusal.WrongHash, "This update was not announced.", "update_sha256", "Call BeginUpload first.");
        }

        long length = context.Spool.Length(run.Id, round, site);
        var reader = new PieceReader();
        await using (FileStream file = context.Spool.Append(run.Id, round, site))
        {
            UploadChunk chunk = first;
            do
            {
                context.Traffic.AddUp(run.Id, round, chunk.Data.Length);
                context.Traffic.AddControl(run.Id, round, chunk.CalculateSize() - chunk.Data.Length);
                if (chunk.Offset != (ulong)length) throw RpcError.Refuse(StatusCode.OutOfRange, Refusal.WrongOffset, $"The chunk begins at {chunk.Offset}; {length} is right.", "offset", "Call BeginUpload to learn where to go on.");
                await pace.WaitAsync(site, chunk.Data.Length, turn.Cancelled);
                ReadOnlyMemory<byte> data = Unpack(reader, chunk);
                if (data.Length > Limits.ChunkBytes || length + data.Length > upload.Size) throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.WrongSize, $"The chunk has {data.Length} bytes; at most {Math.Min(Limits.ChunkBytes, upload.Size - length)} are right.", "data");
                await file.WriteAsync(data, turn.Cancelled);
                length += data.Length;
            }
            while (length < upload.Size && await rest.MoveNext(turn.Cancelled) && (chunk = rest.Current) is not null);
            file.Flush(flushToDisk: true);
        }

        if (length < upload.Size) throw RpcError.Refuse(StatusCode.Aborted, Refusal.WrongSize, $"The upload ended after {length} of {upload.Size} bytes; they are kept.", repair: "Call BeginUpload and go on from there.");
        await CompleteAsync(run, round, upload);
        return false;
    }

    private static ReadOnlyMemory<byte> Unpack(PieceReader reader, UploadChunk chunk)
    {
        try
        {
            return reader.Unpack(chunk.Data, chunk.Zstd);
        }
        catch (InvalidDataException wrong)
        {
            throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.Invalid, wrong.Message, "data");
        }
    }

    private async Task CompleteAsync(RunHost run, int round, UploadRecord upload)
    {
        try
        {
            string path = context.Spool.PathOf(run.Id, round, upload.Site);
            if (run.Secure is null) UpdateFile.Check(path, upload.UpdateSha256, run.UpdateShape.Header, LargestChange * upload.Weight);
            else CheckContribution(run, round, upload, path);
        }
        catch (RpcException error)
        {
            context.Spool.Delete(run.Id, round, upload.Site);
            // Bytes that were damaged on the way may be sent again; an update that is wrong in itself would only come again.
            throw RpcError.Is(error, Refusal.WrongHash) ? error : Fail(run, upload.Site, round, error);
        }

        // Where the coordinator adds the noise every site counts 1, whatever it claims; what it sent is clipped as it is.
        var counted = new Contribution(upload.UpdateSha256, run.Spec.Privacy is { IsCentral: true } ? 1 : upload.Weight);
        Transition transition = await run.ApplyAsync(run.Secure is not null && run.State.Phase is Evaluating ? new EvaluationSealed(upload.Site, round, counted) : new UpdateArrived(upload.Site, round, upload.ModelSha256, counted));
        if (transition.Refused is { } refusal) throw RpcError.Refuse(StatusCode.FailedPrecondition, refusal, transition.Reason);
    }

    private static void CheckContribution(RunHost run, int round, UploadRecord upload, string path)
    {
        try
        {
            SiteRound expected = RoundOf(run, run.Secure!, round);
            using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1);
            SignedMessage header = ContributionFile.Check(file, file.Length, expected, run.Secure!.RosterOf(run.State), upload.Site);
            if (Sha256Hex.Of(header.Encode()) != upload.UpdateSha256) throw RpcError.Refuse(StatusCode.DataLoss, Refusal.WrongHash, "The contribution's header is not the one that was announced.", "update_sha256", "Send it again from the beginning.");
        }
        catch (ProtocolException wrong)
        {
            throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.ProtocolRefused, wrong.Message, "update");
        }
    }

    private static SiteRound RoundOf(RunHost run, SecureRun secure, int round)
    {
        RunState state = run.State;
        try
        {
            return secure.RoundOf(state, round, secure.PurposeOf(state));
        }
        catch (InvalidOperationException) // it was closed in this moment
        {
            throw RpcError.Refuse(StatusCode.FailedPrecondition, Refusal.WrongRound, $"Round {round} takes no contributions any more.");
        }
    }

    /// <summary>The round does not wait for a site whose update is wrong in itself.</summary>
    private static RpcException Fail(RunHost run, string site, int round, RpcException error)
    {
        run.Apply(new SiteFailed(site, round, error.Status.Detail));
        return error;
    }

    private static void RequireWelcome(RunHost run, string site, int round, string model, string update)
    {
        if (run.RefusalOf(site, round, model, update) is var (refusal, reason))
        {
            throw RpcError.Refuse(refusal == Refusal.AlreadyContributed ? StatusCode.AlreadyExists : StatusCode.FailedPrecondition, refusal, reason);
        }
    }

    private async Task<Turn> TakeTurnAsync((string, string) key, CancellationToken cancellationToken)
    {
        Writer writer = _writers.GetOrAdd(key, _ => new Writer());
        await writer.Current.CancelAsync();
        await writer.Turn.WaitAsync(cancellationToken);
        writer.Current = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        return new Turn(writer);
    }

    private sealed class Turn(Writer writer) : IDisposable
    {
        public CancellationToken Cancelled { get; } = writer.Current.Token;

        public void Dispose() => writer.Turn.Release();
    }
}

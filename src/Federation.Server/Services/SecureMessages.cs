using Federation.Formats.Configuration;
using Federation.Formats.Runs;
using Federation.Privacy.SecureAggregation;
using Federation.Protocol;
using Federation.Server.Runs;
using Federation.Server.SecureAggregation;
using Federation.Server.Storage;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;
using Roster = Federation.Privacy.SecureAggregation.Roster;

namespace Federation.Server.Services;

/// <summary>What the operator is shown of secure aggregation: a run's keys, the roster, what was signed.</summary>
internal static class SecureMessages
{
    /// <returns>Null: the run has none.</returns>
    public static V1.SecureAggregation? Of(RunHost run, IEnumerable<string> transcripts)
    {
        if (run.Secure is null) return null;
        RunState state = run.State;
        EpochCertificate? certificate = state.Keys is null ? null : run.Secure.CertificateOf(state);
        return new V1.SecureAggregation
        {
            Kind = "threshold-bfv",
            Mode = run.Secure.IsDirect ? "direct" : "hybrid",
            Threshold = (uint)(certificate?.Descriptor.Threshold ?? run.Spec.SecureAggregation!.Threshold ?? 0),
            Committee = { certificate?.Qualified.Select(member => certificate.Descriptor.Members[member - 1]) ?? [] },
            Epoch = (ulong)state.Epoch,
            Openings = (uint)(state.Keys?.Openings ?? 0),
            CertificateSha256 = state.Keys?.CertificateSha256 ?? "",
            RosterSha256 = state.Keys?.RosterSha256 ?? "",
            Retired = state.Keys?.Retired ?? false,
            Transcripts = { transcripts },
            Guarantee = $"{NodePolicy.Unpinned} At a site that pins the roster more holds; that is each site's own, and the coordinator cannot state it.",
        };
    }

    /// <exception cref="RpcException">Nobody is in it.</exception>
    public static async Task SendRosterAsync(RunContext context, IServerStreamWriter<Chunk> responses, CancellationToken cancellationToken)
    {
        if (context.Sessions.Roster().Trainers.Count == 0) throw RpcError.Refuse(StatusCode.FailedPrecondition, Protocol.Refusal.Invalid, "No site that trains is enrolled yet, so there is no roster.", repair: "`fed site invite NAME` makes a token for one.");
        Roster roster = RosterBook.Current(context);
        foreach ((int offset, ByteString data) in Pieces(roster.Encode())) await responses.WriteAsync(new Chunk { Offset = (ulong)offset, Data = data }, cancellationToken);
    }

    public static async Task SendTranscriptsAsync(IEnumerable<TranscriptRecord> transcripts, IServerStreamWriter<TranscriptChunk> responses, CancellationToken cancellationToken)
    {
        foreach (TranscriptRecord transcript in transcripts)
        {
            foreach ((int offset, ByteString data) in Pieces(transcript.Content))
            {
                var chunk = new TranscriptChunk { Data = data };
                if (offset == 0) (chunk.Kind, chunk.Epoch, chunk.Round, chunk.Size) = (transcript.Kind, (uint)transcript.Epoch, (uint)transcript.Round, (ulong)transcript.Content.Length);
                await responses.WriteAsync(chunk, cancellationToken);
            }
        }
    }

    private static IEnumerable<(int Offset, ByteString Data)> Pieces(byte[] content)
    {
        for (int offset = 0; offset < content.Length; offset += Limits.ChunkBytes)
        {
            yield return (offset, ByteString.CopyFrom(content, offset, Math.Min(Limits.ChunkBytes, content.Length - offset)));
        }
    }
}

using System.Buffers;
using System.Security.Cryptography;
using Federation.Cli.CommandLine;
using Federation.Formats;
using Federation.Formats.Data;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Formats.Statistics;
using Federation.Learning.Models;
using Federation.Protocol;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;

namespace Federation.Cli.Verbs;

/// <summary>A run spec with everything that travels with it, checked before the coordinator hears of it.</summary>
/// <param name="Initial">Null: the run asks for statistics.</param>
internal sealed record Submission(RunSpec Spec, string SpecYaml, string SchemaYaml, ModelState? Initial)
{
    /// <summary>Reads the spec, its schema and its initial model; makes the model from the seed where the spec names none.</summary>
    /// <exception cref="InvalidInputException">Everything that is wrong with the first file that is.</exception>
    public static Submission Prepare(string path)
    {
        string yaml = TextFile.Read(path);
        RunSpec spec = RunSpec.Parse(yaml, path);
        string folder = Path.GetDirectoryName(Path.GetFullPath(path)) ?? "/";
        if (spec.Data is not { } data)
        {
            string file = spec.Model.Initial ?? throw new InvalidInputException(new Problem("is missing: nobody but you can make a custom model's first state.", path, Field: "model.initial", Repair: "Write initial: FILE.safetensors, saved from your module."));
            return Checked(path, new Submission(spec, yaml, "", ModelState.Read(Path.GetFullPath(file, folder))));
        }

        string schemaPath = Path.GetFullPath(data.Schema, folder);
        string schemaYaml = TextFile.Read(schemaPath);
        DataSchema schema = DataSchema.Parse(schemaYaml, schemaPath);
        if (spec.Statistics is not null)
        {
            SpecProblems.Place(path, () => StatisticsQuery.Of(spec, schema));
            return new Submission(spec, yaml, schemaYaml, null);
        }

        return Checked(path, new Submission(spec, yaml, schemaYaml, SpecProblems.Place(path, () => TabularModel.Initial(spec, schema, folder))));
    }

    /// <summary>With what its strategy needs beside the model; what the spec says of the model's tensors is said of tensors that it has.</summary>
    private static Submission Checked(string path, Submission submission)
    {
        if (submission.Spec.Strategy.Kind == StrategyKind.Scaffold) submission = submission with { Initial = SpecProblems.Place(path, () => ModelControls.Begin(submission.Initial!)) };
        SpecProblems.Place(path, () => UpdateShape.Of(submission.Spec, submission.Initial!.Header));
        return submission;
    }

    /// <summary>The hash that sites approve.</summary>
    public string SpecSha256 => SignedSubmission.SpecSha256(SpecYaml, SchemaYaml, InitialSha256);

    private string InitialSha256 => Initial?.Sha256 ?? "";

    /// <summary>Uploads the initial model, signs and submits.</summary>
    /// <returns>The run's id, and the hash of the key that it is signed with; null: unsigned.</returns>
    /// <exception cref="InvalidInputException">The key that was named cannot be used.</exception>
    /// <exception cref="RpcException">The coordinator refused, or cannot be reached.</exception>
    public async Task<(string Run, string? KeySha256)> SendAsync(OperatorConnection connection, Invocation invocation)
    {
        using ECDsa? key = connection.KeyFor(invocation);
        if (Initial is not null) await UploadAsync(connection.Client, Initial, invocation.Cancellation);
        V1.RunSubmission signed = SignedSubmission.Make(connection.FederationSha256, SpecYaml, SchemaYaml, InitialSha256, key).ToMessage();
        var request = new SubmitRunRequest { SpecYaml = SpecYaml, SchemaYaml = SchemaYaml, InitialModelSha256 = InitialSha256, Nonce = signed.Nonce, Submitter = signed.Submitter };
        SubmitRunReply reply = await connection.Client.SubmitRunAsync(request, cancellationToken: invocation.Cancellation);
        return (reply.RunId, signed.Submitter?.ToDomain().KeySha256);
    }

    private static async Task UploadAsync(Operator.OperatorClient client, ModelState initial, CancellationToken cancellation)
    {
        // Through a file, not an array: a model may be larger than an array can be.
        await using FileStream file = new(Path.GetTempFileName(), new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.ReadWrite, Options = FileOptions.DeleteOnClose });
        initial.Write(file);
        file.Position = 0;
        using AsyncClientStreamingCall<BlobChunk, BlobReply> call = client.UploadBlob(cancellationToken: cancellation);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(Limits.ChunkBytes);
        try
        {
            ulong offset = 0;
            int count;
            while ((count = await file.ReadAtLeastAsync(buffer.AsMemory(0, Limits.ChunkBytes), Limits.ChunkBytes, throwOnEndOfStream: false, cancellation)) > 0)
            {
                var chunk = new BlobChunk { Offset = offset, Data = ByteString.CopyFrom(buffer, 0, count) };
                if (offset == 0) (chunk.Sha256, chunk.Size) = (initial.Sha256, (ulong)file.Length);
                await call.RequestStream.WriteAsync(chunk, cancellation);
                offset += (ulong)count;
            }

            await call.RequestStream.CompleteAsync();
        }
        catch (RpcException)
        {
            // The coordinator ended the call early; the response below says why.
        }
        catch (InvalidOperationException)
        {
            // The same, noticed by the writer before the status arrived.
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        await call.ResponseAsync;
    }
}

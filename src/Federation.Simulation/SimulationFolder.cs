using System.Text.Json;
using System.Text.Json.Serialization;
using Federation.Formats;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Privacy.Canonical;
using Federation.Server.Runs;
using Federation.Server.Strategies;

namespace Federation.Simulation;

/// <summary>Everything that a simulation goes on from, but its model.</summary>
/// <param name="Now">Virtual.</param>
internal sealed record SimulationCheckpoint(RunState State, DateTimeOffset Now, IReadOnlyList<SimulatedRound> Rounds)
{
    /// <summary>Of spec and examples; a simulation goes on with the same alone.</summary>
    public string OfSha256 { get; init; } = "";
}

/// <summary>Where a simulation keeps its checkpoint: the file that names the model is written last and gets its name whole, so what it says is there or was never said.</summary>
/// <param name="path">Created where it is not there.</param>
/// <param name="of">What the simulation is of: the text of its spec, changes included, and of its data.</param>
public sealed class SimulationFolder(string path, string of)
{
    private const string FileName = "checkpoint.json";

    private static readonly JsonSerializerOptions Options = new() { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };

    private readonly string _folder = Path.Combine(Path.GetFullPath(path), "checkpoint");

    internal string Strategy => Path.Combine(_folder, "strategy");

    /// <summary>Whether there is something to go on from.</summary>
    public bool HasCheckpoint => File.Exists(Path.Combine(_folder, FileName));

    /// <exception cref="InvalidInputException">It is of another simulation, or cannot be read.</exception>
    internal (SimulationCheckpoint Checkpoint, ModelState Model)? Read(RunSpec spec)
    {
        string file = Path.Combine(_folder, FileName);
        if (!File.Exists(file)) return null;
        try
        {
            SimulationCheckpoint checkpoint = JsonSerializer.Deserialize<SimulationCheckpoint>(File.ReadAllBytes(file), Options) ?? throw new JsonException("It is empty.");
            if (checkpoint.OfSha256 != Of(spec)) throw new InvalidInputException(new Problem("The checkpoint is of another spec or of other data; a simulation goes on with the same alone.", file, Repair: "Give the spec as it was, another --out, or leave --resume out."));
            ModelState model = ModelState.Read(PathOf(checkpoint.State.ModelSha256));
            if (model.Sha256 != checkpoint.State.ModelSha256) throw new InvalidInputException(new Problem($"The model's SHA-256 is {model.Sha256}; the checkpoint says {checkpoint.State.ModelSha256}.", file, Repair: "Begin anew, without --resume."));
            return (checkpoint, model);
        }
        catch (Exception error) when (error is JsonException or NotSupportedException or ArgumentException)
        {
            throw new InvalidInputException(new Problem($"The checkpoint cannot be read: {error.Message}", file, Repair: "Begin anew, without --resume."));
        }
    }

    /// <summary>Durable when it returns.</summary>
    internal void Write(RunSpec spec, SimulationCheckpoint checkpoint, ModelState model, StrategyFiles strategy, string runId)
    {
        Directory.CreateDirectory(_folder);
        Whole(PathOf(model.Sha256), model.ToBytes());
        Whole(Path.Combine(_folder, FileName), JsonSerializer.SerializeToUtf8Bytes(checkpoint with { OfSha256 = Of(spec) }, Options));
        foreach (string other in Directory.EnumerateFiles(_folder, "*.safetensors").Where(other => other != PathOf(model.Sha256))) File.Delete(other);
        strategy.Keep(runId, checkpoint.State.StrategyRound);
    }

    internal void Clear()
    {
        if (Directory.Exists(_folder)) Directory.Delete(_folder, recursive: true);
    }

    private static void Whole(string path, byte[] content)
    {
        using (FileStream file = File.Create(path + ".new"))
        {
            file.Write(content);
            file.Flush(flushToDisk: true);
        }

        File.Move(path + ".new", path, overwrite: true);
    }

    private string PathOf(string sha256) => Path.Combine(_folder, sha256 + ".safetensors");

    private string Of(RunSpec spec) => Convert.ToHexStringLower(new CanonicalWriter("simulation").Field(spec.Seed).Field(of).Hash());
}

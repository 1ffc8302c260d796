using System.Text.Json;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Learning.Strategies;

namespace Federation.Client;

/// <summary>This site's control variate in a run of SCAFFOLD, durable from round to round, sent nowhere. What a round made of it counts from when the round's update was taken and has changed the global one, so that the global one stays the mean of the sites'.</summary>
internal sealed class OwnControls(NodeFolder folder)
{
    private const string RecordFile = "controls.json";

    /// <param name="Counted">The round whose control variate counts; 0: none does, it is 0.</param>
    /// <param name="Pending">The round whose control variate will count, if its update does; 0: none.</param>
    /// <param name="Start">SHA-256 of the global control variate that the pending one started from.</param>
    /// <param name="Taken">Whether the coordinator has taken the pending round's update.</param>
    private sealed record Standing(int Counted, int Pending, string Start, bool Taken);

    /// <summary>cᵢ as it is when a round starts from this global one.</summary>
    /// <exception cref="Formats.InvalidInputException">What was kept is gone or cannot be read.</exception>
    public ModelState At(string runId, ModelState global)
    {
        int counted = Settled(runId, global).Counted;
        return counted == 0 ? new ModelState(global.Tensors.Select(tensor => tensor with { Values = new float[tensor.Values.Length] })) : ModelState.Read(PathOf(runId, counted));
    }

    /// <summary>Keeps what a round made of it.</summary>
    /// <param name="global">That the round started from.</param>
    public void Keep(string runId, int round, ModelState global, ModelState own)
    {
        Standing standing = Settled(runId, global);
        // Not under the name of what counts: a round may be asked for again after its end, by a coordinator that was put back.
        if (round == standing.Counted) throw new LearningException($"Round {round} is asked for again, and this site's control variate counts as of that round. Submit the run anew.");
        own.Save(PathOf(runId, round));
        Write(runId, new Standing(standing.Counted, round, global.Sha256, Taken: false));
        foreach (string file in Directory.EnumerateFiles(folder.Run(runId), "*.control.safetensors").Where(file => file != PathOf(runId, round) && file != PathOf(runId, standing.Counted)).ToArray()) File.Delete(file);
    }

    /// <summary>The coordinator has the round's update.</summary>
    public void Taken(string runId, int round)
    {
        if (Read(runId) is { Taken: false } standing && standing.Pending == round) Write(runId, standing with { Taken = true });
    }

    /// <summary>The run is over.</summary>
    public void Forget(string runId)
    {
        File.Delete(Path.Combine(folder.Run(runId), RecordFile));
        foreach (string file in Directory.EnumerateFiles(folder.Run(runId), "*.control.safetensors").ToArray()) File.Delete(file);
    }

    // A round that changed nothing leaves the global control variate; its successor starts again from what counted before.
    private Standing Settled(string runId, ModelState global) => Read(runId) switch
    {
        null => new Standing(0, 0, "", false),
        { Pending: > 0, Taken: true } standing when standing.Start != global.Sha256 => new Standing(standing.Pending, 0, "", false),
        var standing => standing,
    };

    private Standing? Read(string runId)
    {
        string path = Path.Combine(folder.Run(runId), RecordFile);
        return File.Exists(path) ? JsonSerializer.Deserialize<Standing>(File.ReadAllText(path)) : null;
    }

    private void Write(string runId, Standing standing) => WholeFile.Write(Path.Combine(folder.Run(runId), RecordFile), JsonSerializer.Serialize(standing));

    private string PathOf(string runId, int round) => Path.Combine(folder.Run(runId), FormattableString.Invariant($"{round}.control.safetensors"));
}

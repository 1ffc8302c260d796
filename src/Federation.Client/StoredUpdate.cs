using System.Text.Json;
using Federation.Learning;

namespace Federation.Client;

/// <summary>A round's update on disk, durable before the upload begins: after a crash the same bytes are sent again.</summary>
/// <param name="ModelSha256">The global model it starts from.</param>
/// <param name="Sha256">Of the update.</param>
/// <param name="Reservation">Number of the ledger's record that pays for it.</param>
/// <param name="Loss">Mean training loss, for this site's log.</param>
internal sealed record StoredUpdate(string ModelSha256, string Sha256, ulong Weight, double Loss, long Reservation)
{
    /// <summary>Of an encrypted contribution in place of an update.</summary>
    public static string ContributionOf(NodeFolder folder, string runId, int round) => Path.Combine(folder.Updates(runId), FormattableString.Invariant($"{round}.contribution"));

    /// <summary>Of encrypted evaluation sums.</summary>
    public static string EvaluationOf(NodeFolder folder, string runId, int round) => Path.Combine(folder.Updates(runId), FormattableString.Invariant($"{round}.evaluation"));

    public static string PathOf(NodeFolder folder, string runId, int round) => Path.Combine(folder.Updates(runId), FormattableString.Invariant($"{round}.safetensors"));

    /// <summary>The stored update of this round and model, or null.</summary>
    public static StoredUpdate? Find(NodeFolder folder, string runId, int round, string modelSha256, bool secure)
    {
        string path = secure ? ContributionOf(folder, runId, round) : PathOf(folder, runId, round), record = path + ".json";
        if (!File.Exists(record) || !File.Exists(path)) return null;
        return JsonSerializer.Deserialize<StoredUpdate>(File.ReadAllText(record)) is { } update && update.ModelSha256 == modelSha256 ? update : null;
    }

    public static StoredUpdate Save(NodeFolder folder, string runId, int round, string modelSha256, TrainingResult result, long reservation)
    {
        string path = PathOf(folder, runId, round), record = path + ".json";
        File.Delete(record); // the record last: with it the update counts as stored
        result.WeightedDelta.Save(path);
        return Record(record, new StoredUpdate(modelSha256, result.WeightedDelta.Sha256, result.Weight, result.Loss, reservation));
    }

    /// <summary>A contribution that was written to its place; its weight travels inside.</summary>
    /// <param name="headerSha256">Of its signed header.</param>
    public static StoredUpdate SaveContribution(NodeFolder folder, string runId, int round, string modelSha256, string headerSha256, double loss, long reservation) =>
        Record(ContributionOf(folder, runId, round) + ".json", new StoredUpdate(modelSha256, headerSha256, 0, loss, reservation));

    private static StoredUpdate Record(string record, StoredUpdate update)
    {
        File.WriteAllText(record + ".new", JsonSerializer.Serialize(update));
        File.Move(record + ".new", record, overwrite: true);
        return update;
    }

    /// <summary>Removes the updates of earlier rounds.</summary>
    public static void DropBefore(NodeFolder folder, string runId, int round)
    {
        foreach (string file in Directory.EnumerateFiles(folder.Updates(runId)))
        {
            if (int.TryParse(Path.GetFileName(file).Split('.')[0], out int number) && number < round) File.Delete(file);
        }
    }
}

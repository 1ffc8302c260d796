using System.Text.Json;
using System.Text.Json.Serialization;
using Federation.Learning;

namespace Federation.Client;

/// <summary>A round's update on disk, durable before the upload begins: after a crash the same bytes are sent again.</summary>
/// <param name="ModelSha256">The global model it starts from.</param>
/// <param name="Sha256">Of the update.</param>
/// <param name="Reservation">Number of the ledger's record that pays for it.</param>
/// <param name="Loss">Mean training loss, for this site's log. Null in the record where it is not finite, which JSON cannot say and no reason to keep back an update that is paid for; NaN when read.</param>
/// <param name="Rounding">Names the key that an encrypted update was rounded with.</param>
internal sealed record StoredUpdate(string ModelSha256, string Sha256, ulong Weight, [property: JsonConverter(typeof(FiniteOrNull))] double Loss, long Reservation, string Rounding = "")
{
    /// <summary>Of an encrypted contribution in place of an update.</summary>
    public static string ContributionOf(NodeFolder folder, string runId, int round) => Path.Combine(folder.Updates(runId), FormattableString.Invariant($"{round}.contribution"));

    /// <summary>Of encrypted evaluation sums.</summary>
    public static string EvaluationOf(NodeFolder folder, string runId, int round) => Path.Combine(folder.Updates(runId), FormattableString.Invariant($"{round}.evaluation"));

    public static string PathOf(NodeFolder folder, string runId, int round) => Path.Combine(folder.Updates(runId), FormattableString.Invariant($"{round}.safetensors"));

    /// <summary>What was stored at a path for this model, or null.</summary>
    public static StoredUpdate? Find(string path, string modelSha256)
    {
        string record = RecordOf(path);
        if (!File.Exists(record) || !File.Exists(path)) return null;
        try
        {
            return JsonSerializer.Deserialize<StoredUpdate>(File.ReadAllText(record)) is { Sha256: not null, Rounding: not null } update && update.ModelSha256 == modelSha256 ? update : null;
        }
        catch (JsonException)
        {
            return null; // cut short with the machine's power: what it was for is made anew
        }
    }

    /// <summary>Before a file is written: what was stored counts no more.</summary>
    public static void Forget(string path) => File.Delete(RecordOf(path));

    public static StoredUpdate Save(NodeFolder folder, string path, string modelSha256, TrainingResult result, long reservation)
    {
        Forget(path);
        folder.Spare.Place(path);
        using (FileStream file = File.Create(path))
        {
            result.WeightedDelta.Write(file);
            file.Flush(flushToDisk: true);
        }

        return Save(folder, path, new StoredUpdate(modelSha256, result.WeightedDelta.Sha256, result.Weight, result.Loss, reservation));
    }

    /// <summary>Of a file that was written to its place: with this record it counts as stored.</summary>
    public static StoredUpdate Save(NodeFolder folder, string path, StoredUpdate update)
    {
        WholeFile.Write(RecordOf(path), JsonSerializer.Serialize(update), folder.Spare);
        return update;
    }

    private static string RecordOf(string path) => path + ".json";

    /// <summary>Removes the updates of earlier rounds.</summary>
    public static void DropBefore(NodeFolder folder, string runId, int round)
    {
        foreach (string file in Directory.EnumerateFiles(folder.Updates(runId)))
        {
            if (int.TryParse(Path.GetFileName(file).Split('.')[0], out int number) && number < round) folder.Spare.Retire(file);
        }
    }
}

/// <summary>NaN and ±∞ as null.</summary>
internal sealed class FiniteOrNull : JsonConverter<double>
{
    public override bool HandleNull => true;

    public override double Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => reader.TokenType == JsonTokenType.Null ? double.NaN : reader.GetDouble();

    public override void Write(Utf8JsonWriter writer, double value, JsonSerializerOptions options)
    {
        if (double.IsFinite(value)) writer.WriteNumberValue(value);
        else writer.WriteNullValue();
    }
}

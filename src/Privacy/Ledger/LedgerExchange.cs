using System.Text.Json;
using Federation.Privacy.Canonical;

namespace Federation.Privacy.Ledger;

/// <summary>
/// A ledger as JSON lines: <c>{"record":{…},"hash":"…","signature":"…"}</c> for each record, then <c>{"head":{…}}</c>. The record stands there byte for byte as it was signed, so a copy proves as much as the original.
/// </summary>
public static class LedgerExchange
{
    private const int LongestLine = 1 << 20;

    /// <returns>The number of records written.</returns>
    /// <exception cref="LedgerException">The ledger cannot be read, or holds nothing of this data set.</exception>
    public static long Export(string path, string dataSet, TextWriter lines)
    {
        using LedgerFile file = LedgerFile.OpenForReading(path);
        LedgerHead head = file.Head(dataSet) ?? throw new LedgerException(LedgerFault.Unusable, $"{path} holds no ledger of '{dataSet}'.");
        long count = 0;
        foreach (StoredRecord record in file.Records(dataSet))
        {
            lines.Write($"{{\"record\":{record.Content},\"hash\":\"{record.Hash}\",\"signature\":\"{Convert.ToBase64String(record.Signature)}\"}}\n");
            count++;
        }

        lines.Write(JsonLine.Write(json => Write(json, head)) + "\n");
        return count;
    }

    /// <summary>Checks the lines as a ledger is checked, and writes them into a file that holds no ledger of that data set. With its key beside the file the ledger can go on; without it, it can be read.</summary>
    /// <returns>What was imported.</returns>
    /// <exception cref="LedgerException">A line is none, the chain is broken, or the file cannot be written; nothing is imported.</exception>
    public static LedgerVerification Import(TextReader lines, string path)
    {
        (List<StoredRecord> records, LedgerHead head) = Read(lines);
        LedgerVerification verification = LedgerVerification.Of(head.DataSet, records, head);
        if (!verification.Valid) throw new LedgerException(LedgerFault.Broken, $"The lines are no valid ledger. {verification.Problems[0]}");
        string keyPath = LedgerKey.PathFor(path);
        using LedgerKey? key = File.Exists(keyPath) ? LedgerKey.Load(keyPath) : null;
        if (key is not null && !key.PublicKey.AsSpan().SequenceEqual(head.PublicKey)) throw new LedgerException(LedgerFault.Key, $"The key {keyPath} is not the one of the ledger of '{head.DataSet}'.");
        using LedgerFile file = LedgerFile.Open(path, TimeSpan.FromSeconds(10));
        file.Exclusively(() =>
        {
            if (file.DataSets().Contains(head.DataSet)) throw new LedgerException(LedgerFault.Unusable, $"{path} holds a ledger of '{head.DataSet}' already; nothing is written over it.");
            foreach (StoredRecord record in records) file.Append(head.DataSet, record, head);
            if (key is null) return true;
            Dictionary<string, string> ledgers = file.Directory()?.Read().ToDictionary() ?? [];
            ledgers[head.DataSet] = head.LedgerId;
            file.Save(LedgerDirectory.Sign(ledgers, key));
            return true;
        });
        return verification;
    }

    internal static (List<StoredRecord> Records, LedgerHead Head) Read(TextReader lines)
    {
        List<StoredRecord> records = [];
        LedgerHead? head = null;
        for (int number = 1; lines.ReadLine() is { } line; number++)
        {
            if (line.Length == 0) continue;
            try
            {
                if (head is not null) throw new FormatException("it stands behind the head, which is the last");
                if (line.Length > LongestLine) throw new FormatException($"it has {line.Length} characters; {LongestLine} is the most");
                using JsonDocument document = JsonDocument.Parse(line);
                JsonElement json = document.RootElement;
                if (json.TryGetProperty("head", out JsonElement heading)) head = ReadHead(heading);
                else records.Add(new StoredRecord(json.GetProperty("record").GetProperty("number").GetInt64(), json.GetProperty("record").GetRawText(), Text(json, "hash"), json.GetProperty("signature").GetBytesFromBase64()));
            }
            catch (Exception error) when (error is JsonException or FormatException or InvalidOperationException or KeyNotFoundException)
            {
                throw new LedgerException(LedgerFault.Broken, $"Line {number} is no record of a ledger: {error.Message}", error) { Line = number };
            }
        }

        return (records, head ?? throw new LedgerException(LedgerFault.Broken, "The last line, the signed head, is missing: the file was cut short, or is no exported ledger."));
    }

    private static void Write(Utf8JsonWriter json, LedgerHead head)
    {
        json.WriteStartObject();
        json.WriteStartObject("head");
        json.WriteString("ledger", head.LedgerId);
        json.WriteString("dataSet", head.DataSet);
        json.WriteNumber("count", head.Count);
        json.WriteString("hash", head.Hash);
        json.WriteNumbers("divergences", head.Divergences);
        json.WriteNumber("statisticalDistance", head.StatisticalDistance);
        json.WriteBase64String("publicKey", head.PublicKey);
        json.WriteBase64String("signature", head.Signature);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static LedgerHead ReadHead(JsonElement json) => new(
        Text(json, "ledger"), Text(json, "dataSet"), json.GetProperty("count").GetInt64(), Text(json, "hash"),
        [.. json.GetProperty("divergences").EnumerateArray().Select(value => value.ValueKind == JsonValueKind.String && value.GetString() == "Infinity" ? double.PositiveInfinity : value.GetDouble())],
        json.GetProperty("statisticalDistance").GetDouble(), json.GetProperty("publicKey").GetBytesFromBase64(), json.GetProperty("signature").GetBytesFromBase64());

    private static string Text(JsonElement json, string field) => json.GetProperty(field).GetString() ?? throw new FormatException($"its {field} is null");
}

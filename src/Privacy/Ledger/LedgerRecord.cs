using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Federation.Privacy.Accounting;
using Federation.Privacy.Canonical;

namespace Federation.Privacy.Ledger;

/// <summary>One record of a ledger, read. Which of the details are there depends on the kind.</summary>
public abstract record LedgerRecord(long Number, DateTimeOffset Time)
{
    /// <summary>What it charges.</summary>
    public virtual IReadOnlyList<PrivacyEvent> Charge => [];

    /// <summary>What it costs against those who know no part of a shared noise; charged is <see cref="Charge"/>.</summary>
    public virtual IReadOnlyList<PrivacyEvent> Outside => Charge;
}

/// <summary>Record 0: whose ledger this is, and the key that signs it.</summary>
public sealed record OpenedRecord(long Number, DateTimeOffset Time, string DataSet, LedgerTerms Terms, byte[] PublicKey) : LedgerRecord(Number, Time);

/// <summary>From here on this budget holds.</summary>
public sealed record BudgetRecord(long Number, DateTimeOffset Time, PrivacyBudget Budget) : LedgerRecord(Number, Time);

/// <summary>Something may be released from here on, and is paid for, whether it is released or not.</summary>
public sealed record ReservedRecord(long Number, DateTimeOffset Time, Release Release) : LedgerRecord(Number, Time)
{
    public override IReadOnlyList<PrivacyEvent> Charge => Release.Events;

    public override IReadOnlyList<PrivacyEvent> Outside => Release.Outside ?? Release.Events;
}

/// <summary>A reservation's release has arrived.</summary>
/// <param name="Reservation">Number of the reservation.</param>
/// <param name="Content">SHA-256 of what was released.</param>
/// <param name="Acknowledged">Count of the head that travelled with it: the recipient has seen the chain as far as that.</param>
public sealed record CommittedRecord(long Number, DateTimeOffset Time, long Reservation, string Content, string Recipient, long Acknowledged) : LedgerRecord(Number, Time);

/// <summary>Records that somebody outside had seen were lost, and their cost was charged. Takes the number that the lost chain would have gone on with.</summary>
/// <param name="LostCount">Count of the lost chain.</param>
/// <param name="LostHash">Hash of its last record.</param>
public sealed record LostRecord(long Number, DateTimeOffset Time, string LostLedger, long LostCount, string LostHash, IReadOnlyList<PrivacyEvent> Events) : LedgerRecord(Number, Time)
{
    public override IReadOnlyList<PrivacyEvent> Charge => Events;
}

/// <summary>A record as it is stored: the very bytes that were hashed and signed, a line of JSON.</summary>
/// <param name="Place">Where it stands; equal to the number inside unless somebody moved it.</param>
internal sealed record StoredRecord(long Place, string Content, string Hash, byte[] Signature)
{
    /// <summary>SHA-256 over the canonical bytes of the content; the content holds number and previous hash.</summary>
    public static byte[] Digest(string content) => new CanonicalWriter("ledger/record").Field(content).Hash();

    /// <summary>Hash and signature by a key.</summary>
    public static StoredRecord Sign(LedgerRecord record, string previous, LedgerKey key)
    {
        string content = RecordJson.Write(record, previous);
        byte[] digest = Digest(content);
        return new StoredRecord(record.Number, content, Convert.ToHexStringLower(digest), key.Sign(digest));
    }
}

/// <summary>A record's JSON: fields in a fixed order, one line.</summary>
internal static class RecordJson
{
    private const int Format = 1;

    public static string Write(LedgerRecord record, string previous) => JsonLine.Write(json =>
    {
        json.WriteStartObject();
        json.WriteNumber("number", record.Number);
        if (record is not OpenedRecord) json.WriteString("previous", previous);
        // Two records are never the same, whatever the clock says: a chain that was cut back cannot grow into the lost one again.
        json.WriteString("nonce", Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8)));
        json.WriteString("time", record.Time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture));
        Write(json, record);
        json.WriteEndObject();
    });

    /// <summary>The record, and the hash that it says came before it.</summary>
    /// <exception cref="FormatException">The text is no record.</exception>
    public static (LedgerRecord Record, string Previous) Read(string content)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(content);
            JsonElement json = document.RootElement;
            string previous = json.TryGetProperty("previous", out JsonElement before) ? before.GetString() ?? "" : "";
            long number = json.GetProperty("number").GetInt64();
            if (number is < 0 or >= LedgerChain.MostRecords) throw new FormatException($"its number is {number}");
            return (Read(json, number, json.GetProperty("time").GetDateTimeOffset()), previous);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or KeyNotFoundException or ArgumentException or CryptographicException)
        {
            throw new FormatException(error.Message, error);
        }
    }

    private static void Write(Utf8JsonWriter json, LedgerRecord record)
    {
        switch (record)
        {
            case OpenedRecord opened:
                json.WriteString("kind", "opened");
                json.WriteNumber("format", Format);
                json.WriteString("dataSet", opened.DataSet);
                json.WriteString("unit", LedgerNames.Of(opened.Terms.Unit));
                json.WriteString("relation", LedgerNames.Of(opened.Terms.Relation));
                json.WriteBase64String("publicKey", opened.PublicKey);
                break;
            case BudgetRecord budget:
                json.WriteString("kind", "budget");
                json.WriteNumber("epsilon", budget.Budget.Epsilon);
                json.WriteNumber("delta", budget.Budget.Delta);
                break;
            case ReservedRecord reserved:
                json.WriteString("kind", "reserved");
                json.WriteString("run", reserved.Release.Run);
                json.WriteNumber("round", reserved.Release.Round);
                json.WriteString("purpose", reserved.Release.Purpose);
                json.WriteString("recipient", reserved.Release.Recipient);
                json.WritePropertyName("events");
                PrivacyEventJson.Write(json, reserved.Release.Events);
                if (reserved.Release.Outside is null) break;
                json.WritePropertyName("outside");
                PrivacyEventJson.Write(json, reserved.Release.Outside);
                break;
            case CommittedRecord committed:
                json.WriteString("kind", "committed");
                json.WriteNumber("reservation", committed.Reservation);
                json.WriteString("content", committed.Content);
                json.WriteString("recipient", committed.Recipient);
                json.WriteNumber("acknowledged", committed.Acknowledged);
                break;
            case LostRecord lost:
                json.WriteString("kind", "lost");
                json.WriteString("lostLedger", lost.LostLedger);
                json.WriteNumber("lostCount", lost.LostCount);
                json.WriteString("lostHash", lost.LostHash);
                json.WritePropertyName("events");
                PrivacyEventJson.Write(json, lost.Events);
                break;
        }
    }

    private static LedgerRecord Read(JsonElement json, long number, DateTimeOffset time)
    {
        string Text(string field) => json.GetProperty(field).GetString() ?? throw new FormatException($"its {field} is null");
        switch (Text("kind"))
        {
            case "opened":
                if (json.GetProperty("format").GetInt32() != Format) throw new FormatException($"it is of format {json.GetProperty("format")}, this program knows {Format}");
                return new OpenedRecord(number, time, Text("dataSet"), new(LedgerNames.Units[Text("unit")], LedgerNames.Relations[Text("relation")]), json.GetProperty("publicKey").GetBytesFromBase64());
            case "budget":
                return new BudgetRecord(number, time, new(json.GetProperty("epsilon").GetDouble(), json.GetProperty("delta").GetDouble()));
            case "reserved":
                return new ReservedRecord(number, time, new(Text("run"), json.GetProperty("round").GetInt64(), Text("purpose"), Text("recipient"), PrivacyEventJson.Read(json.GetProperty("events")), json.TryGetProperty("outside", out JsonElement outside) ? PrivacyEventJson.Read(outside) : null));
            case "committed":
                return new CommittedRecord(number, time, json.GetProperty("reservation").GetInt64(), Text("content"), Text("recipient"), json.GetProperty("acknowledged").GetInt64());
            case "lost":
                return new LostRecord(number, time, Text("lostLedger"), json.GetProperty("lostCount").GetInt64(), Text("lostHash"), PrivacyEventJson.Read(json.GetProperty("events")));
            default:
                throw new FormatException($"it is of the kind '{Text("kind")}', which this program does not know");
        }
    }
}

using System.Globalization;
using System.Text;
using System.Text.Json;
using Federation.Privacy.Canonical;

namespace Federation.Privacy.Ledger;

/// <summary>One line of an <see cref="AuditLog"/>.</summary>
/// <param name="Number">From 1 on.</param>
/// <param name="Kind">What sort of thing happened, such as <c>opening-refused</c>.</param>
/// <param name="Run">Empty: of no run.</param>
/// <param name="Round">0: of no round.</param>
/// <param name="What">What was tried, in a sentence.</param>
/// <param name="Times">How often so far; lines between were left out.</param>
/// <param name="Previous">Hash of the line before; zeros before the first.</param>
/// <param name="Hash">SHA-256 of the canonical bytes of everything else.</param>
public sealed record AuditEntry(long Number, DateTimeOffset Time, string Kind, string Run, int Round, string What, long Times, string Previous, string Hash)
{
    /// <summary>What the first line follows.</summary>
    public static readonly string Beginning = new('0', 64);

    private const string TimeFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z'";

    internal static AuditEntry Make(long number, DateTimeOffset time, string kind, string run, int round, string what, long times, string previous)
    {
        AuditEntry entry = new(number, time.ToUniversalTime(), kind, run, round, what, times, previous, "");
        return entry with { Hash = entry.Digest() };
    }

    internal string ToJson() => JsonLine.Write(json =>
    {
        json.WriteStartObject();
        json.WriteNumber("number", Number);
        json.WriteString("time", TimeText);
        json.WriteString("kind", Kind);
        json.WriteString("run", Run);
        json.WriteNumber("round", Round);
        json.WriteString("what", What);
        json.WriteNumber("times", Times);
        json.WriteString("previous", Previous);
        json.WriteString("hash", Hash);
        json.WriteEndObject();
    });

    /// <exception cref="FormatException">The line is none; says why.</exception>
    internal static AuditEntry Read(string line)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(line);
            JsonElement json = document.RootElement;
            DateTimeOffset time = DateTimeOffset.ParseExact(Text("time"), TimeFormat, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);
            AuditEntry entry = new(json.GetProperty("number").GetInt64(), time, Text("kind"), Text("run"), json.GetProperty("round").GetInt32(), Text("what"), json.GetProperty("times").GetInt64(), Text("previous"), Text("hash"));
            // Nothing can be slipped in beside what is hashed.
            if (entry.ToJson() != line) throw new FormatException("it has other fields, or is written in another way, than a line of this log");
            return entry;

            string Text(string name) => json.GetProperty(name).GetString() ?? throw new FormatException($"'{name}' is null");
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new FormatException($"it is no JSON object with the fields of a line: {error.Message.TrimEnd('.')}", error);
        }
    }

    /// <summary>A line by itself, whose place in a chain nobody has looked at; null: it is none, or it was edited.</summary>
    public static AuditEntry? TryRead(string line)
    {
        try
        {
            return Read(line) is { IsIntact: true } entry ? entry : null;
        }
        catch (FormatException)
        {
            return null;
        }
    }

    internal bool IsIntact => Sha256Hex.IsValid(Previous) && Number > 0 && Round >= 0 && Times > 0 && Hash == Digest();

    private string TimeText => Time.ToUniversalTime().ToString(TimeFormat, CultureInfo.InvariantCulture);

    private string Digest()
    {
        try
        {
            return Convert.ToHexStringLower(new CanonicalWriter("audit").Field((ulong)Number).Field(TimeText).Field(Kind).Field(Run).Field((ulong)Round).Field(What).Field((ulong)Times).Field(Convert.FromHexString(Previous)).Hash());
        }
        catch (Exception error) when (error is EncoderFallbackException or FormatException or OverflowException)
        {
            return ""; // read from a line that was never written by this log
        }
    }
}

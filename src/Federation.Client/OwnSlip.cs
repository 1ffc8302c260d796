using System.Text.Json;

namespace Federation.Client;

/// <summary>Exceptions that nobody throws on purpose: a value that some code did not expect. Not among them what stops a node on purpose (the ledger) or passes by itself (disk, network).</summary>
internal static class OwnSlip
{
    public static bool Is(Exception error) => error is FormatException or ArgumentException or ArithmeticException or InvalidOperationException or NullReferenceException or IndexOutOfRangeException or KeyNotFoundException or InvalidCastException or JsonException;
}

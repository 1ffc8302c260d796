using Federation.Cli.Terminal;

namespace Federation.Cli.Results;

/// <param name="Kind">certificate or token.</param>
/// <param name="File">Where the credential is; null: the token was printed.</param>
/// <param name="Token">Null: it is in the file, or there is none.</param>
internal sealed record IssuedOperator(string Name, string Role, string Kind, string? File, string? Token, DateTimeOffset Expires);

internal sealed record OperatorList(IReadOnlyList<OperatorAccount> Operators);

/// <param name="Revoked">Null: not revoked.</param>
internal sealed record OperatorAccount(string Name, string Role, string Kind, DateTimeOffset Issued, DateTimeOffset Expires, DateTimeOffset? Revoked)
{
    public static OperatorAccount Of(V1.OperatorEntry entry) => new(entry.Name, entry.Role, entry.Kind, DateTimeOffset.FromUnixTimeMilliseconds(entry.IssuedUnixMs), DateTimeOffset.FromUnixTimeMilliseconds(entry.ExpiresUnixMs), Text.Time(entry.RevokedUnixMs));
}

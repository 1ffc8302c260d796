namespace Federation.Formats.Configuration;

/// <summary><c>server.yaml</c>: all optional.</summary>
public sealed partial record ServerConfiguration
{
    /// <summary>State folder; <c>FED_STATE</c> or <c>./fed-state</c> where the file names none. Absolute after reading.</summary>
    public required string State { get; init; }

    /// <summary>Address and port for nodes (mutual TLS). Port 0 takes a free one.</summary>
    public string Nodes { get; init; } = "0.0.0.0:8443";

    /// <summary>Address and port for operators.</summary>
    public string Operators { get; init; } = "127.0.0.1:8444";

    /// <summary>Most bytes a second to and from one node, both together; null: no limit.</summary>
    public long? NodeBandwidth { get; init; }

    /// <summary>The PostgreSQL database that keeps the state; <c>FED_STORE</c> where it is set. Null: SQLite, in the state folder.</summary>
    public ConnectionString? Store { get; init; }

    /// <summary>Null: every model stays.</summary>
    public RetentionRule? Retention { get; init; }

    /// <summary>How long a site's certificate is valid, 1 hour to 2 years (730 days); a node renews its own with a third of that left.</summary>
    public TimeSpan SiteCertificates { get; init; } = TimeSpan.FromDays(30);
}

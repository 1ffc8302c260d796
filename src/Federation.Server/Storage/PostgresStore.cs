using Federation.Formats;
using Federation.Formats.Configuration;
using Microsoft.Extensions.Logging;

namespace Federation.Server.Storage;

/// <summary>The store in a PostgreSQL database, of one federation and for one coordinator at a time.</summary>
/// <exception cref="InvalidInputException">The connection string or the database cannot be used.</exception>
/// <exception cref="IOException">It cannot be reached, or another coordinator uses it.</exception>
public sealed class PostgresStore(ConnectionString connection, string federation, ILogger logger, TimeProvider? time = null) : SqlStore(new PostgresDatabase(connection, federation, logger, time ?? TimeProvider.System));

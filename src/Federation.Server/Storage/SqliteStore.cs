using Federation.Formats;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Federation.Server.Storage;

/// <summary>The embedded store: one SQLite file.</summary>
/// <exception cref="InvalidInputException">The file is no database of this program, or of a newer one.</exception>
public sealed class SqliteStore(string path, ILogger? logger = null, TimeProvider? time = null) : SqlStore(new SqliteDatabase(path, logger ?? NullLogger.Instance, time ?? TimeProvider.System));

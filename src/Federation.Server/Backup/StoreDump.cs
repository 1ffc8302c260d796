using System.Data.Common;
using System.Globalization;
using System.Text;
using Federation.Formats;
using Federation.Server.Storage;
using Federation.Storage;

namespace Federation.Server.Backup;

/// <summary>
/// The store's tables as one stream of bytes that every database can be filled from: a label, then for each table its name and columns, its rows, an end; integers little-endian, texts UTF-8 with their length before them.
/// What only one database knows (numbers of rows) is left out; rows keep their order.
/// </summary>
internal static class StoreDump
{
    /// <summary>Runs first: others name them. Uploads are left out, as their files are.</summary>
    public static readonly IReadOnlyList<string> Tables =
        ["runs", "invitations", "sites", "operators", "revoked_keys", "events", "rounds", "models", "evaluations", "told", "ledger_heads", "rosters", "opening_answers", "transcripts", "audit_head"];

    private const string Label = "fed/v1/store\0";
    private const byte Table = 1, Row = 2, EndOfTable = 3, End = 4;
    private const byte Null = 0, Integer = 1, Text = 2, Bytes = 3;
    private const int MostColumns = 100;

    /// <param name="connection">In a transaction that sees one state.</param>
    public static void Write(DbConnection connection, Stream to)
    {
        using var writer = new BinaryWriter(to, Encoding.UTF8, leaveOpen: true);
        writer.Write(Encoding.ASCII.GetBytes(Label));
        foreach (string table in Tables)
        {
            string order = table switch { "runs" => " ORDER BY rowid", "transcripts" => " ORDER BY number", _ => "" };
            using DbCommand command = connection.CreateCommand();
#pragma warning disable CA2100 // the names are this class's own
            command.CommandText = $"SELECT * FROM {table}{order}";
#pragma warning restore CA2100
            using DbDataReader reader = command.ExecuteReader();
            int[] columns = [.. Enumerable.Range(0, reader.FieldCount).Where(i => !IsNumberOfRow(table, reader.GetName(i)))];
            writer.Write(Table);
            WriteText(writer, table);
            writer.Write(columns.Length);
            foreach (int column in columns) WriteText(writer, reader.GetName(column));
            while (reader.Read())
            {
                writer.Write(Row);
                foreach (int column in columns) WriteValue(writer, reader.GetValue(column));
            }

            writer.Write(EndOfTable);
        }

        writer.Write(End);
    }

    /// <summary>All rows, one after the other.</summary>
    /// <exception cref="FormatException">The bytes are no dump, or not a whole one.</exception>
    public static IEnumerable<(string Table, string[] Columns, object[] Values)> Read(Stream from)
    {
        using var reader = new BinaryReader(from, Encoding.UTF8, leaveOpen: true);
        if (!ReadBytes(reader, Label.Length).AsSpan().SequenceEqual(Encoding.ASCII.GetBytes(Label))) throw Wrong("its label is missing");
        HashSet<string> seen = [];
        while (ReadTag(reader) is var tag && tag != End)
        {
            if (tag != Table) throw Wrong($"a table begins with {tag}");
            string table = ReadText(reader);
            if (!Tables.Contains(table) || !seen.Add(table)) throw Wrong($"it has a table '{table}' that it should not have");
            int count = ReadInt(reader);
            if (count is < 1 or > MostColumns) throw Wrong($"the table '{table}' has {count} columns");
            string[] columns = new string[count];
            for (int i = 0; i < count; i++) columns[i] = ReadText(reader);
            while (ReadTag(reader) is var next && next != EndOfTable)
            {
                if (next != Row) throw Wrong($"a row of '{table}' begins with {next}");
                object[] values = new object[count];
                for (int i = 0; i < count; i++) values[i] = ReadValue(reader);
                yield return (table, columns, values);
            }
        }

        if (from.ReadByte() >= 0) throw Wrong("something follows its end");
    }

    /// <summary>Fills empty tables.</summary>
    /// <exception cref="InvalidInputException">It holds columns that this program does not know.</exception>
    /// <exception cref="FormatException">The bytes are no dump, or not a whole one.</exception>
    public static void Load(Stream from, DbConnection into)
    {
        Dictionary<string, HashSet<string>> known = Tables.ToDictionary(table => table, table => ColumnsOf(into, table));
        foreach ((string table, string[] columns, object[] values) in Read(from))
        {
            if (columns.FirstOrDefault(column => !known[table].Contains(column)) is { } other) throw new InvalidInputException(new Problem($"The backup's table '{table}' has a column '{other}' that this program does not know.", Repair: "Use the program that made the backup, or a newer one."));
            into.Execute($"INSERT INTO {table}({string.Join(", ", columns)}) VALUES({string.Join(", ", columns.Select((_, i) => string.Create(CultureInfo.InvariantCulture, $"${i + 1}")))})", values);
        }
    }

    private static bool IsNumberOfRow(string table, string column) => (table, column) is ("runs", "rowid") or ("transcripts", "number");

    private static HashSet<string> ColumnsOf(DbConnection connection, string table)
    {
        using DbCommand command = connection.CreateCommand();
#pragma warning disable CA2100 // as above
        command.CommandText = $"SELECT * FROM {table} WHERE 1 = 0";
#pragma warning restore CA2100
        using DbDataReader reader = command.ExecuteReader();
        return [.. Enumerable.Range(0, reader.FieldCount).Select(reader.GetName).Where(column => !IsNumberOfRow(table, column))];
    }

    private static void WriteText(BinaryWriter writer, string text) => WriteBytes(writer, Encoding.UTF8.GetBytes(text));

    private static void WriteBytes(BinaryWriter writer, byte[] bytes)
    {
        writer.Write(bytes.Length);
        writer.Write(bytes);
    }

    private static void WriteValue(BinaryWriter writer, object value)
    {
        switch (value)
        {
            case DBNull:
                writer.Write(Null);
                break;
            case long number:
                writer.Write(Integer);
                writer.Write(number);
                break;
            case string text:
                writer.Write(Text);
                WriteText(writer, text);
                break;
            case byte[] bytes:
                writer.Write(Bytes);
                WriteBytes(writer, bytes);
                break;
            default: throw new InvalidOperationException($"The store holds a value of type {value.GetType()}.");
        }
    }

    private static object ReadValue(BinaryReader reader) => ReadTag(reader) switch
    {
        Null => DBNull.Value,
        Integer => BitConverter.ToInt64(ReadBytes(reader, sizeof(long))),
        Text => ReadText(reader),
        Bytes => ReadBytes(reader, ReadInt(reader)),
        var tag => throw Wrong($"a value begins with {tag}"),
    };

    private static string ReadText(BinaryReader reader) => Encoding.UTF8.GetString(ReadBytes(reader, ReadInt(reader)));

    private static byte ReadTag(BinaryReader reader) => ReadBytes(reader, 1)[0];

    private static int ReadInt(BinaryReader reader) => BitConverter.ToInt32(ReadBytes(reader, sizeof(int)));

    private static byte[] ReadBytes(BinaryReader reader, int count)
    {
        if (count < 0 || count > reader.BaseStream.Length - reader.BaseStream.Position) throw Wrong($"{count} bytes should follow at {reader.BaseStream.Position}");
        return reader.ReadBytes(count);
    }

    private static FormatException Wrong(string what) => new($"This is no whole dump of a store: {what}.");
}

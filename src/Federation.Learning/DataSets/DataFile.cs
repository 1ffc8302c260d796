using System.Buffers.Binary;
using System.IO.Compression;
using Federation.Formats;

namespace Federation.Learning.DataSets;

/// <summary>A file of examples, read from its beginning; <c>.gz</c> is unpacked on the way. What is wrong with it names it.</summary>
internal sealed class DataFile : IDisposable
{
    /// <summary>Deflate packs no tighter: a run of 258 bytes takes at least two bits.</summary>
    public const long TightestPacking = 1032;

    private readonly FileStream _file;
    private readonly Stream _stream;
    private long _unpacked;

    private DataFile(FileStream file, bool isPacked)
    {
        (_file, IsPacked) = (file, isPacked);
        _stream = isPacked ? new GZipStream(file, CompressionMode.Decompress) : file;
    }

    public bool IsPacked { get; }

    public string Path => _file.Name;

    /// <exception cref="InvalidInputException">It is absent, a folder, or unreadable.</exception>
    public static DataFile Open(string path)
    {
        try
        {
            return new DataFile(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16, FileOptions.SequentialScan), path.EndsWith(".gz", StringComparison.Ordinal));
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new InvalidInputException(new Problem("There is no such file.", path, Repair: "Put it there, or name another folder in simulation.data.path or FED_DATA."));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new InvalidInputException(new Problem($"The file cannot be read: {error.Message}", path));
        }
    }

    public uint BigEndian()
    {
        Span<byte> bytes = stackalloc byte[4];
        Fill(bytes);
        return BinaryPrimitives.ReadUInt32BigEndian(bytes);
    }

    /// <summary>The rest of the file, which has to be this long.</summary>
    /// <param name="what">What it is, for the message: "60000 images of 28 × 28 pixels".</param>
    public byte[] Rest(long length, string what)
    {
        if (!IsPacked && _file.Length - _file.Position != length) throw Wrong($"The file holds {_file.Length - _file.Position} bytes behind its heading; {what} are {length}.", "It was cut off, or something was added: fetch it again.");
        if (IsPacked && length > _file.Length * TightestPacking) throw Wrong($"The heading promises {what}, {length} bytes, which the file's {_file.Length} cannot hold.", "Fetch it again.");
        MemoryCheck.Require(length, what, Path);
        byte[] bytes = new byte[length];
        Fill(bytes);
        if (ReadSome(new byte[1]) != 0) throw Wrong($"Something follows after {what}, which is what the heading promises.", "Fetch it again.");
        if (IsPacked) CheckEnd();
        return bytes;
    }

    /// <summary>The last four bytes of a gzip file say how long the content is. Unpacking looks at them, and at the check sum before them, only where they are there.</summary>
    private void CheckEnd()
    {
        Span<byte> end = stackalloc byte[4];
        _file.Seek(-end.Length, SeekOrigin.End);
        _file.ReadExactly(end);
        if (BinaryPrimitives.ReadUInt32LittleEndian(end) != unchecked((uint)_unpacked)) throw Wrong($"The file does not end as a gzip file of {_unpacked} bytes does.", "It was cut off, or packed in several pieces: fetch it again, or unpack it.");
    }

    public InvalidInputException Wrong(string message, string repair) => new(new Problem(message, Path, Repair: repair));

    public void Dispose()
    {
        _stream.Dispose();
        _file.Dispose();
    }

    private void Fill(Span<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            int read = ReadSome(bytes);
            if (read == 0) throw Wrong("The file ends too early.", "It was cut off: fetch it again.");
            bytes = bytes[read..];
        }
    }

    private int ReadSome(Span<byte> bytes)
    {
        try
        {
            int read = _stream.Read(bytes);
            _unpacked += read;
            return read;
        }
        catch (Exception error) when (error is InvalidDataException or IOException)
        {
            throw Wrong($"The file cannot be {(IsPacked ? "unpacked" : "read")}: {error.Message}", "It is damaged: fetch it again.");
        }
    }
}

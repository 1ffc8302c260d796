using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Federation.Formats.Models;

/// <param name="DType">As the file writes it: F32, I64, BF16, …</param>
/// <param name="Begin">Offset of the first byte in the data region.</param>
/// <param name="End">Offset behind the last byte.</param>
public sealed record TensorInfo(string Name, string DType, IReadOnlyList<long> Shape, long Begin, long End)
{
    /// <summary>Number of values; 1 for a scalar.</summary>
    public long Count => Shape.Aggregate(1L, (product, size) => product * size);
}

/// <summary>
/// What stands before the data of a safetensors file: u64 little-endian length N, then N bytes of JSON that map each tensor's name to its type, shape and offsets.
/// </summary>
/// <remarks>
/// The format of huggingface/safetensors: JSON begins with '{', at most 100 MB, no duplicate names, offsets cover the data without gaps or overlaps, <c>__metadata__</c> maps texts to texts.
/// The canonical form, whose SHA-256 is a model's id: float32 only, names in ordinal order, compact, padded with spaces to a multiple of 8, no metadata.
/// </remarks>
public sealed class SafetensorsHeader
{
    private const long LongestJson = 100_000_000;
    private const int LengthBytes = 8, DeepestNesting = 8, MostTensors = 1_000_000;
    private static readonly UTF8Encoding StrictUtf8 = new(false, throwOnInvalidBytes: true);

    private static readonly Dictionary<string, int> BitsOf = new()
    {
        ["F64"] = 64, ["I64"] = 64, ["U64"] = 64, ["C64"] = 64, ["F32"] = 32, ["I32"] = 32, ["U32"] = 32, ["F16"] = 16, ["BF16"] = 16, ["I16"] = 16, ["U16"] = 16,
        ["I8"] = 8, ["U8"] = 8, ["BOOL"] = 8, ["F8_E4M3"] = 8, ["F8_E5M2"] = 8, ["F8_E8M0"] = 8,
    };

    private SafetensorsHeader(IReadOnlyList<TensorInfo> tensors, byte[] bytes)
    {
        (Tensors, Bytes) = (tensors, bytes);
        DataLength = tensors.Count == 0 ? 0 : tensors.Max(tensor => tensor.End);
    }

    /// <summary>In the order of their data.</summary>
    public IReadOnlyList<TensorInfo> Tensors { get; }

    /// <summary>Everything before the data: length and JSON.</summary>
    public byte[] Bytes { get; }

    public long DataStart => Bytes.Length;

    public long DataLength { get; }

    /// <summary>Values of all tensors of a file of float32.</summary>
    /// <exception cref="OverflowException">2³¹ or more.</exception>
    public int ValueCount => checked((int)(DataLength / sizeof(float)));

    public long FileLength => DataStart + DataLength;

    /// <summary>The canonical header of float32 tensors.</summary>
    /// <exception cref="SafetensorsException">A name stands twice or is reserved, or a shape is negative or too large.</exception>
    public static SafetensorsHeader Float32(IEnumerable<(string Name, IReadOnlyList<long> Shape)> tensors)
    {
        List<TensorInfo> infos = [];
        long offset = 0;
        foreach ((string name, IReadOnlyList<long> shape) in tensors.OrderBy(tensor => tensor.Name, StringComparer.Ordinal))
        {
            if (name == "__metadata__" || (infos.Count > 0 && infos[^1].Name == name)) throw new SafetensorsException($"The name '{name}' is reserved or stands twice.");
            long length = LengthOf(name, "F32", shape);
            infos.Add(new TensorInfo(name, "F32", [.. shape], offset, checked(offset + length)));
            offset += length;
        }

        return new SafetensorsHeader(infos, Write(infos));
    }

    /// <summary>Reads the header from the beginning of a file; the stream then stands at the data.</summary>
    /// <param name="fileLength">Bytes of the whole file; nothing is allocated beyond it.</param>
    /// <exception cref="SafetensorsException">The bytes break one of the format's rules.</exception>
    public static SafetensorsHeader Read(Stream stream, long fileLength)
    {
        if (fileLength < LengthBytes) throw new SafetensorsException($"The file has {fileLength} bytes; a safetensors file begins with 8 bytes that give its header's length.");
        Span<byte> prefix = stackalloc byte[LengthBytes];
        ReadExactly(stream, prefix);
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length > LongestJson || (long)length > fileLength - LengthBytes)
        {
            throw new SafetensorsException($"The header is said to have {length} bytes; the file has {fileLength - LengthBytes} after the length, and {LongestJson} are the most allowed.");
        }

        byte[] bytes = new byte[LengthBytes + (int)length];
        prefix.CopyTo(bytes);
        ReadExactly(stream, bytes.AsSpan(LengthBytes));
        return Parse(bytes, fileLength - bytes.Length);
    }

    /// <summary>Whether the header is byte for byte what <see cref="Float32"/> writes.</summary>
    /// <exception cref="SafetensorsException">It is not; names the first difference.</exception>
    public void RequireCanonicalFloat32()
    {
        if (Tensors.FirstOrDefault(tensor => tensor.DType != "F32") is { } other) throw new SafetensorsException($"The tensor '{other.Name}' is {other.DType}; every tensor must be F32.");
        if (Tensors.Count == 0) throw new SafetensorsException("The file holds no tensor.");
        SafetensorsHeader canonical = Float32(Tensors.Select(tensor => (tensor.Name, tensor.Shape)));
        if (!canonical.Bytes.AsSpan().SequenceEqual(Bytes))
        {
            throw new SafetensorsException("The header is not canonical: names in ordinal order, compact JSON padded with spaces to a multiple of 8 bytes, no metadata, data in the order of the names.");
        }
    }

    /// <summary>What makes this layout another than the expected one, a sentence for each tensor; empty: the same names, types and shapes.</summary>
    public IReadOnlyList<string> DifferencesFrom(SafetensorsHeader expected)
    {
        List<string> differences = [];
        Dictionary<string, TensorInfo> mine = Tensors.ToDictionary(tensor => tensor.Name);
        foreach (TensorInfo wanted in expected.Tensors)
        {
            if (!mine.Remove(wanted.Name, out TensorInfo? found)) differences.Add($"'{wanted.Name}' {Show(wanted)} is missing.");
            else if (found.DType != wanted.DType || !found.Shape.SequenceEqual(wanted.Shape)) differences.Add($"'{wanted.Name}' is {Show(found)}; {Show(wanted)} is right.");
        }

        differences.AddRange(mine.Values.Select(tensor => $"'{tensor.Name}' {Show(tensor)} is not part of the model."));
        return differences;
    }

    private static string Show(TensorInfo tensor) => string.Create(CultureInfo.InvariantCulture, $"{tensor.DType}[{string.Join(", ", tensor.Shape)}]");

    private static SafetensorsHeader Parse(byte[] bytes, long dataLength)
    {
        ReadOnlySpan<byte> json = bytes.AsSpan(LengthBytes);
        if (json.Length == 0 || json[0] != (byte)'{') throw new SafetensorsException("The header does not begin with '{'.");
        List<TensorInfo> tensors = [];
        HashSet<string> names = [];
        try
        {
            _ = StrictUtf8.GetCharCount(json);
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = DeepestNesting });
            reader.Read();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                string name = reader.GetString()!;
                if (!names.Add(name)) throw new SafetensorsException($"The name '{name}' stands twice.");
                reader.Read();
                if (name == "__metadata__") SkipMetadata(ref reader);
                else tensors.Add(ReadTensor(ref reader, name));
                if (tensors.Count > MostTensors) throw new SafetensorsException($"More than {MostTensors} tensors are not allowed.");
            }

            if (reader.Read()) throw new SafetensorsException("Something stands behind the header's JSON.");
        }
        catch (Exception error) when (error is JsonException or ArgumentException or InvalidOperationException or FormatException and not SafetensorsException)
        {
            throw new SafetensorsException($"The header is no valid JSON: {error.Message}");
        }

        tensors.Sort((a, b) => (a.Begin, a.End).CompareTo((b.Begin, b.End)));
        long end = 0;
        foreach (TensorInfo tensor in tensors)
        {
            if (tensor.Begin != end) throw new SafetensorsException($"The data of '{tensor.Name}' begins at {tensor.Begin}; {end} is right, without gap or overlap.");
            end = tensor.End;
        }

        if (end != dataLength) throw new SafetensorsException($"The tensors need {end} bytes of data; the file has {dataLength}.");
        return new SafetensorsHeader(tensors, bytes);
    }

    private static void SkipMetadata(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject) throw new SafetensorsException("__metadata__ must map texts to texts.");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            reader.Read();
            if (reader.TokenType != JsonTokenType.String) throw new SafetensorsException("__metadata__ must map texts to texts.");
        }
    }

    private static TensorInfo ReadTensor(ref Utf8JsonReader reader, string name)
    {
        if (reader.TokenType != JsonTokenType.StartObject) throw new SafetensorsException($"The entry of '{name}' is no object.");
        string? type = null;
        List<long>? shape = null, offsets = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string field = reader.GetString()!;
            reader.Read();
            switch (field)
            {
                case "dtype" when type is null && reader.TokenType == JsonTokenType.String: type = reader.GetString(); break;
                case "shape" when shape is null: shape = ReadNumbers(ref reader, name, 64); break;
                case "data_offsets" when offsets is null: offsets = ReadNumbers(ref reader, name, 2); break;
                default: throw new SafetensorsException($"The entry of '{name}' has an unknown, repeated or malformed field '{field}'.");
            }
        }

        if (type is null || shape is null || offsets is not [var begin, var end]) throw new SafetensorsException($"The entry of '{name}' needs dtype, shape and two data_offsets.");
        long length = LengthOf(name, type, shape);
        if (end < begin || end - begin != length) throw new SafetensorsException($"The data of '{name}' is said to be [{begin}, {end}); its type and shape need {length} bytes.");
        return new TensorInfo(name, type, shape, begin, end);
    }

    private static List<long> ReadNumbers(ref Utf8JsonReader reader, string name, int most)
    {
        if (reader.TokenType != JsonTokenType.StartArray) throw new SafetensorsException($"The entry of '{name}' needs lists of numbers.");
        List<long> numbers = [];
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out long number) || number < 0 || numbers.Count == most)
            {
                throw new SafetensorsException($"The entry of '{name}' holds something that is no size: whole numbers from 0 on, at most {most} of them, are right.");
            }

            numbers.Add(number);
        }

        return numbers;
    }

    private static long LengthOf(string name, string type, IReadOnlyList<long> shape)
    {
        if (!BitsOf.TryGetValue(type, out int bits)) throw new SafetensorsException($"The type '{type}' of '{name}' is not known.");
        Int128 count = 1;
        foreach (long size in shape)
        {
            count = size < 0 ? -1 : count * size;
            if (count < 0 || count > long.MaxValue / 64) throw new SafetensorsException($"The shape of '{name}' has a negative size or too many values.");
        }

        return (long)count * bits / 8;
    }

    private static byte[] Write(List<TensorInfo> tensors)
    {
        using var json = new MemoryStream();
        using (var writer = new Utf8JsonWriter(json, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            writer.WriteStartObject();
            foreach (TensorInfo tensor in tensors)
            {
                writer.WriteStartObject(tensor.Name);
                writer.WriteString("dtype", tensor.DType);
                writer.WriteStartArray("shape");
                foreach (long size in tensor.Shape) writer.WriteNumberValue(size);
                writer.WriteEndArray();
                writer.WriteStartArray("data_offsets");
                writer.WriteNumberValue(tensor.Begin);
                writer.WriteNumberValue(tensor.End);
                writer.WriteEndArray();
                writer.WriteEndObject();
            }

            writer.WriteEndObject();
        }

        while (json.Length % 8 != 0) json.WriteByte((byte)' ');
        if (json.Length > LongestJson) throw new SafetensorsException($"The header has {json.Length} bytes; {LongestJson} are the most allowed.");
        byte[] bytes = new byte[LengthBytes + (int)json.Length];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, (ulong)json.Length);
        json.GetBuffer().AsSpan(0, (int)json.Length).CopyTo(bytes.AsSpan(LengthBytes));
        return bytes;
    }

    private static void ReadExactly(Stream stream, Span<byte> destination)
    {
        if (stream.ReadAtLeast(destination, destination.Length, throwOnEndOfStream: false) < destination.Length) throw new SafetensorsException("The file ends within its header.");
    }
}

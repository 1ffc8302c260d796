using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Federation.Formats.Models;

/// <param name="Values">Row-major, as many as the shape says.</param>
public sealed record NamedTensor(string Name, IReadOnlyList<long> Shape, float[] Values);

/// <summary>A model's (or an update's) tensors in memory: float32, names in ordinal order.</summary>
public sealed class ModelState
{
    private string? _sha256;

    /// <summary>Takes the arrays over; nobody may change them afterwards.</summary>
    /// <exception cref="SafetensorsException">A name stands twice, or a shape does not fit its values.</exception>
    public ModelState(IEnumerable<NamedTensor> tensors)
    {
        Tensors = [.. tensors.OrderBy(tensor => tensor.Name, StringComparer.Ordinal)];
        Header = SafetensorsHeader.Float32(Tensors.Select(tensor => (tensor.Name, tensor.Shape)));
        foreach ((NamedTensor tensor, TensorInfo info) in Tensors.Zip(Header.Tensors))
        {
            if (tensor.Values.LongLength != info.Count) throw new SafetensorsException($"'{tensor.Name}' has {tensor.Values.LongLength} values; its shape needs {info.Count}.");
        }
    }

    public IReadOnlyList<NamedTensor> Tensors { get; }

    public SafetensorsHeader Header { get; }

    /// <summary>The model's id: SHA-256 of its canonical safetensors file, lower-case hex.</summary>
    public string Sha256 => _sha256 ??= ComputeSha256();

    /// <exception cref="SafetensorsException">The file is no safetensors file, or holds a type other than F32.</exception>
    /// <exception cref="InvalidInputException">The file is absent or unreadable.</exception>
    public static ModelState Read(string path)
    {
        try
        {
            using FileStream file = File.OpenRead(path);
            return Read(file, file.Length);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new InvalidInputException(new Problem("There is no such file.", path));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new InvalidInputException(new Problem($"The file cannot be read: {error.Message}", path));
        }
        catch (SafetensorsException error)
        {
            throw new InvalidInputException(new Problem(error.Message, path, Repair: "A safetensors file of float32 tensors is right."));
        }
    }

    /// <summary>Reads a whole file; any valid order and padding, float32 only.</summary>
    /// <exception cref="SafetensorsException">The bytes are no such file.</exception>
    public static ModelState Read(Stream stream, long length)
    {
        SafetensorsHeader header = SafetensorsHeader.Read(stream, length);
        List<NamedTensor> tensors = [];
        foreach (TensorInfo tensor in header.Tensors)
        {
            if (tensor.DType != "F32") throw new SafetensorsException($"The tensor '{tensor.Name}' is {tensor.DType}; every tensor must be F32.");
            if (tensor.Count > Array.MaxLength) throw new SafetensorsException($"The tensor '{tensor.Name}' has {tensor.Count} values; at most {Array.MaxLength} are allowed.");
            tensors.Add(new NamedTensor(tensor.Name, tensor.Shape, ReadValues(stream, (int)tensor.Count)));
        }

        return new ModelState(tensors);
    }

    /// <summary>A state of the same layout, all 0.</summary>
    public ModelState Zeros() => new(Tensors.Select(tensor => tensor with { Values = new float[tensor.Values.Length] }));

    /// <summary>Value by value, computed in double and rounded to float32 once.</summary>
    /// <param name="other">Of the same tensors.</param>
    public ModelState Combine(ModelState other, Func<double, double, double> of) => new(Tensors.Zip(other.Tensors, (a, b) =>
    {
        float[] values = new float[a.Values.Length];
        for (int i = 0; i < values.Length; i++) values[i] = (float)of(a.Values[i], b.Values[i]);
        return a with { Values = values };
    }));

    /// <summary>The first value that is NaN or infinite, or null.</summary>
    public string? FirstNonFinite()
    {
        foreach (NamedTensor tensor in Tensors)
        {
            int index = Array.FindIndex(tensor.Values, value => !float.IsFinite(value));
            if (index >= 0) return $"'{tensor.Name}' holds {tensor.Values[index]} at index {index}.";
        }

        return null;
    }

    /// <summary>The canonical file.</summary>
    public void Write(Stream stream)
    {
        stream.Write(Header.Bytes);
        foreach (NamedTensor tensor in Tensors) WriteValues(stream, tensor.Values);
    }

    /// <summary>The canonical file as bytes; for models of up to 2 GB.</summary>
    public byte[] ToBytes()
    {
        using var stream = new MemoryStream(checked((int)Header.FileLength));
        Write(stream);
        return stream.ToArray();
    }

    /// <summary>Writes the canonical file, whole or not at all.</summary>
    public void Save(string path)
    {
        string fresh = path + ".new";
        using (FileStream file = File.Create(fresh))
        {
            Write(file);
            file.Flush(flushToDisk: true);
        }

        File.Move(fresh, path, overwrite: true);
    }

    private string ComputeSha256()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Header.Bytes);
        foreach (NamedTensor tensor in Tensors)
        {
            if (BitConverter.IsLittleEndian) hash.AppendData(MemoryMarshal.AsBytes<float>(tensor.Values));
            else foreach (float value in tensor.Values) hash.AppendData(LittleEndian(value));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    // In pieces, so that a file which ends early is found before all the memory that it claims is taken.
    private static float[] ReadValues(Stream stream, int count)
    {
        if (stream is FileStream)
        {
            // Its length was held against the header: the memory that it claims is there.
            float[] whole = new float[count];
            ReadPiece(stream, whole);
            return whole;
        }

        const int piece = 1 << 18;
        List<float[]> pieces = [];
        for (int done = 0; done < count; done += piece)
        {
            float[] values = new float[Math.Min(piece, count - done)];
            ReadPiece(stream, values);
            pieces.Add(values);
        }

        if (pieces.Count == 1) return pieces[0];
        float[] all = new float[count];
        int offset = 0;
        foreach (float[] values in pieces)
        {
            values.CopyTo(all, offset);
            offset += values.Length;
        }

        return all;
    }

    private static void ReadPiece(Stream stream, Span<float> values)
    {
        const int most = 1 << 28; // a span of bytes holds no more than 2^31
        while (!values.IsEmpty)
        {
            Span<byte> bytes = MemoryMarshal.AsBytes(values[..Math.Min(most, values.Length)]);
            if (stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false) < bytes.Length) throw new SafetensorsException("The file ends within its data.");
            if (!BitConverter.IsLittleEndian) for (int i = 0; i < bytes.Length; i += 4) bytes.Slice(i, 4).Reverse();
            values = values[Math.Min(most, values.Length)..];
        }
    }

    private static void WriteValues(Stream stream, float[] values)
    {
        if (BitConverter.IsLittleEndian) stream.Write(MemoryMarshal.AsBytes<float>(values));
        else foreach (float value in values) stream.Write(LittleEndian(value));
    }

    private static byte[] LittleEndian(float value)
    {
        byte[] bytes = new byte[4];
        System.Buffers.Binary.BinaryPrimitives.WriteSingleLittleEndian(bytes, value);
        return bytes;
    }
}

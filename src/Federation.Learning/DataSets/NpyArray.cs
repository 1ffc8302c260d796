using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Federation.Learning.DataSets;

/// <summary>The heading of a <c>.npy</c> file: NumPy's array format 1.0, 2.0 or 3.0. Strict: unsigned bytes or little-endian whole numbers in C order, nothing else.</summary>
/// <param name="DType">As the file writes it: |u1, &lt;u2, &lt;i8, …</param>
/// <param name="DataStart">Offset of the first byte of data.</param>
internal sealed partial record NpyArray(string DType, IReadOnlyList<int> Shape, int DataStart)
{
    private const int LongestHeading = 1 << 16, MostDimensions = 8;

    private static readonly Dictionary<string, int> SizeOf = new() { ["|u1"] = 1, ["|i1"] = 1, ["<u2"] = 2, ["<i2"] = 2, ["<u4"] = 4, ["<i4"] = 4, ["<u8"] = 8, ["<i8"] = 8 };

    public int ItemSize => SizeOf[DType];

    /// <summary>Values of the whole array.</summary>
    public long Count => Shape.Aggregate(1L, (product, size) => checked(product * size));

    /// <exception cref="InvalidDataException">Says what is wrong.</exception>
    public static NpyArray Parse(ReadOnlySpan<byte> file)
    {
        if (file.Length < 10 || file[0] != 0x93 || !file[1..6].SequenceEqual("NUMPY"u8)) throw new InvalidDataException("It is no NumPy array: it does not begin with \\x93NUMPY.");
        (byte major, byte minor) = (file[6], file[7]);
        if (major is not (1 or 2 or 3) || minor != 0) throw new InvalidDataException($"It has the format {major}.{minor}; 1.0, 2.0 and 3.0 are known.");
        int lengthBytes = major == 1 ? 2 : 4, start = 8 + lengthBytes;
        if (file.Length < start) throw new InvalidDataException("It ends within its heading.");
        uint length = major == 1 ? BinaryPrimitives.ReadUInt16LittleEndian(file[8..]) : BinaryPrimitives.ReadUInt32LittleEndian(file[8..]);
        if (length > LongestHeading || length > file.Length - start) throw new InvalidDataException($"Its heading of {length} bytes goes beyond its end, or beyond {LongestHeading}.");
        NpyArray array = ParseHeading(Encoding.Latin1.GetString(file.Slice(start, (int)length)), start + (int)length);
        long bytes;
        try
        {
            bytes = checked(array.Count * array.ItemSize);
        }
        catch (OverflowException)
        {
            throw new InvalidDataException($"Its shape {array.ShapeText} has too many values.");
        }

        return bytes == file.Length - array.DataStart ? array : throw new InvalidDataException($"It holds {file.Length - array.DataStart} bytes of data; its shape {array.ShapeText} of {array.DType} has {bytes}.");
    }

    public string ShapeText => $"({string.Join(", ", Shape)})";

    /// <summary>All values as whole numbers; those that are none of int's are moved to its nearer end.</summary>
    public int[] Integers(ReadOnlySpan<byte> file)
    {
        int[] values = new int[(int)Count];
        for (int i = 0; i < values.Length; i++)
        {
            ReadOnlySpan<byte> item = file[(DataStart + (i * ItemSize))..];
            values[i] = DType switch
            {
                "|u1" => item[0],
                "|i1" => unchecked((sbyte)item[0]),
                "<u2" => BinaryPrimitives.ReadUInt16LittleEndian(item),
                "<i2" => BinaryPrimitives.ReadInt16LittleEndian(item),
                "<u4" => (int)Math.Min(BinaryPrimitives.ReadUInt32LittleEndian(item), int.MaxValue),
                "<i4" => BinaryPrimitives.ReadInt32LittleEndian(item),
                "<u8" => (int)Math.Min(BinaryPrimitives.ReadUInt64LittleEndian(item), int.MaxValue),
                _ => (int)Math.Clamp(BinaryPrimitives.ReadInt64LittleEndian(item), int.MinValue, int.MaxValue),
            };
        }

        return values;
    }

    private static NpyArray ParseHeading(string heading, int dataStart)
    {
        Match match = Heading().Match(heading);
        if (!match.Success) throw new InvalidDataException("Its heading is not { 'descr': '…', 'fortran_order': …, 'shape': (…), }, as NumPy writes it.");
        string type = match.Groups["type"].Value;
        if (!SizeOf.ContainsKey(type)) throw new InvalidDataException($"Its values are '{type}'; |u1 and little-endian whole numbers are known.");
        if (match.Groups["fortran"].Value == "True") throw new InvalidDataException("It is in Fortran order; C order is known: save numpy.ascontiguousarray of it.");
        string[] sizes = match.Groups["shape"].Value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        if (sizes.Length > MostDimensions) throw new InvalidDataException($"It has {sizes.Length} dimensions; at most {MostDimensions} are known.");
        List<int> shape = [];
        foreach (string size in sizes)
        {
            if (!int.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out int number)) throw new InvalidDataException($"Its shape has the size {size}; at most {int.MaxValue} is known.");
            shape.Add(number);
        }

        return new NpyArray(type, shape, dataStart);
    }

    [GeneratedRegex(@"\A\{'descr': '(?<type>[^']{1,16})', 'fortran_order': (?<fortran>True|False), 'shape': \((?<shape>(?:[0-9]{1,20}(?:, ?[0-9]{1,20})*,?)?)\), ?\} *\n\z", RegexOptions.CultureInvariant)]
    private static partial Regex Heading();
}

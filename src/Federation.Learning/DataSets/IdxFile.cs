using Federation.Formats;

namespace Federation.Learning.DataSets;

/// <summary>The idx format of MNIST: a magic number, sizes, unsigned bytes; all numbers big-endian.</summary>
internal static class IdxFile
{
    private const uint ImagesMagic = 0x00000803, LabelsMagic = 0x00000801;
    private const uint LargestSide = 4096;

    /// <exception cref="InvalidInputException">Names the file, what is wrong, and what would be right.</exception>
    public static (byte[] Pixels, int Count, int Height, int Width) Images(string path)
    {
        using DataFile file = DataFile.Open(path);
        Expect(file, ImagesMagic, LabelsMagic, "images", "labels");
        uint count = file.BigEndian(), height = file.BigEndian(), width = file.BigEndian();
        if (count is 0 or > int.MaxValue) throw file.Wrong($"The heading promises {count} images; at least one is right, and at most {int.MaxValue}.", "Fetch it again.");
        if (height is 0 or > LargestSide || width is 0 or > LargestSide) throw file.Wrong($"The heading promises images of {height} × {width} pixels; 1 to {LargestSide} a side are right.", "Fetch it again.");
        return (file.Rest((long)count * height * width, $"{count} images of {height} × {width} pixels"), (int)count, (int)height, (int)width);
    }

    /// <exception cref="InvalidInputException">As above.</exception>
    public static byte[] Labels(string path)
    {
        using DataFile file = DataFile.Open(path);
        Expect(file, LabelsMagic, ImagesMagic, "labels", "images");
        uint count = file.BigEndian();
        return file.Rest(count, $"{count} labels");
    }

    private static void Expect(DataFile file, uint magic, uint other, string what, string otherwise)
    {
        uint found = file.BigEndian();
        if (found == magic) return;
        string repair = found == other ? $"It holds {otherwise}: two files were exchanged." : file.IsPacked || found >> 16 != 0x1F8B ? "It is no idx file of unsigned bytes: fetch it again." : "It is a gzip file: its name has to end with .gz.";
        throw file.Wrong($"The file begins with 0x{found:x8}; 0x{magic:x8} is right for {what}.", repair);
    }
}

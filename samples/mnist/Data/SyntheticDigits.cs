namespace Federation.Samples.Mnist.Data;

/// <summary>Made-up digits, so that the sample runs without data: a small raster font, moved about, with noise. Far easier than handwriting.</summary>
internal static class SyntheticDigits
{
    private const int Scale = 3, Width = 5, Height = 7, Side = 28;

    /// <summary>Five columns and seven rows a digit.</summary>
    private static readonly string[] s_font =
    [
        ".###.#...##..###.#.###..##...#.###.", "..#...##....#....#....#....#...###.", ".###.#...#....#...#...#...#...#####", "####.....#....#.###.....#....#####.", "...#...##..#.#.#..#.#####...#....#.",
        "######....####.....#....##...#.###.", ".###.#....#....####.#...##...#.###.", "#####....#...#...#...#....#....#...", ".###.#...##...#.###.#...##...#.###.", ".###.#...##...#.####....#....#.###.",
    ];

    public static Digits Create(int count, int seed)
    {
        var random = new Random(seed); // made-up data, the same every time
        byte[] pixels = new byte[count * Digits.Size], labels = new byte[count];
        for (int i = 0; i < count; i++)
        {
            labels[i] = (byte)(i % 10);
            Draw(s_font[labels[i]], random, pixels.AsSpan(i * Digits.Size, Digits.Size));
        }

        return new Digits(pixels, labels);
    }

    private static void Draw(string glyph, Random random, Span<byte> image)
    {
        int left = random.Next(2, Side - (Width * Scale) - 2), top = random.Next(1, Side - (Height * Scale) - 1);
        for (int y = 0; y < Side; y++)
        {
            for (int x = 0; x < Side; x++)
            {
                int column = (x - left + Scale) / Scale - 1, row = (y - top + Scale) / Scale - 1;
                bool isInk = column is >= 0 and < Width && row is >= 0 and < Height && glyph[(row * Width) + column] == '#';
                image[(y * Side) + x] = (byte)(isInk ? 160 + random.Next(96) : random.Next(40));
            }
        }
    }
}

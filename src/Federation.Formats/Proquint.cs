using System.Diagnostics.CodeAnalysis;

namespace Federation.Formats;

/// <summary>Bytes as words that can be read aloud: 16 bits are five letters, consonants and vowels in turn.</summary>
/// <remarks>Wilkerson 2009, arXiv:0901.4016.</remarks>
public static class Proquint
{
    private const string Consonants = "bdfghjklmnprstvz", Vowels = "aiou";

    private const int Letters = 5, RosterWords = 12;

    /// <summary>Words with hyphens between them.</summary>
    /// <param name="bytes">An even number.</param>
    public static string Write(ReadOnlySpan<byte> bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(bytes.Length % 2, 0);
        List<string> words = [];
        for (int i = 0; i < bytes.Length; i += 2) words.Add(Word((bytes[i] << 8) | bytes[i + 1]));
        return string.Join('-', words);
    }

    /// <summary>A hash as administrators compare it: 12 words, its first 24 bytes.</summary>
    /// <param name="sha256">64 hex digits.</param>
    public static string OfHash(string sha256) => Write(Convert.FromHexString(sha256).AsSpan(0, 2 * RosterWords));

    /// <summary>The bytes that the words stand for; between them hyphens or blanks.</summary>
    /// <returns>False where a word is none.</returns>
    public static bool TryRead(string text, [NotNullWhen(true)] out byte[]? bytes)
    {
        bytes = null;
        List<byte> read = [];
        foreach (string word in text.ToLowerInvariant().Split(['-', ' '], StringSplitOptions.RemoveEmptyEntries))
        {
            if (word.Length != Letters) return false;
            int value = 0;
            for (int i = 0; i < Letters; i++)
            {
                string alphabet = i % 2 == 0 ? Consonants : Vowels;
                int digit = alphabet.IndexOf(word[i], StringComparison.Ordinal);
                if (digit < 0) return false;
                value = (value * alphabet.Length) + digit;
            }

            read.Add((byte)(value >> 8));
            read.Add((byte)(value & 0xff));
        }

        if (read.Count == 0) return false;
        bytes = [.. read];
        return true;
    }

    private static string Word(int bits) => new([Consonants[bits >> 12], Vowels[(bits >> 10) & 3], Consonants[(bits >> 6) & 15], Vowels[(bits >> 4) & 3], Consonants[bits & 15]]);
}

using System.Globalization;

namespace Federation.Formats.Data;

/// <summary>Values as files write them: <c>63</c> is <c>63.0</c>, and blanks around a value mean nothing.</summary>
public static class RawValue
{
    /// <summary>One text for all spellings of a value: the shortest form of a number, otherwise the trimmed text.</summary>
    public static string Canonical(string text)
    {
        text = text.Trim();
        return TryNumber(text, out double number) ? (number == 0 ? 0.0 : number).ToString("R", CultureInfo.InvariantCulture) : text;
    }

    /// <summary>Decimal numbers only: no thousands separators, hexadecimals, NaN or infinities.</summary>
    public static bool TryNumber(string text, out double number) =>
        double.TryParse(text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent, CultureInfo.InvariantCulture, out number)
        && double.IsFinite(number);
}

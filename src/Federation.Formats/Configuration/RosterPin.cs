using System.Text;
using Federation.Privacy.Canonical;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Federation.Formats.Configuration;

/// <summary>Writes a roster's hash into the policy of a <c>node.yaml</c>, or into the policy's own file; everything else stays as it is, byte for byte.</summary>
public static class RosterPin
{
    public const string Prefix = "sha256:";

    private static readonly UTF8Encoding s_strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>A hash as a user writes it, with or without <c>sha256:</c>, as 64 digits.</summary>
    /// <exception cref="InvalidInputException">It is none; words are part of one.</exception>
    public static string ParseHash(string text)
    {
        string digits = DigitsOf(text);
        if (Sha256Hex.IsValid(digits)) return digits;
        const string repair = "Write sha256: and the 64 digits that `fed roster show` prints.";
        throw new InvalidInputException(Proquint.TryRead(digits, out byte[]? known)
            ? new Problem($"Words alone cannot be accepted: these stand for {known.Length} of a hash's 32 bytes ({Convert.ToHexStringLower(known)}…). They are for comparing.", Field: "HASH", Repair: repair)
            : new Problem($"'{text}' is no roster's hash.", Field: "HASH", Repair: repair));
    }

    /// <summary>What a user wrote for a hash, without <c>sha256:</c> where it begins with that.</summary>
    public static string DigitsOf(string text)
    {
        string digits = text.Trim().ToLowerInvariant();
        return digits.StartsWith(Prefix, StringComparison.Ordinal) ? digits[Prefix.Length..] : digits;
    }

    /// <summary>The 64 digits of a hash as configuration files have it, <c>sha256:</c> before them; null: it is none.</summary>
    internal static string? HashIn(string text) => text.StartsWith(Prefix, StringComparison.Ordinal) && Sha256Hex.IsValid(text[Prefix.Length..]) ? text[Prefix.Length..] : null;

    /// <summary>Pins the roster.</summary>
    /// <returns>What was pinned before, as 64 digits; null: nothing.</returns>
    /// <exception cref="InvalidInputException">The file is no valid <c>node.yaml</c>, or cannot be written.</exception>
    public static string? Write(string path, string sha256)
    {
        NodeConfiguration configuration = NodeConfiguration.Load(path);
        string? before = configuration.Policy.RosterSha256;
        if (before == sha256) return before;
        bool isOwnFile = configuration.PolicyFile is not null;
        path = configuration.PolicyFile ?? path;
        try
        {
            string target = File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? Path.GetFullPath(path);
            byte[] bytes = File.ReadAllBytes(target);
            int mark = bytes.AsSpan().StartsWith(Encoding.UTF8.Preamble) ? Encoding.UTF8.Preamble.Length : 0;
            string yaml = s_strict.GetString(bytes, mark, bytes.Length - mark);
            string pinned = Edits(yaml, Prefix + sha256, isOwnFile).FirstOrDefault(edit => PinOf(edit, path, isOwnFile) == sha256)
                ?? throw Unwritable(path, sha256, "The place of the policy in it was not found.");
            Replace(target, [.. bytes.AsSpan(0, mark), .. s_strict.GetBytes(pinned)]);
            return before;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or DecoderFallbackException)
        {
            throw Unwritable(path, sha256, $"The file cannot be changed: {error.Message}");
        }
    }

    /// <summary>The changed text, in the ways that may fit; the first that reads back as it should is taken.</summary>
    internal static IEnumerable<string> Edits(string yaml, string pin, bool isOwnFile = false)
    {
        string newline = yaml.Contains("\r\n", StringComparison.Ordinal) ? "\r\n" : "\n";
        var parser = new Parser(new StringReader(yaml));
        parser.Consume<StreamStart>();
        parser.Consume<DocumentStart>();
        if (isOwnFile)
        {
            if (parser.Current is MappingStart) yield return InPolicy(yaml, parser, pin, newline);
            else yield return yaml + (yaml.Length == 0 || yaml.EndsWith('\n') ? "" : newline) + $"roster: {pin}" + newline; // comments alone
            yield break;
        }

        MappingStart root = parser.Consume<MappingStart>();
        ParsingEvent first = parser.Current!;
        while (!parser.TryConsume<MappingEnd>(out _))
        {
            if (parser.Consume<Scalar>().Value != "policy")
            {
                parser.SkipThisAndNestedEvents();
                continue;
            }

            yield return InPolicy(yaml, parser, pin, newline);
            yield break;
        }

        string section = $"policy: {{ roster: {pin} }}";
        if (root.Style != MappingStyle.Flow) yield return yaml + (yaml.EndsWith('\n') ? "" : newline) + section + newline;
        yield return Before(yaml, root, first, section, newline);
    }

    /// <summary>With the parser before the policy's map.</summary>
    private static string InPolicy(string yaml, Parser parser, string pin, string newline)
    {
        MappingStart policy = parser.Consume<MappingStart>();
        ParsingEvent field = parser.Current!;
        while (!parser.TryConsume<MappingEnd>(out _))
        {
            bool isRoster = parser.Consume<Scalar>().Value == "roster";
            if (isRoster && parser.Current is Scalar value) return yaml[..(int)value.Start.Index] + pin + yaml[(int)value.End.Index..];
            parser.SkipThisAndNestedEvents();
        }

        return Before(yaml, policy, field, $"roster: {pin}", newline);
    }

    /// <summary>Adds a field to a map, before the one that is its first.</summary>
    private static string Before(string yaml, MappingStart map, ParsingEvent first, string field, string newline)
    {
        int at = (int)first.Start.Index;
        if (first is MappingEnd) return $"{yaml[..at]} {field} {yaml[at..]}"; // {}
        string between = map.Style == MappingStyle.Flow ? ", " : newline + new string(' ', (int)first.Start.Column - 1);
        return yaml[..at] + field + between + yaml[at..];
    }

    private static string? PinOf(string yaml, string path, bool isOwnFile)
    {
        try
        {
            return isOwnFile ? NodePolicy.Parse(yaml, path).RosterSha256 : NodeConfiguration.Parse(yaml, path).Policy.RosterSha256;
        }
        catch (InvalidInputException)
        {
            return null;
        }
    }

    /// <summary>Writes beside the file, with its mode, then takes its place.</summary>
    private static void Replace(string path, byte[] content)
    {
        string fresh = $"{path}.{Guid.NewGuid():N}.new";
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = File.GetUnixFileMode(path);
        try
        {
            using (var file = new FileStream(fresh, options))
            {
                file.Write(content);
                file.Flush(flushToDisk: true);
            }

            File.Move(fresh, path, overwrite: true);
        }
        finally
        {
            File.Delete(fresh);
        }
    }

    private static InvalidInputException Unwritable(string path, string sha256, string message) =>
        new(new Problem(message, path, Field: "policy.roster", Repair: $"Write `policy: {{ roster: {Prefix}{sha256} }}` into it by hand."));
}

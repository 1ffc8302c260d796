using Federation.Privacy.Canonical;

namespace Federation.Privacy.SecureAggregation;

/// <summary>Checks a run's epochs and openings from what was signed for them, one by one: every signature, and that no opening and no model was opened for two sets of contributors.</summary>
/// <remarks>It cannot show that nothing is missing: whoever keeps the transcripts may leave some out.</remarks>
/// <param name="run">The run they must be of, or the beginning of its name; null: the first opening says.</param>
public sealed class TranscriptAudit(string? run = null)
{
    private static readonly byte[] s_epochLabel = "fed/v1/epoch-record\0"u8.ToArray();
    private readonly Dictionary<string, (EpochCertificate Certificate, Roster Roster)> _epochs = [];
    private readonly Dictionary<string, (string Set, Opening Opening)> _opened = [];

    /// <summary>The run; null before the first opening, where none was named.</summary>
    public string? Run { get; private set; } = run;

    public static bool IsEpoch(ReadOnlySpan<byte> bytes) => bytes.StartsWith(s_epochLabel);

    /// <exception cref="FormatException">The bytes are no epoch's transcript.</exception>
    /// <exception cref="ProtocolException">Something in it does not hold.</exception>
    public AuditedEpoch AddEpoch(ReadOnlySpan<byte> bytes)
    {
        (EpochCertificate certificate, Roster roster) = EpochTranscriptFile.Verify(bytes);
        _epochs[Convert.ToHexStringLower(certificate.Hash)] = (certificate, roster);
        EpochDescriptor descriptor = certificate.Descriptor;
        return new(descriptor.Epoch, descriptor.Attempt, descriptor.Threshold, [.. certificate.Qualified.Select(member => descriptor.Members[member - 1])], Sha256Hex.Of(certificate.Encode()), roster.Version, roster.Hash);
    }

    /// <summary>Its epoch must have been added.</summary>
    /// <exception cref="FormatException">The bytes are no opening's transcript.</exception>
    /// <exception cref="ProtocolException">Something in it does not hold.</exception>
    public AuditedOpening AddOpening(ReadOnlySpan<byte> bytes)
    {
        string named = CertificateOf(bytes);
        if (!_epochs.TryGetValue(named, out (EpochCertificate Certificate, Roster Roster) epoch)) throw new ProtocolException(Refusal.WrongEpoch, $"The opening belongs to the epoch with the certificate {named}, which is not among these transcripts.");
        OpeningRequest request = OpeningTranscriptFile.Verify(bytes, epoch.Certificate, epoch.Roster);
        Opening opening = request.Opening;
        if (opening.Epoch != epoch.Certificate.Descriptor.Epoch) throw new ProtocolException(Refusal.WrongEpoch, $"The {opening} is signed for the certificate of epoch {epoch.Certificate.Descriptor.Epoch}.");
        if (Run is not null && !opening.Run.StartsWith(Run, StringComparison.Ordinal)) throw new ProtocolException(Refusal.AnotherOpening, $"The {opening} is another run's than '{Run}'.");
        Run = opening.Run;
        ContributionHeader[] headers = [.. request.Contributions.Select(contribution => ContributionHeader.Decode(contribution.Body.Span))];
        string set = Convert.ToHexStringLower(ContributionHeader.SetHash(headers));
        Once($"round {opening.Round} {opening.Purpose}", set, opening);
        Once($"model {Convert.ToHexStringLower(request.Round.Model)} {opening.Purpose}", set, opening);
        return new(opening, [.. headers.Select(header => header.Site)], [.. request.Active.Select(member => epoch.Certificate.Descriptor.Members[member - 1])]);
    }

    private void Once(string what, string set, Opening opening)
    {
        if (_opened.TryAdd(what, (set, opening)) || _opened[what].Set == set) return;
        throw new ProtocolException(Refusal.AnotherSet, $"Two sets of contributors were opened for one model or round: the {_opened[what].Opening}, and the {opening}.");
    }

    /// <summary>The certificate that the first answer names, as hex; nothing is verified.</summary>
    private static string CertificateOf(ReadOnlySpan<byte> bytes)
    {
        CanonicalReader reader = new(bytes, "opening-record-file");
        reader.Field();
        if (reader.Int32(0, CommitteePolicy.LargestCommittee) == 0) throw new FormatException("Nobody has answered.");
        return Convert.ToHexStringLower(OpeningAnswer.Decode(SignedMessage.Decode(reader.Field(2 * SignedMessage.MostBytes)).Body.Span).Certificate);
    }
}

/// <param name="Members">Those that hold shares.</param>
/// <param name="CertificateSha256">Of the certificate with its signatures.</param>
public sealed record AuditedEpoch(ulong Epoch, ulong Attempt, int Threshold, IReadOnlyList<string> Members, string CertificateSha256, ulong RosterVersion, string RosterSha256);

/// <param name="Members">Those that opened it.</param>
public sealed record AuditedOpening(Opening Opening, IReadOnlyList<string> Contributors, IReadOnlyList<string> Members);

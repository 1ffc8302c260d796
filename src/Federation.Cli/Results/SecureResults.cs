using Federation.Formats;
using Federation.Privacy.SecureAggregation;

namespace Federation.Cli.Results;

/// <param name="Mode">direct or hybrid.</param>
/// <param name="Threshold">Null: decided when the keys are made.</param>
/// <param name="Retired">Its keys serve no further round.</param>
internal sealed record SecureAggregationEntry(
    string Kind, string Mode, uint? Threshold, IReadOnlyList<string> Committee, ulong Epoch, uint Openings, bool Retired, string? CertificateSha256, string? RosterSha256, string Guarantee, IReadOnlyList<string> Transcripts)
{
    public static SecureAggregationEntry Of(V1.SecureAggregation secure) => new(
        secure.Kind, secure.Mode, secure.Threshold == 0 ? null : secure.Threshold, [.. secure.Committee], secure.Epoch, secure.Openings, secure.Retired,
        secure.CertificateSha256.Length == 0 ? null : secure.CertificateSha256, secure.RosterSha256.Length == 0 ? null : secure.RosterSha256, secure.Guarantee, [.. secure.Transcripts]);
}

/// <param name="View">coordinator, or site.</param>
/// <param name="Roster">The coordinator's.</param>
/// <param name="Pinned">The site's policy; null: it pins none.</param>
/// <param name="Runs">Rosters of the runs whose key shares the site holds.</param>
internal sealed record RosterReport(string View, RosterEntry? Roster, PinnedRoster? Pinned, IReadOnlyList<RunRoster> Runs);

/// <param name="Words">The first 24 bytes of the hash.</param>
internal sealed record RosterEntry(ulong Version, string Sha256, string Words, string? PreviousSha256, IReadOnlyList<RosterSite> Sites)
{
    public static RosterEntry Of(Roster roster) => new(
        roster.Version, roster.Hash, Proquint.OfHash(roster.Hash), roster.PreviousHash.Length == 0 ? null : roster.PreviousHash, [.. roster.Sites.Select(site => new RosterSite(site.Key, site.Value))]);
}

internal sealed record RosterSite(string Site, string KeySha256);

internal sealed record PinnedRoster(string Sha256, string Words);

internal sealed record RunRoster(string Run, RosterEntry Roster);

/// <param name="PreviousSha256">What was pinned before.</param>
internal sealed record AcceptedRoster(string File, string Sha256, string Words, string? PreviousSha256, bool Changed);

/// <param name="Run">Null: no opening says.</param>
/// <param name="Folder">Where the transcripts lie; null: they were not kept.</param>
/// <param name="Recorded">How many transcripts the run's record names; all of them are here. Null: there is no record beside them.</param>
/// <param name="Problem">The first that does not hold; those after it were not looked at.</param>
internal sealed record TranscriptReport(string? Run, bool Valid, string? Folder, int? Recorded, IReadOnlyList<AuditedEpoch> Epochs, IReadOnlyList<OpeningLine> Openings, TranscriptProblem? Problem);

/// <param name="Members">Those that opened it.</param>
internal sealed record OpeningLine(ulong Epoch, ulong Round, string Purpose, IReadOnlyList<string> Contributors, IReadOnlyList<string> Members);

internal sealed record TranscriptProblem(string File, string Reason);

using Federation.Privacy.SecureAggregation;

namespace Federation.Server.Tests.SecureAggregation;

/// <summary>What a site is asked to do.</summary>
internal abstract record SiteTask;

internal sealed record CheckTask : SiteTask;

/// <param name="Round">Its purpose says what is contributed.</param>
internal sealed record ContributeTask(SiteRound Round, string Model) : SiteTask;

internal sealed record EpochStepTask(V1.EpochTask Step) : SiteTask;

/// <param name="Sha256">Names the request in the answer.</param>
/// <param name="Seconds">c₁ of each contribution.</param>
internal sealed record AnswerTask(string Sha256, byte[] Request, IReadOnlyList<byte[]> Seconds) : SiteTask;

namespace Federation.Privacy.SecureAggregation;

/// <summary>What a site asks of an epoch and of the openings in it. Nothing weaker is taken part in.</summary>
public sealed record CommitteePolicy
{
    /// <summary>Never fewer, whatever a policy or a round says: with two, each knows the other's update.</summary>
    public const int FewestContributors = 3;

    public const int LargestCommittee = 32;

    /// <param name="minContributors">At least 3.</param>
    /// <param name="lyingOrRestored">Members that may lie or come back with an old record: 2t − k must be above it.</param>
    /// <param name="maxOpenings">Of one epoch.</param>
    /// <param name="minMembers">So many must hold shares; never fewer than the threshold.</param>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of range.</exception>
    public CommitteePolicy(int minContributors = FewestContributors, int lyingOrRestored = 1, int maxOpenings = 100, int minMembers = 2)
    {
        if (minContributors < FewestContributors) throw new ArgumentOutOfRangeException(nameof(minContributors), minContributors, $"At least {FewestContributors} sites must contribute.");
        ArgumentOutOfRangeException.ThrowIfNegative(lyingOrRestored);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxOpenings);
        (MinContributors, LyingOrRestored, MaxOpenings, MinMembers) = (minContributors, lyingOrRestored, maxOpenings, minMembers);
    }

    public int MinContributors { get; }

    public int LyingOrRestored { get; }

    public int MaxOpenings { get; }

    public int MinMembers { get; }

    /// <summary>Two sets of contributors of one run and purpose must be the same or differ in the minimum of contributors.</summary>
    public bool AreSetsApart { get; init; }

    /// <summary>2t − k above <see cref="LyingOrRestored"/>, where k counts all sites that could be members: any two active sets, of one epoch or of two under this roster, then have an honest member in common whose record holds.</summary>
    /// <remarks>Up to 32 sites k is the roster's size, so that nobody gains by naming a smaller committee; of a larger roster k is 32, and two epochs may have no member in common.</remarks>
    /// <exception cref="ProtocolException">The descriptor is weaker than this policy.</exception>
    public void Check(EpochDescriptor descriptor, Roster roster)
    {
        int members = Math.Max(descriptor.Members.Count, Math.Min(roster.Sites.Count, LargestCommittee)), threshold = descriptor.Threshold;
        if ((2 * threshold) - members <= LyingOrRestored)
        {
            throw new ProtocolException(Refusal.BelowPolicy, $"Threshold {threshold} of {members} possible members resists {Math.Max(0, (2 * threshold) - members - 1)} lying or restored members; this site's policy asks for {LyingOrRestored}: a threshold of {(members + LyingOrRestored + 2) / 2} at least.");
        }
    }

    /// <summary>How many must hold shares in the end.</summary>
    internal int FewestQualified(EpochDescriptor descriptor) => Math.Max(descriptor.Threshold, MinMembers);
}

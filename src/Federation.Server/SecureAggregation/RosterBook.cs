using Federation.Privacy.SecureAggregation;
using Federation.Server.Identity;
using Federation.Server.Runs;
using Federation.Server.Storage;

namespace Federation.Server.SecureAggregation;

/// <summary>The sites that train, with their keys, as a roster: a new version whenever one comes, goes or has a new key. Each names the one before.</summary>
internal static class RosterBook
{
    private static readonly Lock s_lock = new();

    /// <summary>Today's roster; its hash is also the name of its blob.</summary>
    public static Privacy.SecureAggregation.Roster Current(RunContext context)
    {
        lock (s_lock)
        {
            IReadOnlySet<string> trainers = context.Sessions.Roster().Trainers;
            Dictionary<string, string> sites = context.Store.Sites().Where(site => trainers.Contains(site.Name)).ToDictionary(site => site.Name, site => site.KeySha256!);
            Privacy.SecureAggregation.Roster? newest = context.Store.NewestRoster() is { } bytes ? Privacy.SecureAggregation.Roster.Decode(bytes) : null;
            if (newest is null || newest.Sites.Count != sites.Count || !newest.Sites.All(site => sites.GetValueOrDefault(site.Key) == site.Value))
            {
                newest = new((newest?.Version ?? 0) + 1, newest?.Hash ?? "", sites);
                Add(context, newest);
            }

            if (!context.Blobs.Has(newest.Hash))
            {
                using BlobStore.NewBlob blob = context.Blobs.Create();
                blob.Stream.Write(newest.Encode());
                blob.Keep();
            }

            return newest;
        }
    }

    private static void Add(RunContext context, Privacy.SecureAggregation.Roster roster)
    {
        const string Who = "The coordinator";
        string what = $"made roster {roster.Version} of {roster.Sites.Count} sites, hash {roster.Hash}, after {(roster.PreviousHash.Length == 0 ? "none" : roster.PreviousHash)}.";
        bool Keep()
        {
            context.Store.AddRoster(roster.Version, roster.Encode());
            return true;
        }

        if (context.Acts is null) Keep();
        else context.Acts.Do(AdministrativeLog.Roster, Who, what, Keep, () => context.Store.NewestRoster().AsSpan().SequenceEqual(roster.Encode()));
        context.Acts?.Record(AdministrativeLog.Roster, Who, what);
    }
}

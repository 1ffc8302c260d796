namespace Federation.Privacy.SecureAggregation;

/// <summary>The newest key epoch that a site has seen a certificate of, in one run. Keys only go forward: an old key's shares may have come together since. Pure.</summary>
/// <param name="Certificate">Its hash.</param>
public sealed record SeenEpoch(ulong Epoch, string Certificate)
{
    /// <exception cref="ProtocolException">The epoch is older, or the same under another certificate.</exception>
    public void Check(string run, ulong epoch, string certificate)
    {
        if (epoch < Epoch) throw new ProtocolException(Refusal.WrongEpoch, $"A contribution to run '{run}' is asked for under the keys of epoch {epoch}, after those of epoch {Epoch}: keys only go forward.");
        if (epoch == Epoch && certificate != Certificate) throw new ProtocolException(Refusal.WrongEpoch, $"A contribution to run '{run}' is asked for under another certificate of epoch {epoch} ({certificate}) than the one seen before ({Certificate}).");
    }
}

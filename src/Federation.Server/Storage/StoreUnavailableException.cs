namespace Federation.Server.Storage;

/// <summary>The database does not answer, or is locked by somebody else: the call is to be made again later, and nothing has to be done about it here.</summary>
/// <param name="isUncertain">The connection was lost while the change was being committed: it may be stored or not.</param>
public sealed class StoreUnavailableException(string reason, bool isUncertain, Exception? error)
    : IOException($"The coordinator's database does not answer: {reason.TrimEnd('.')}.{(isUncertain ? " Whether the last change was stored is not known." : "")}", error)
{
    public string Reason => reason;

    public bool IsUncertain => isUncertain;
}

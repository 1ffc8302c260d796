namespace Federation.Privacy.SecureAggregation;

/// <summary>Why a message or a request was refused.</summary>
public enum Refusal
{
    /// <summary>Bytes that are no such message.</summary>
    Malformed = 0,

    /// <summary>A message that this state does not wait for.</summary>
    UnexpectedMessage,

    /// <summary>The signature is not the site's.</summary>
    WrongSignature,

    /// <summary>The site, or its key, is not in the roster.</summary>
    NotInRoster,

    /// <summary>Another roster than this site's.</summary>
    WrongRoster,

    /// <summary>Another epoch or another attempt at it.</summary>
    WrongEpoch,

    /// <summary>A ciphertext of another ring or plain modulus than the epoch's.</summary>
    WrongParameters,

    /// <summary>Threshold, members or contributors are below this site's policy.</summary>
    BelowPolicy,

    /// <summary>A share that does not open or has the wrong form.</summary>
    WrongShare,

    /// <summary>What was revealed is not what was committed to.</summary>
    WrongReveal,

    /// <summary>The coordinator showed different members different messages.</summary>
    DifferentTranscripts,

    /// <summary>A site contributed twice.</summary>
    DuplicateSite,

    /// <summary>One key ciphertext twice.</summary>
    ReplayedCiphertext,

    /// <summary>A site outside the round's cohort.</summary>
    NotInCohort,

    TooFewContributors,

    TooManyContributors,

    /// <summary>Signed for another run, round, purpose, round descriptor or model.</summary>
    AnotherOpening,

    /// <summary>Another set of contributors was answered for this opening or this model.</summary>
    AnotherSet,

    /// <summary>Statistics over almost the same sites were answered: the difference would show the others' figures.</summary>
    NearbySet,

    /// <summary>The active set is not t distinct members of the epoch with this one among them.</summary>
    WrongActiveSet,

    /// <summary>Three active sets were answered for this set of contributors.</summary>
    TooManyActiveSets,

    /// <summary>It was answered before, and the answer is not kept any more.</summary>
    AnswerGone,

    /// <summary>The epoch's openings are used up.</summary>
    EpochUsedUp,

    /// <summary>This member's record is behind what others have seen of it: it was restored.</summary>
    RestoredRecord,

    /// <summary>The sum of the answers is no decryption.</summary>
    WrongSum,

    /// <summary>This site has contributed to the model before, and that sum was opened as far as it knows.</summary>
    ContributedBefore,

    /// <summary>Not signed, or not by a key of this site's policy, or another thing than was signed.</summary>
    NotApproved,

    /// <summary>Nothing is missing but signatures or approvals that may still come.</summary>
    AwaitsApproval,

    /// <summary>The signed submission is that of a run before.</summary>
    SubmittedBefore,
}

/// <summary>A message or a request is refused; nothing has changed by it.</summary>
public sealed class ProtocolException(Refusal reason, string message) : Exception(message)
{
    public Refusal Reason { get; } = reason;
}

namespace Federation.Protocol;

/// <summary>Why a call was refused; travels as the reason of a google.rpc.ErrorInfo, so programs need not read sentences.</summary>
public enum Refusal
{
    // Identity
    NoCertificate,
    ForeignCertificate,
    ExpiredCertificate,
    UnknownIdentity,

    /// <summary>The operator has taken the key from its site; it never counts again.</summary>
    Revoked,
    WrongRole,
    TokenMalformed,
    TokenUnknown,
    TokenUsed,
    TokenExpired,
    TokenForeign,

    /// <summary>Enrolment was tried in vain too often; the sentence says when to try again.</summary>
    TooManyTries,
    BadSigningRequest,

    /// <summary>A certificate is renewed for the registered key alone.</summary>
    AnotherKey,

    // Session
    ProtocolVersion,
    NotJoined,

    // Runs and rounds
    UnknownRun,
    RunOver,
    WrongRound,
    WrongModel,
    NotInCohort,
    Late,
    AlreadyContributed,

    // Content
    WrongHash,
    WrongSize,
    WrongOffset,
    WrongLayout,
    NotFinite,
    BadWeight,
    LedgerRolledBack,

    /// <summary>A rule of secure aggregation; the sentence says which.</summary>
    ProtocolRefused,
    UnknownBlob,
    Invalid,

    // Coordinator
    StorageFull,

    /// <summary>Its database is away; the same call may be made again later.</summary>
    StorageUnavailable,
}

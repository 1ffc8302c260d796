namespace Federation.Privacy.SecureAggregation;

/// <summary>An update cannot be encoded under these settings: a sum would not fit its field, or noise would be too fine for the grid. Nothing is sent.</summary>
public sealed class UpdateLayoutException(string reason, string? advice = null) : Exception(advice is null ? reason : $"{reason} {advice}")
{
    /// <summary>Without the advice, for who can give a better one.</summary>
    public string Reason { get; } = reason;
}

/// <summary>A value with its noise lies outside the range of its field. The upload is withheld as a whole: to cut the value or to draw again would void the accounting.</summary>
public sealed class UpdateOutOfRangeException(string message) : ArithmeticException(message);

/// <summary>No rounding of the update met the norm bound that the accounting rests on. Nothing is sent.</summary>
public sealed class UpdateRoundingException(string message) : ArithmeticException(message);

/// <summary>The opened sum of the weights is not positive: there is nothing to divide by, and the round fails.</summary>
public sealed class UpdateWeightException(string message) : ArithmeticException(message);

/// <summary>An opened sum holds a field that no such number of contributors can have given.</summary>
public sealed class UpdateSumException(string message) : ArithmeticException(message);

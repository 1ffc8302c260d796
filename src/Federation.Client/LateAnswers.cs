using Federation.Protocol.Identity;

namespace Federation.Client;

/// <summary>What a stream's other side does not send in time was lost on the way, though the connection may stand. A call that is no stream has a deadline (<see cref="CoordinatorLink"/>).</summary>
internal static class LateAnswers
{
    /// <param name="late">A sentence.</param>
    /// <exception cref="IOException">It did not come within <see cref="CoordinatorLink.Patience"/>.</exception>
    public static async Task<T> InTimeAsync<T>(this Task<T> answer, string late, CancellationToken cancellationToken)
    {
        try
        {
            return await answer.WaitAsync(CoordinatorLink.Patience, cancellationToken);
        }
        catch (TimeoutException)
        {
            throw new IOException(late);
        }
    }
}

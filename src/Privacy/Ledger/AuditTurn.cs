namespace Federation.Privacy.Ledger;

/// <summary>One process's turn at an audit log: a lock on a file beside it, which a killed process gives up.</summary>
internal static class AuditTurn
{
    private const int Tries = 500, PauseMilliseconds = 10;

    /// <summary>Waits at most 5 s: whoever writes has done so in a moment.</summary>
    /// <exception cref="IOException">Somebody does not let go of it, or it cannot be made.</exception>
    /// <exception cref="UnauthorizedAccessException">It cannot be made.</exception>
    public static IDisposable Take(string log)
    {
        string path = log + ".lock";
        for (int i = 1; ; i++)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 1);
            }
            catch (IOException error) when (error.GetType() == typeof(IOException) && File.Exists(path) && i < Tries)
            {
                Thread.Sleep(PauseMilliseconds);
            }
        }
    }
}

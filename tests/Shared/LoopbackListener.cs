using System.Net;
using System.Net.Sockets;

namespace Federation.Tests;

/// <summary>Listens on loopback and serves each connection by itself, until it is disposed.</summary>
internal abstract class LoopbackListener : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Cancelled when the test is over.</summary>
    protected CancellationToken Stopped => _stop.Token;

    public void Dispose()
    {
        _stop.Cancel();
        _listener.Stop();
        _stop.Dispose();
    }

    /// <summary>The last step of a constructor.</summary>
    protected void Start()
    {
        _listener.Start();
        _ = AcceptAsync();
    }

    /// <summary>What goes wrong because either side closed, or the test is over, is nobody's.</summary>
    /// <param name="connection">Counted from 0.</param>
    protected abstract Task ServeAsync(TcpClient client, int connection);

    private async Task AcceptAsync()
    {
        try
        {
            for (int connection = 0; ; connection++) _ = GuardedAsync(await _listener.AcceptTcpClientAsync(_stop.Token), connection);
        }
        catch (Exception error) when (error is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // the test is over
        }
    }

    private async Task GuardedAsync(TcpClient client, int connection)
    {
        using (client)
        {
            try
            {
                await ServeAsync(client, connection);
            }
            catch (Exception error) when (error is IOException or SocketException or OperationCanceledException)
            {
                // either side closed
            }
        }
    }
}

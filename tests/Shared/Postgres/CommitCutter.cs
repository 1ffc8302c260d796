using System.Net;
using System.Net.Sockets;

namespace Federation.Tests;

/// <summary>A relay before PostgreSQL's socket. When told to, it lets a transaction come to its COMMIT and cuts the connection there: before the server has it, or after the server has done it and before the client hears so.</summary>
public sealed class CommitCutter : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly string _socket;
    private volatile Cut _next;

    /// <param name="cluster">Running.</param>
    public CommitCutter(PostgresCluster cluster)
    {
        _socket = Path.Combine(cluster.Folder, ".s.PGSQL.5432");
        _listener.Start();
        new Thread(Accept) { IsBackground = true }.Start();
    }

    public enum Cut
    {
        None,
        Before,
        After,
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Whether a connection was cut since it was last asked for.</summary>
    public bool HasCut => _next == Cut.None;

    public void CutNext(Cut cut) => _next = cut;

    public void Dispose() => _listener.Dispose();

    private void Accept()
    {
        try
        {
            while (true)
            {
                Socket client = _listener.AcceptSocket();
                new Thread(() => Relay(client)) { IsBackground = true }.Start();
            }
        }
        catch (Exception error) when (error is SocketException or InvalidOperationException) // disposed, or no longer listening
        {
            // the test is over
        }
    }

    private void Relay(Socket client)
    {
        var server = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        bool dropAnswer = false;
        try
        {
            server.Connect(new UnixDomainSocketEndPoint(_socket));
            new Thread(() => Pump(server, client, _ => dropAnswer)) { IsBackground = true }.Start();
            Pump(client, server, bytes =>
            {
                if (_next == Cut.None || bytes.IndexOf("COMMIT"u8) < 0) return false;
                dropAnswer = _next == Cut.After;
                _next = Cut.None;
                return !dropAnswer;
            });
        }
        catch (SocketException)
        {
            // the server is not there
        }

        client.Dispose();
    }

    private delegate bool Stops(ReadOnlySpan<byte> bytes);

    /// <summary>Until one side closes or these bytes are not to be passed on; both are closed then.</summary>
    private static void Pump(Socket from, Socket to, Stops stops)
    {
        byte[] buffer = new byte[1 << 16];
        try
        {
            while (from.Receive(buffer) is > 0 and var read && !stops(buffer.AsSpan(0, read))) to.Send(buffer.AsSpan(0, read));
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // closed
        }

        from.Dispose();
        to.Dispose();
    }
}

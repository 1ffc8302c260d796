using System.Net;
using System.Net.Sockets;

namespace Federation.EndToEnd.Tests;

/// <summary>A TCP relay on loopback that cuts its first connection after so many bytes from the client, and counts what every connection carried. Later ones pass, or are closed at once.</summary>
internal sealed class CuttingProxy : LoopbackListener
{
    private readonly List<long> _sent = [];
    private readonly int _target;
    private readonly long _cutAfter;
    private readonly bool _passLater;

    public CuttingProxy(Uri target, long cutAfter, bool passLater = true)
    {
        (_target, _cutAfter, _passLater) = (target.Port, cutAfter, passLater);
        Start();
    }

    public Uri Address => new($"https://127.0.0.1:{Port}");

    /// <summary>Bytes from the client, by connection.</summary>
    public IReadOnlyList<long> Sent
    {
        get
        {
            lock (_sent) return [.. _sent];
        }
    }

    protected override async Task ServeAsync(TcpClient client, int connection)
    {
        lock (_sent) _sent.Add(0);
        if (connection > 0 && !_passLater) return;
        using TcpClient server = new();
        await server.ConnectAsync(IPAddress.Loopback, _target, Stopped);
        Task up = PumpAsync(client.GetStream(), server.GetStream(), connection), down = PumpAsync(server.GetStream(), client.GetStream(), null);
        await Task.WhenAny(up, down);
    }

    private async Task PumpAsync(NetworkStream from, NetworkStream to, int? connection)
    {
        byte[] buffer = new byte[16384];
        while (true)
        {
            int read = await from.ReadAsync(buffer, Stopped);
            if (read == 0) return;
            if (connection is { } index)
            {
                long total;
                lock (_sent) total = _sent[index] += read;
                if (index == 0 && total > _cutAfter) return; // both connections are closed in the middle of a message
            }

            await to.WriteAsync(buffer.AsMemory(0, read), Stopped);
        }
    }
}

using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Federation.Cli.Tests;

/// <summary>An HTTP proxy on loopback that knows nothing but CONNECT, and leads every name to 127.0.0.1: what a site's way out is like where its own machines cannot resolve names of outside.</summary>
internal sealed class ConnectProxy : LoopbackListener
{
    private readonly List<string> _asked = [];
    private readonly string? _credentials;

    /// <param name="credentials"><c>user:password</c>; null: none are asked for.</param>
    public ConnectProxy(string? credentials = null)
    {
        _credentials = credentials;
        Start();
    }

    public string Authority => $"127.0.0.1:{Port}";

    /// <summary>Hosts and ports of the tunnels that were opened.</summary>
    public IReadOnlyList<string> Asked
    {
        get
        {
            lock (_asked) return [.. _asked];
        }
    }

    protected override async Task ServeAsync(TcpClient client, int connection)
    {
        NetworkStream near = client.GetStream();
        string head = await ReadHeadAsync(near);
        while (_credentials is not null && !head.Contains($"Proxy-Authorization: Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes(_credentials))}", StringComparison.OrdinalIgnoreCase))
        {
            await near.WriteAsync("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"out\"\r\nContent-Length: 0\r\n\r\n"u8.ToArray(), Stopped);
            head = await ReadHeadAsync(near);
        }

        string target = head.Split(' ')[1];
        lock (_asked) _asked.Add(target);
        using TcpClient server = new();
        await server.ConnectAsync(IPAddress.Loopback, int.Parse(target.Split(':')[^1], System.Globalization.CultureInfo.InvariantCulture), Stopped);
        await near.WriteAsync("HTTP/1.1 200 Connection established\r\n\r\n"u8.ToArray(), Stopped);
        await Task.WhenAny(near.CopyToAsync(server.GetStream(), Stopped), server.GetStream().CopyToAsync(near, Stopped));
    }

    private async Task<string> ReadHeadAsync(NetworkStream from)
    {
        StringBuilder head = new();
        byte[] one = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            await from.ReadExactlyAsync(one, Stopped);
            head.Append((char)one[0]);
        }

        return head.ToString();
    }
}

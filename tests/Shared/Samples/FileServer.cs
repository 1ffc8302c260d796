using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Federation.Tests;

/// <summary>A real web server on loopback, for downloads.</summary>
internal sealed class FileServer : IAsyncDisposable
{
    private readonly WebApplication _server;

    private FileServer(WebApplication server) => _server = server;

    public Uri Address => new(_server.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());

    /// <param name="content">Of a file, by its name.</param>
    public static async Task<FileServer> StartAsync(Func<string, byte[]> content)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        WebApplication server = builder.Build();
        server.Run(context => context.Response.Body.WriteAsync(content(context.Request.Path.Value!.TrimStart('/'))).AsTask());
        await server.StartAsync(TestContext.Current.CancellationToken);
        return new FileServer(server);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();
}

using Federation.V1;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Federation.Client;

/// <summary>Tells the coordinator that this site cannot do a task.</summary>
internal static class FailureReports
{
    /// <summary>Where the coordinator does not wait for it any more, that is only noted.</summary>
    public static async Task SendAsync(Node.NodeClient client, FailureReport report, ILogger logger, CancellationToken cancellationToken)
    {
        report.Reason = SiteWords.Bounded(report.Reason);
        try
        {
            await client.ReportFailureAsync(report, cancellationToken: cancellationToken);
        }
        catch (RpcException error) when (ConnectionErrors.IsRefusal(error))
        {
            logger.LogInformation("The coordinator does not wait for this site any more. {Message}", error.Status.Detail);
        }
    }
}

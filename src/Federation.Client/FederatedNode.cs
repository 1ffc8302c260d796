using System.Reflection;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Federation.Client.SecureAggregation;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Learning;
using Federation.Privacy.Ledger;
using Federation.Privacy.SecureAggregation;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.V1;
using Grpc.Core;
using Refusal = Federation.Protocol.Refusal;
using Microsoft.Extensions.Logging;

namespace Federation.Client;

/// <summary>How a node runs.</summary>
public sealed record NodeOptions
{
    public required NodeConfiguration Configuration { get; init; }

    /// <summary>Returns when a run has ended, instead of waiting for the next one.</summary>
    public bool ExitAfterRun { get; init; }

    /// <summary>Goes on where a privacy ledger is behind what the coordinator has seen of it, and charges what the missing records had reserved. Without it the node stops.</summary>
    public bool AcceptLoss { get; init; }

    public TimeProvider Time { get; init; } = TimeProvider.System;
}

/// <param name="State">completed, failed or cancelled.</param>
/// <param name="ModelSha256">The last global model; its file is <c>runs/&lt;run&gt;/model.safetensors</c> in the state folder.</param>
public sealed record NodeOutcome(string RunId, string State, string ModelSha256, int Rounds, string Reason);

/// <summary>A site's node: dials out, asks for tasks, does them, until it is cancelled. Any connection may break and the coordinator may restart; it goes on.</summary>
public static class FederatedNode
{
    private static readonly TimeSpan HeartbeatInterval = TimeSpan.FromSeconds(10);

    /// <returns>How the run ended, with <see cref="NodeOptions.ExitAfterRun"/>.</returns>
    /// <exception cref="InvalidInputException">Not enrolled, refused by the coordinator, or another node uses the state folder.</exception>
    /// <exception cref="LedgerException">A privacy ledger was rolled back, is broken, or its key is missing.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static async Task<NodeOutcome> RunAsync(NodeOptions options, ILocalLearner learner, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        var folder = new NodeFolder(options.Configuration.State);
        if (!File.Exists(folder.Certificate)) throw new InvalidInputException(new Problem("This node is not enrolled.", folder.Path, Repair: "Enrol it with the operator's invitation: `fed node enroll --coordinator URL --token-file FILE`."));
        await using FileStream stateLock = folder.TakeLock();
        BlobDownload.Distrust(folder);
        using Credential credential = Credential.Load(folder.Certificate, folder.Key);
        using var link = new CoordinatorLink(options.Configuration.Coordinator, credential, options.Time);
        var client = new Node.NodeClient(link);
        ILogger logger = loggers.CreateLogger(credential.Name);
        using var ledgers = new NodeLedgers(options.Configuration, options.AcceptLoss, options.Time, logger);
        using ECDsa identity = credential.Certificate.GetECDsaPrivateKey()!;
        using CommitteeStore committee = folder.OpenCommitteeStore();
        using var audit = new NodeAudit(folder.Audit, options.Time, logger);
        var runs = new AgreedRuns(folder, credential.Name, options.Configuration.Policy, new RunApproval(folder, CertificateProfile.SpkiSha256(credential.CaCertificate), options.Configuration.Policy));
        using var duty = new CommitteeDuty(client, folder, credential.Name, identity, options.Configuration.Policy, committee, runs, audit, logger);
        var contribution = new SecureContribution(client, folder, credential.Name, identity, options.Configuration.Policy, committee, options.Configuration.Threads, logger);
        var worker = new TaskWorker(
            client, folder, new GuardedLearner(learner, logger), options.Configuration.Role == Formats.Configuration.NodeRole.Evaluator ? null : new RunCharges(ledgers, logger), duty, contribution, new SiteStatistics(options.Configuration.Data), runs, audit, logger);
        var tasks = new GuardedTasks(worker, audit, logger);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task renewal = new CertificateRenewal(link, folder, options.Time, logger).RunAsync(ended.Token);
        try
        {
            return await ServeAsync(client, link, tasks, ledgers, duty, options, credential.Name, logger, cancellationToken);
        }
        finally
        {
            await ended.CancelAsync();
            await renewal.ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        }
    }

    private static async Task<NodeOutcome> ServeAsync(Node.NodeClient client, CoordinatorLink link, GuardedTasks tasks, NodeLedgers ledgers, CommitteeDuty duty, NodeOptions options, string site, ILogger logger, CancellationToken cancellationToken)
    {
        var backoff = new Backoff();
        bool reachable = false;
        while (true)
        {
            try
            {
                JoinReply joined = await client.JoinAsync(JoinRequestOf(options.Configuration), cancellationToken: cancellationToken);
                ledgers.Compare(joined.LedgerHeads.Select(head => head.ToDomain()));
                duty.Compare(joined.OpeningAnswer.Span);
                if (!reachable) logger.LogInformation("Joined {Coordinator} as {Site}", options.Configuration.Coordinator, site);
                reachable = true;
                if (await WorkAsync(client, link, tasks, options, backoff, cancellationToken) is { } outcome) return outcome;
            }
            catch (RpcException error) when (cancellationToken.IsCancellationRequested)
            {
                throw new OperationCanceledException(error.Message, error, cancellationToken);
            }
            catch (RpcException error) when (ConnectionErrors.IsFinal(error, link.Credential.Certificate, options.Time.GetUtcNow()))
            {
                throw new InvalidInputException(RpcError.IsForeignCoordinator(error)
                    ? [new Problem($"The coordinator at {options.Configuration.Coordinator} is not of the federation that enrolled this node.", Repair: "Check the address, or enrol with an invitation of that coordinator.")]
                    : RpcError.Describe(error));
            }
            catch (RpcException error) when (RpcError.Is(error, Refusal.NotJoined))
            {
                logger.LogInformation("The coordinator restarted; joining again");
            }
            catch (Exception error) when (error is RpcException or InvalidDataException or IOException)
            {
                string message = error is RpcException rpc ? RpcError.Describe(rpc)[0].Message : error.Message;
                if (error is RpcException clocks && RpcError.Is(clocks, Refusal.ExpiredCertificate)) message += $" By the coordinator's clock it is not in date, by this machine's ({options.Time.GetUtcNow():u}) it is: one of the two has to be set.";
                if (reachable || backoff.IsFirst) logger.LogWarning("{Message} Trying again", message);
                reachable = false;
                await Task.Delay(backoff.Next(), options.Time, cancellationToken);
            }
        }
    }

    private static JoinRequest JoinRequestOf(NodeConfiguration configuration) => new()
    {
        ProtocolVersion = ProtocolVersion.Current,
        SoftwareVersion = typeof(FederatedNode).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "",
        Role = configuration.Role == Formats.Configuration.NodeRole.Evaluator ? V1.NodeRole.Evaluator : V1.NodeRole.Trainer,
        DataIds = { configuration.Data.Select(source => source.Id) },
        Labels = { configuration.Labels.ToDictionary() },
    };

    private static async Task<NodeOutcome?> WorkAsync(Node.NodeClient client, CoordinatorLink link, GuardedTasks tasks, NodeOptions options, Backoff backoff, CancellationToken cancellationToken)
    {
        while (true)
        {
            NodeTask task = await client.NextTaskAsync(new NextTaskRequest(), cancellationToken: cancellationToken);
            if (task.TaskCase is not (NodeTask.TaskOneofCase.Idle or NodeTask.TaskOneofCase.None)) await WithHeartbeatsAsync(client, link, options.Time, token => tasks.DoAsync(task, token), cancellationToken);
            backoff.Reset(); // not before the task is done: a coordinator whose disk is full hands out the same one again at once
            if (options.ExitAfterRun && task.RunEnded is { } ended) return new NodeOutcome(ended.RunId, ended.State, ended.ModelSha256, (int)ended.Rounds, ended.Reason);
        }
    }

    /// <summary>Works on another thread and says every 10 s that this node is alive. Where the coordinator will not have this node any more, the work ends too.</summary>
    private static async Task WithHeartbeatsAsync(Node.NodeClient client, CoordinatorLink link, TimeProvider time, Func<CancellationToken, Task> work, CancellationToken cancellationToken)
    {
        using var done = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var unwanted = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task working = Task.Run(() => work(unwanted.Token), cancellationToken);
        while (await Task.WhenAny(working, Task.Delay(HeartbeatInterval, time, done.Token)) != working)
        {
            if (cancellationToken.IsCancellationRequested) break;
            try
            {
                await client.HeartbeatAsync(new HeartbeatRequest(), cancellationToken: cancellationToken);
            }
            catch (RpcException error) when (ConnectionErrors.IsFinal(error, link.Credential.Certificate, time.GetUtcNow()))
            {
                await unwanted.CancelAsync();
                await working.ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default); // what ended it is known
                throw;
            }
            catch (RpcException) when (!cancellationToken.IsCancellationRequested)
            {
                // unreachable for a moment; the work goes on, and its own calls will tell
            }
        }

        await done.CancelAsync();
        await working;
    }
}

using Federation.Formats.Configuration;
using Federation.Formats.Models;
using Federation.Privacy.Ledger;
using Federation.Protocol;
using Federation.V1;
using Grpc.Core;

namespace Federation.Server.Tests.Identity;

/// <summary>Acts whose commit the database did not answer: they may have taken effect, so the audit log says so, and then what became of them.</summary>
public sealed class UncertainActTests(PostgresCluster cluster) : IClassFixture<PostgresCluster>
{
    private const string Admin = "admin (admin, by certificate)";

    [Theory]
    [InlineData(CommitCutter.Cut.Before)]
    [InlineData(CommitCutter.Cut.After)]
    public async Task Act_WhoseCommitLosesItsAnswer_HasALineThatSaysSoAndOneOfItsOutcome(CommitCutter.Cut cut)
    {
        string database = cluster.NewDatabase().Reveal().Split("Database=")[1];
        using var cutter = new CommitCutter(cluster);
        await using TestCoordinator test = await TestCoordinator.StartAsync(store: new ConnectionString($"Host=127.0.0.1;Port={cutter.Port};Username=fed;Database={database};SSL Mode=Disable"));
        await test.EnrolAllAsync("a", "b");
        await test.Operator.IssueOperatorAsync(new IssueOperatorRequest { Name = "bob", Role = "viewer" });
        ModelState initial = Tiny.Model();
        string run = await test.SubmitAsync(initial), invitation = (await test.Operator.InviteSiteAsync(new InviteSiteRequest { Name = "d" })).Token;
        (string Kind, string What, Func<Task> Call)[] acts =
        [
            ("run-paused", "paused the run 'tiny'.", async () => await test.Operator.PauseRunsAsync(new PauseRunsRequest { RunId = run })),
            ("run-submitted", "submitted the run 'tiny'", async () => await test.SubmitAsync(initial)),
            ("site-invited", "invited the site 'c'", async () => await test.Operator.InviteSiteAsync(new InviteSiteRequest { Name = "c" })),
            ("site-revoked", "revoked the site 'b'.", async () => await test.Operator.RevokeSiteAsync(new RevokeSiteRequest { Name = "b" })),
            ("operator-issued", "issued the operator 'ann' (viewer, by token)", async () => await test.Operator.IssueOperatorAsync(new IssueOperatorRequest { Name = "ann", Role = "viewer" })),
            ("operator-revoked", "revoked the operator 'bob'.", async () => await test.Operator.RevokeOperatorAsync(new RevokeOperatorRequest { Name = "bob" })),
            ("site-enrolled", "enrolled with the key", () => test.CertifyAsync(invitation, "d")),
            ("roster-changed", "made roster 1 of", async () =>
            {
                using AsyncServerStreamingCall<Chunk> roster = test.Operator.ShowRoster(new ShowRosterRequest());
                await roster.ResponseStream.MoveNext(TestContext.Current.CancellationToken);
            }),
        ];
        foreach ((string kind, string what, Func<Task> call) in acts)
        {
            int before = Log().Count;
            cutter.CutNext(cut);
            await Tiny.RefusedAsync(Refusal.StorageUnavailable, StatusCode.Unavailable, call, "not known");
            test.Wait(); // the database is left alone for a second after it failed
            (AuditEntry first, AuditEntry second) = (Log()[before], Log()[before + 1]);
            Assert.Equal("act-uncertain", first.Kind);
            string who = kind switch { "site-enrolled" => "d (site, from ", "roster-changed" => "The coordinator", _ => Admin };
            Assert.StartsWith(who, first.What, StringComparison.Ordinal);
            Assert.Contains($" {what}", first.What, StringComparison.Ordinal);
            Assert.EndsWith("whether it is done is not known yet.", first.What, StringComparison.Ordinal);
            bool isDone = cut == CommitCutter.Cut.After;
            Assert.Equal((isDone ? kind : "act-not-done", first.Run), (second.Kind, second.Run));
            Assert.StartsWith($"The coordinator found in its database that it was {(isDone ? "" : "not ")}done: {who}", second.What, StringComparison.Ordinal);
            Assert.Equal(kind.StartsWith("run", StringComparison.Ordinal), first.Run.Length > 0);
        }

        Assert.Equal(cut == CommitCutter.Cut.After, test.StateOf(run).PhaseName == "paused");
        Assert.Empty(AuditVerification.Of(test.Folder.Audit).Problems);

        IReadOnlyList<AuditEntry> Log() => AuditVerification.Of(test.Folder.Audit).Entries;
    }
}

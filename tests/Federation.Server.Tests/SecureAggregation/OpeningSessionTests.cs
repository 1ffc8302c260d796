using System.Security.Cryptography;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.SecureAggregation;
using Federation.Server.Runs;
using Federation.Server.SecureAggregation;
using Federation.Server.Storage;
using Federation.Server.Strategies;
using Google.Protobuf;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Answer = Federation.Privacy.SecureAggregation.OpeningAnswer;

namespace Federation.Server.Tests.SecureAggregation;

/// <summary>The coordinator's side of one opening, members that refuse, lie or have lost their shares: four hold shares, three are needed.</summary>
public sealed class OpeningSessionTests : IDisposable
{
    private static readonly SecureEpoch s_epoch = SecureEpoch.One;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("fed-opening");
    private readonly FakeTimeProvider _time = new();
    private readonly SqliteStore _store = new(":memory:");
    private readonly RunContext _context;
    private readonly OpeningSession _session;
    private readonly OpeningMember[] _members;
    private readonly HashSet<string> _gone = [];
    private readonly Dictionary<string, string> _asked = [];

    public OpeningSessionTests()
    {
        var blobs = new BlobStore(Path.Combine(_folder.FullName, "blobs"));
        _context = new RunContext(_store, blobs, new Spool(Path.Combine(_folder.FullName, "spool")), new Sessions(_store, _time), new Traffic(), new Signal(), _time, NullLogger.Instance, new StrategyBook(), new StrategyFiles(Path.Combine(_folder.FullName, "strategies")));
        _store.AddRun(new RunRecord("run", "run", "", "", _time.GetUtcNow(), "{}", false), new EventRecord(1, _time.GetUtcNow(), RunLog.Submitted, 0, "", "", "", null), new ModelRecord("run", 0, new string('0', 64), 0, _time.GetUtcNow()));
        _session = new OpeningSession(_context, "run", s_epoch.Round, s_epoch.Roster, [.. SecureEpoch.Sites.Select((site, i) => (site, FileOf(site, s_epoch.Contributions[i])))]);
        _members = [.. SecureEpoch.Sites.Select((_, i) => s_epoch.Member(i, OpeningRecord.Empty, _ => { }))];
    }

    public void Dispose()
    {
        _session.Dispose();
        _store.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact] // one that refuses, however often, is one that refuses; with two of four the sum can never be opened
    public void Hopeless_MembersThatRefuse_AreNamedAndCounted()
    {
        Advance();
        Assert.Contains("a refuses to open", Refuse("a"), StringComparison.Ordinal);
        for (int i = 0; i < 100; i++) Assert.Equal("", Refuse("a"));
        Assert.Null(_session.Hopeless(site => !_gone.Contains(site)));
        Advance();
        Assert.Equal(2, _session.SetsAsked);
        Assert.Null(_session.TaskFor("a"));
        Refuse("c"); // the second set: nobody is asked any more for the first, which a refused
        Advance();
        Assert.Equal("2 members can still answer; 3 are needed. 2 sets of members were asked, 0 gave answers that open nothing, 2 members refused.", _session.Hopeless(site => !_gone.Contains(site)));
    }

    [Fact]
    public void Hopeless_OneShareLostAndOneRefusal_IsSaid()
    {
        Advance();
        Lose("b");
        Assert.Equal("", Lose("b"));
        Assert.Null(_session.Hopeless(site => !_gone.Contains(site)));
        Advance();
        Refuse("d");
        Assert.Contains("2 members can still answer", _session.Hopeless(site => !_gone.Contains(site)), StringComparison.Ordinal);
        Assert.Equal(["b"], _session.Lost);
    }

    [Fact]
    public void Hopeless_TwoSharesLost_NamesThem()
    {
        Advance();
        Lose("c");
        Advance();
        Lose("a");
        Assert.Equal("2 members hold shares of epoch 1; 3 are needed (a, c lost theirs).", _session.Hopeless(site => !_gone.Contains(site)));
    }

    [Fact] // members that are only away may come back
    public void Hopeless_AllMembersAway_IsNotYet()
    {
        Advance();
        _gone.UnionWith(SecureEpoch.Sites);
        for (int i = 0; i < 10; i++)
        {
            _time.Advance(OpeningSession.Patience);
            Advance();
            Assert.Null(_session.Hopeless(site => !_gone.Contains(site)));
        }

        _gone.Clear();
        Assert.True(Opens());
    }

    [Fact] // nobody has refused, nothing goes on, and nothing is given up: the operator has to be told for whom it waits
    public void Missing_AMemberThatSpoilsEverySetAndOneAway_NamesTheOneThatIsAway()
    {
        _gone.Add("d");
        Assert.False(Opens(liars: ["a"])); // a, b and c were asked; there is no other set without d
        Assert.Null(_session.Hopeless(IsThere));
        Assert.Equal("Of the 3 members that are connected no 3 can be asked any more to open the evaluation of round 1 of run 'run' in epoch 1. Not connected: d.", _session.Missing(IsThere));
        _gone.Clear();
        Assert.Null(_session.Missing(IsThere));
        _gone.UnionWith(["c", "d"]);
        Assert.Contains("needs 3 members; 2 that can are connected. Not connected: c, d.", _session.Missing(IsThere), StringComparison.Ordinal);

        bool IsThere(string site) => !_gone.Contains(site);
    }

    [Fact] // all are there, and two do not want to
    public void Missing_MembersThatRefuse_AreNamedAndNobodyElse()
    {
        Advance();
        foreach (string site in new[] { "a", "b", "c" }) AskedOf(site);
        Refuse("c");
        Lose("b");
        Refuse("a");
        Assert.EndsWith("needs 3 members; 1 that can are connected. Refused: a, c. Without a share: b.", _session.Missing(_ => true), StringComparison.Ordinal);
    }

    [Fact] // one that is there owes its answer, the other is away: not a word before the last patience is over
    public void Missing_ASilentMemberThatIsThere_IsWaitedForFirst()
    {
        _gone.Add("d");
        Advance();
        _time.Advance(OpeningSession.Patience + OpeningSession.LastPatience - TimeSpan.FromSeconds(1));
        Advance();
        Assert.Null(_session.Missing(site => site != "d"));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Contains("Not connected: d.", _session.Missing(site => site != "d"), StringComparison.Ordinal);
    }

    [Fact] // one member's parts are rubbish, well signed: nobody can say whose they are; the sum is opened without it in the end
    public void Advance_OneMemberWhosePartsOpenNothing_IsOpenedWithoutIt()
    {
        Assert.True(Opens(liars: ["a"]));
        Assert.Equal(4, _session.SetsAsked); // three with a, then b, c and d
    }

    [Fact] // with two such members every set has one of them
    public void Hopeless_TwoMembersWhosePartsOpenNothing_EndsAfterAllSets()
    {
        Assert.False(Opens(liars: ["a", "d"]));
        Assert.Equal("0 members can still answer; 3 are needed. 4 sets of members were asked, 4 gave answers that open nothing, 0 members refused.", _session.Hopeless(site => !_gone.Contains(site)));
    }

    [Fact] // by another's key, for another opening, for fewer contributors, or no bytes at all: known at once to be this member's fault
    public void Receive_AnAnswerThatDoesNotHold_CountsAsARefusal()
    {
        Advance();
        Func<SignedOpeningAnswer, SignedOpeningAnswer>[] lies =
        [
            answer => answer with { Message = SignedMessage.Sign("a", s_epoch.Identity(3), answer.Message.Body.ToArray()) },
            answer => Signed("a", answer, said => said with { Opening = new("run", 1, 2, Opening.Evaluation) }),
            answer => Signed("a", answer, said => said with { Set = new byte[32] }),
            answer => answer with { Part = answer.Part[1..] },
        ];
        foreach (Func<SignedOpeningAnswer, SignedOpeningAnswer> lie in lies)
        {
            using var session = new OpeningSession(_context, "run", s_epoch.Round, s_epoch.Roster, [.. SecureEpoch.Sites.Select(site => (site, Path.Combine(_folder.FullName, site)))]);
            session.Advance(_ => true);
            string asked = session.TaskFor("a")!.RequestSha256;
            SignedOpeningAnswer given = lie(_members[0].Answer(RequestOf(asked), Seconds));
            Assert.Contains("The answer of a to the evaluation of round 1 of run 'run' in epoch 1 does not hold", session.Receive("a", Message(asked, given)), StringComparison.Ordinal);
            Assert.Null(session.TaskFor("a"));
            session.Advance(_ => true);
            Assert.NotNull(session.TaskFor("d"));
        }

        Assert.Contains("does not hold", _session.Receive("a", new V1.OpeningAnswer { RunId = "run", RequestSha256 = _session.TaskFor("a")!.RequestSha256, Answer = ByteString.CopyFromUtf8("?") }), StringComparison.Ordinal);
    }

    [Fact] // nobody that was not asked is heard
    public void Receive_FromASiteThatWasNotAsked_IsRefused()
    {
        Advance(); // a, b and c
        string asked = _session.TaskFor("a")!.RequestSha256;
        foreach (string site in new[] { "d", "nobody" }) Assert.Equal(Refusal.WrongActiveSet, Assert.Throws<ProtocolException>(() => _session.Receive(site, new V1.OpeningAnswer { RunId = "run", RequestSha256 = asked, Refusal = "No." })).Reason);
        Assert.Throws<ProtocolException>(() => _session.Receive("a", new V1.OpeningAnswer { RunId = "run", RequestSha256 = new string('0', 64), Refusal = "No." }));
    }

    [Fact] // what a member is shown when it joins: under one key its furthest answer, under another its newest
    public void Receive_AnswersOfAMember_KeepsTheOneThatShowsARestoredCopy()
    {
        Advance();
        string asked = _session.TaskFor("a")!.RequestSha256;
        OpeningMember ahead = s_epoch.Member(0, OpeningRecord.Empty, _ => { });
        SignedOpeningAnswer first = ahead.Answer(RequestOf(asked), Seconds), second = ahead.Answer(RequestOf(asked) with { Active = [1, 2, 4] }, Seconds);
        _store.KeepAnswer("a", 2, second.Message.Encode());
        _session.Receive("a", Message(asked, first));
        Assert.Equal(2, Kept().RecordCount);
        _store.KeepAnswer("a", 9, Signed("a", second, said => said with { Certificate = new byte[32], RecordCount = 9 }).Message.Encode());
        _session.Receive("a", Message(asked, first));
        Assert.Equal(1, Kept().RecordCount);

        Answer Kept() => Answer.Decode(SignedMessage.Decode(_store.KeptAnswer("a")).Body.Span);
    }

    private static IEnumerable<byte[]> Seconds => s_epoch.Contributions.Select(file =>
    {
        int half = (int)ContributionFile.BodyBytes(s_epoch.Round) / 2;
        return file[half..(2 * half)];
    });

    private static V1.OpeningAnswer Message(string asked, SignedOpeningAnswer answer) =>
        new() { RunId = "run", RequestSha256 = asked, Answer = ByteString.CopyFrom(answer.Message.Encode()), Part = ByteString.CopyFrom(answer.Part) };

    /// <summary>As a member that lies would sign it.</summary>
    private static SignedOpeningAnswer Signed(string site, SignedOpeningAnswer answer, Func<Answer, Answer> change) =>
        answer with { Message = SignedMessage.Sign(site, s_epoch.Identity(Array.IndexOf(SecureEpoch.Sites, site)), change(Answer.Decode(answer.Message.Body.Span)).Encode()) };

    private Plaintext? Advance() => _session.Advance(site => !_gone.Contains(site));

    private string Refuse(string site) => _session.Receive(site, new V1.OpeningAnswer { RunId = "run", RequestSha256 = AskedOf(site), Refusal = "No." });

    private string Lose(string site) => _session.Receive(site, new V1.OpeningAnswer { RunId = "run", RequestSha256 = AskedOf(site), ShareLost = true, Refusal = "The disk is gone." });

    /// <summary>The request that this member was sent last.</summary>
    private string AskedOf(string site) => _asked[site] = _session.TaskFor(site)?.RequestSha256 ?? _asked[site];

    /// <summary>All answer what they are asked, until nobody is asked any more.</summary>
    /// <returns>Whether the sum was opened, and is the plain one.</returns>
    private bool Opens(params string[] liars)
    {
        for (int i = 0; i < 20; i++)
        {
            if (Advance() is { } opened)
            {
                Assert.Equal(1_001_001_001ul, opened.Coefficients[0]);
                opened.Dispose();
                return true;
            }

            foreach (string site in SecureEpoch.Sites.Where(site => _session.TaskFor(site) is not null))
            {
                string asked = _session.TaskFor(site)!.RequestSha256;
                SignedOpeningAnswer given = _members[Array.IndexOf(SecureEpoch.Sites, site)].Answer(RequestOf(asked), Seconds);
                if (liars.Contains(site))
                {
                    byte[] part = [.. given.Part];
                    part[1000 + site[0]] ^= 1; // another place for each: two changes must not cancel
                    given = Signed(site, given with { Part = part }, said => said with { PartHash = SHA256.HashData(part) });
                }

                Assert.Equal("", _session.Receive(site, Message(asked, given)));
            }
        }

        return false;
    }

    private OpeningRequest RequestOf(string sha256)
    {
        using FileStream file = _context.Blobs.Open(sha256);
        byte[] bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        return OpeningRequest.Decode(bytes);
    }

    private string FileOf(string site, byte[] contribution)
    {
        string path = Path.Combine(_folder.FullName, site);
        File.WriteAllBytes(path, contribution);
        return path;
    }
}

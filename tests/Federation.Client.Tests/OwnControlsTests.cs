using Federation.Formats.Models;
using Federation.Learning;

namespace Federation.Client.Tests;

/// <summary>A site's control variate is the one after the update that the coordinator says is the newest that counts. Each question is another process's.</summary>
public sealed class OwnControlsTests : IDisposable
{
    private const string Run = "run";
    private readonly TemporaryFolder _folder = new();
    private readonly NodeFolder _node;

    public OwnControlsTests() => _node = new NodeFolder(_folder.Path);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void At_WhereNothingCounts_IsZero()
    {
        Keep(1, "", 5);
        Assert.Equal(0, At(""));
    }

    [Fact] // the round of 5 was given up, that of 6 counted: whether this process heard of either or not
    public void At_AfterAnUpdateThatCounts_IsWhatItMadeOfIt()
    {
        string first = Keep(1, "", 5), second = Keep(2, first, 6), third = Keep(3, first, 7);
        Assert.Equal(5, At(first));
        Assert.Equal(7, At(third));
        Gone(second);
        string fourth = Keep(4, third, 8);
        Gone(first);
        Assert.Equal((7, 8), (At(third), At(fourth)));
        Assert.Equal(2, Directory.EnumerateFiles(_node.Run(Run)).Count());
    }

    [Fact] // the ledger was put back, so it was trained anew; the coordinator has the one or the other
    public void Keep_ARoundASecondTime_KeepsBoth()
    {
        string first = Keep(1, "", 5), again = Keep(1, "", 6);
        Assert.Equal((5, 6), (At(first), At(again)));
        Keep(2, again, 7);
        Gone(first);
    }

    [Fact] // a coordinator that was put back: what a later round stored may be sent again
    public void Keep_OfAnEarlierRound_LeavesTheLaterOnes()
    {
        string first = Keep(1, "", 5), second = Keep(2, first, 6);
        Keep(1, "", 7);
        Assert.Equal((5, 6), (At(first), At(second)));
    }

    [Fact]
    public void Forget_LeavesNothing()
    {
        Keep(1, "", 5);
        New().Forget(Run);
        Assert.Empty(Directory.EnumerateFiles(_node.Run(Run)));
    }

    private string Keep(int round, string counted, float value)
    {
        string update = ((int)value).ToString("x64");
        New().Keep(Run, round, counted, update, Of(value));
        return update;
    }

    private void Gone(string update) => Assert.Contains("Submit the run anew", Assert.Throws<LearningException>(() => At(update)).Message, StringComparison.Ordinal);

    private float At(string counted) => New().At(Run, counted, Of(1)).Tensors[0].Values[0];

    private OwnControls New() => new(_node);

    private static ModelState Of(float value) => new([new NamedTensor("w", [1], [value])]);
}

using Federation.Formats;
using Federation.Privacy.SecureAggregation;

namespace Federation.Client.Tests;

/// <summary>Of a problem with a line the outside hears file and column, once; of others all but paths and what the file holds.</summary>
public sealed class SiteWordsTests
{
    [Fact]
    public void Of_ProblemsOfRows_NamesEachColumnOnceWithoutLineValueOrCount() => Assert.Equal(
        ["table.csv: age: A value there does not fit the schema.", "table.csv: A row does not fit the schema."],
        SiteWords.Of(new InvalidInputException([
            new Problem("'63y' is no number.", "/records/table.csv", 17, "age", "Write 63y as 63."),
            new Problem("'64y' is no number.", "/records/table.csv", 18, "age"),
            new Problem("… and 200 more problems.", "/records/table.csv", 19),
        ])));

    [Fact]
    public void Of_OtherProblems_KeepsAllButPathsAndRepairsFromTheFile() => Assert.Equal(
        ["This node has no data set 'x'. Its node.yaml names 'y'.", "table.csv: age: The column is missing.", "table.csv: The file cannot be read: table.csv is locked."],
        SiteWords.Of(new InvalidInputException([
            new Problem("This node has no data set 'x'.", Repair: "Its node.yaml names 'y'."),
            new Problem("The column is missing.", "/records/table.csv", Field: "age", Repair: "Known: 63, red."),
            new Problem("The file cannot be read: /records/table.csv is locked.", "/records/table.csv"),
        ])));

    [Fact] // a private run's failures say nothing of what the records did
    public void Of_WhatGoesWrongInAPrivateRun_IsOneSentenceButForRefusals()
    {
        foreach (Exception error in new Exception[] { new Learning.LearningException("A weight is not finite."), new InvalidInputException(new Problem("'63y' is no number.", "/records/table.csv", 17, "age")), new ArgumentException("303 rows"), new FormatException("x") })
        {
            Assert.Equal(["This site could not do it; its log says why."], SiteWords.Of(error, isPrivate: true));
        }

        Assert.Equal(["in the clear"], SiteWords.Of(new ProtocolException(Refusal.AnotherOpening, "in the clear"), isPrivate: true));
    }

    [Fact]
    public void Of_ARefusal_IsItsSentence() => Assert.Equal(["in the clear"], SiteWords.Of(new ProtocolException(Refusal.AnotherOpening, "in the clear")));
}

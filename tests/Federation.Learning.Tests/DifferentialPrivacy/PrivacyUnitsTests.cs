using CsCheck;
using Federation.Learning.DifferentialPrivacy;
using Federation.Privacy.Mechanisms;

namespace Federation.Learning.Tests.DifferentialPrivacy;

public sealed class PrivacyUnitsTests
{
    [Fact]
    public void Batches_AnyKeys_HoldEachPersonWholeWithinTheBound() =>
        Gen.Select(Gen.Int[0, 12].Array[1, 60], Gen.Int[1, 5], Gen.Int[1, 30]).Sample((people, most, physical) =>
        {
            using SecureRandom random = new();
            PrivacyUnits units = PrivacyUnits.ByKey([.. people.Select(person => $"p{person}")], most);
            string[] names = [.. people.Select(person => $"p{person}").Distinct()];
            Assert.Equal(names.Length, units.Count);
            HashSet<int> met = [];
            int first = 0;
            foreach (PrivateBatch batch in units.Batches([.. Enumerable.Range(0, units.Count)], physical, random))
            {
                Assert.Equal(batch.Records.Count, batch.Records.Distinct().Count());
                long[] unitOf = batch.Units.Index(TorchSharp.torch.CPU).data<long>().ToArray();
                for (int unit = 0; unit < batch.Units.Count; unit++)
                {
                    int[] places = [.. Enumerable.Range(0, unitOf.Length).Where(i => unitOf[i] == unit)];
                    string name = names[first + unit];
                    Assert.All(places, i => Assert.Equal(name, $"p{people[batch.Records[i]]}"));
                    Assert.Equal(Math.Min(most, people.Count(person => $"p{person}" == name)), places.Length);
                    Assert.Equal(1, places.Sum(i => batch.Weights![i]), 1e-5); // a mean
                    Assert.True(met.Add(first + unit));
                }

                Assert.True(batch.Units.Count == 1 || batch.Records.Count <= physical);
                first += batch.Units.Count;
            }

            Assert.Equal(units.Count, met.Count);
        }, iter: 100, threads: 1);

    [Fact] // false alarms: 1 in a million
    public void Batches_PersonWithManyRecords_DrawsThemAnewAndEvenly()
    {
        using SecureRandom random = new();
        PrivacyUnits units = PrivacyUnits.ByKey([.. Enumerable.Repeat("p", 5)], 2);
        double[] drawn = new double[5];
        const int Steps = 5000;
        for (int i = 0; i < Steps; i++)
        {
            foreach (long record in units.Batches([0], 100, random).Single().Records) drawn[record]++;
        }

        Assert.All(drawn, count => Assert.Equal(Steps * 0.4, count, 5.1 * Math.Sqrt(Steps * 0.24)));
    }

    [Fact]
    public void ByKey_EmptyKey_IsRefusedByRecord()
    {
        Assert.Contains("Record 1 has no key", Assert.Throws<ArgumentException>(() => PrivacyUnits.ByKey(["a", ""], 1)).Message, StringComparison.Ordinal);
        Assert.Equal(0, PrivacyUnits.ByKey([], 1).Count);
        Assert.Throws<ArgumentOutOfRangeException>(() => PrivacyUnits.ByKey(["a"], 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => PrivacyUnits.Records(-1));
    }
}

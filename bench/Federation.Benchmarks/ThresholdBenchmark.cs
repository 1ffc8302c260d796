using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using Federation.Privacy.Canonical;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;

namespace Federation.Benchmarks;

/// <summary>An epoch's key generation, all members and the coordinator one after another on one thread, and one member's answer to an opening: medians of five after one that warms up.</summary>
internal static class ThresholdBenchmark
{
    private const int Passes = 5;

    public static int Run(string[] args)
    {
        int members = 10, threshold = 7, contributors = 10;
        for (int i = 0; i < args.Length; i += 2)
        {
            if (i + 1 == args.Length || !int.TryParse(args[i + 1], out int value) || value < 2 || args[i] is not ("--members" or "--threshold" or "--contributors"))
            {
                Console.Error.WriteLine($"'{args[i]}' is not an option: --members k --threshold t --contributors n, numbers from 2 on.");
                return 2;
            }

            if (args[i] == "--members") members = value;
            else if (args[i] == "--threshold") threshold = value;
            else contributors = value;
        }

        string[] names = [.. Enumerable.Range(1, Math.Max(members, contributors)).Select(i => $"site-{i}")];
        ECDsa[] identities = [.. names.Select(_ => ECDsa.Create(ECCurve.NamedCurves.nistP256))];
        Roster roster = new(1, "", names.Zip(identities, (name, identity) => KeyValuePair.Create(name, Sha256Hex.Of(identity.ExportSubjectPublicKeyInfo()))));
        CommitteePolicy policy = new(lyingOrRestored: 0);
        using SecureRandom random = new();
        List<double> epochs = [], openings = [];
        for (int pass = 0; pass <= Passes; pass++)
        {
            EpochDescriptor descriptor = new(roster.Hash, 1, (ulong)pass, threshold, names[..members]);
            long start = Stopwatch.GetTimestamp();
            (EpochCertificate certificate, CommitteeShare[] shares) = MadeEpoch.Of(descriptor, roster, policy, identities[..members], random);
            double epoch = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            (OpeningRequest request, List<byte[]> seconds) = Request(certificate, names[..contributors], identities, random);
            OpeningMember member = new(certificate, shares[0], roster, policy, identities[0], random, OpeningRecord.Empty, _ => { });
            start = Stopwatch.GetTimestamp();
            member.Answer(request, seconds);
            double opening = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            foreach (CommitteeShare share in shares) share.Dispose();
            if (pass == 0) continue;
            epochs.Add(epoch);
            openings.Add(opening);
        }

        Console.WriteLine($"{Measured.Machine()}; milliseconds");
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{$"key generation, k = {members}, t = {threshold}, all members",-58}{epochs.Order().ElementAt(Passes / 2),10:F1}"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{$"a member's opening of {contributors} contributions",-58}{openings.Order().ElementAt(Passes / 2),10:F1}"));
        return 0;
    }

    private static (OpeningRequest Request, List<byte[]> Seconds) Request(EpochCertificate certificate, string[] names, ECDsa[] identities, SecureRandom random)
    {
        BfvParameters parameters = certificate.Descriptor.Parameters;
        Opening opening = new("bench", certificate.Descriptor.Epoch, 1, Opening.Update);
        RoundDescriptor round = new(new byte[32], new byte[32], names, CommitteePolicy.FewestContributors, 0, WeightRule.One, new byte[32], null);
        using ManagedBfvEngine engine = new(parameters, random);
        using Plaintext plaintext = new(parameters, [1, 2, 3]);
        List<SignedMessage> contributions = [];
        List<byte[]> seconds = [];
        for (int i = 0; i < names.Length; i++)
        {
            Ciphertext key = engine.Encrypt(plaintext, certificate.Key);
            ContributionHeader header = new(opening, names[i], round.Hash(), certificate.Hash, new byte[32], PackedElement.Hash(key.Ring, key.First), PackedElement.Hash(key.Ring, key.Second));
            contributions.Add(SignedMessage.Sign(names[i], identities[i], header.Encode()));
            seconds.Add(PackedElement.Pack(key.Ring, key.Second));
        }

        return (new(opening, round, contributions, [.. certificate.Qualified.Take(certificate.Descriptor.Threshold)]), seconds);
    }
}

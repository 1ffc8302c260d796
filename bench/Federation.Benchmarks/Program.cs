using BenchmarkDotNet.Running;
using Federation.Benchmarks;
using Federation.Benchmarks.Load;

// Whole measurements print a table and need no more than this process; `kernels` hands over to BenchmarkDotNet.
return args switch
{
    ["accounting", .. var rest] => AccountingBenchmark.Run(rest),
    ["noise"] => NoiseBenchmark.Run(),
    ["ledger"] => LedgerBenchmark.Run(),
    ["bfv"] => BfvBenchmark.Run(),
    ["ntt"] => TransformBenchmark.Run(),
    ["threshold", .. var rest] => ThresholdBenchmark.Run(rest),
    ["timing", .. var rest] => TimingBenchmark.Run(rest),
    ["secagg", .. var rest] => await SecureAggregationBenchmark.Run(rest),
    ["secagg-round", .. var rest] => await SecureRoundBenchmark.Run(rest),
    ["dpsgd", .. var rest] => DpSgdBenchmark.Run(rest),
    ["mnist", .. var rest] => MnistBenchmark.Run(rest),
    ["server-load", .. var rest] => await ServerLoadBenchmark.Run(rest),
    [CoordinatorProcess.Verb, var folder] => await CoordinatorProcess.RunAsync(folder),
    [LoadNodes.Verb, var folder, var coordinator, var parameters] => await LoadNodes.RunAsync(folder, new Uri(coordinator), int.Parse(parameters, System.Globalization.CultureInfo.InvariantCulture)),
    ["kill", .. var rest] => await KillBenchmark.Run(rest),
    ["kernels", .. var rest] => Kernels(rest),
    _ => Usage(),
};

static int Kernels(string[] args)
{
    BenchmarkSwitcher.FromAssembly(typeof(AccountingBenchmark).Assembly).Run(args);
    return 0;
}

static int Usage()
{
    Console.Error.WriteLine("""
        bench accounting [--reference FOLDER] [--python python3]   PLD ε and a batch of 100; FOLDER holds Google's dp_accounting package
        bench noise                                                25 million discrete Gaussian values on one core
        bench ledger                                               an append to a ledger of 100,000 events
        bench bfv                                                  encrypt, decrypt, add at N = 8192 beside real SEAL (npm ci in tests/seal)
        bench ntt                                                  one number-theoretic transform of N = 2048 and 8192, every width
        bench threshold [--members 10] [--threshold 7] [--contributors 10]   key generation of an epoch, a member's opening
        bench timing [--samples 10000]                             whether the time of BFV depends on plaintexts and keys: Welch's t
        bench secagg [--parameters N] [--cohort n] [--threads T] [--json]   an update encoded, encrypted, added, opened; without rotation and noise
        bench secagg-round [--parameters N] [--nodes n] [--bits b]   one whole secure round over gRPC on loopback
        bench dpsgd [--model mlp|cnn|resnet18] [--batch N] [--optimizer sgd|adam] [--threads T] [--physical N] [--steps N] [--json]   a DP-SGD step beside the plain one
        bench mnist [--epsilon 3] [--batch 8192] [--epochs 100] [--clip 0.1] [--rate 10] [--tanh 0|1] [--sites N] [--validate] [--json]   DP-SGD to (ε, δ) on FED_DATA/mnist, accuracy
        bench server-load [--nodes 1000] [--rounds 20] [--selected 100] [--parameters 1000] [--secure-aggregation none|threshold-bfv] [--processes n] [--json]   rounds without training over mutual TLS: time, memory, calls
        bench kill [--count 200] [--rounds 20] [--seed 1] [--json]   coordinator and nodes killed at random moments of secure runs: are the models the same bytes?
        bench kernels [BenchmarkDotNet's options]
        """);
    return 2;
}

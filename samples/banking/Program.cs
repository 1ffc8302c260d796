using Federation.Samples;
using Federation.Samples.Banking;
using Federation.Samples.Banking.Tuning;

return await SampleProgram.RunAsync(args, async cancellationToken =>
{
    SampleOptions options = SampleOptions.Parse(args, BankingSample.Name);
    if (options.Help) Console.WriteLine(BankingSample.Usage);
    else if (options.Tune) await BankingTuning.RunAsync(options, cancellationToken);
    else await BankingSample.RunAsync(options, cancellationToken);
});

return await Federation.Cli.CommandLine.FedCommand.RunAsync(args);

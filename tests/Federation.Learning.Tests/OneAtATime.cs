// Torch has one generator for the process, and its short-lived scalars may be freed by a collection that another test causes.
[assembly: Xunit.v3.Parallelization(Mode = Xunit.Sdk.ParallelMode.None)]

using Federation.Formats.Evaluation;
using Federation.Formats.Runs;
using Federation.Privacy.Canonical;
using Federation.Privacy.Ledger;
using Federation.Privacy.SecureAggregation;
using Google.Protobuf;

namespace Federation.Protocol;

/// <summary>Domain types to and from messages. What comes from the network is checked here.</summary>
public static class Wire
{
    // Sums over all sites must stay finite whatever one site says.
    private const ulong MostExamples = 1UL << 40;
    private const double WorstLoss = 1e9; // an example; far above what a probability of 1e-15 gives (34.5), for programs that report a loss of their own

    /// <exception cref="Grpc.Core.RpcException">Counts or sums contradict each other, or a value is not finite.</exception>
    public static EvaluationSums ToDomain(this V1.EvaluationSums message)
    {
        Require(message.Examples <= MostExamples, "examples", $"{message.Examples} examples are not allowed; at most {MostExamples} are.");
        Require(message.Correct <= message.Examples, "correct", $"{message.Correct} of {message.Examples} examples cannot be correct.");
        Require(message.LogLossSum >= 0 && message.LogLossSum <= WorstLoss * message.Examples, "log_loss_sum", $"{message.LogLossSum} is no sum of losses; 0 to {WorstLoss} an example are right.");
        Require(message.BrierSum >= 0 && message.BrierSum <= WorstLoss * message.Examples, "brier_sum", $"{message.BrierSum} is no sum of Brier scores; 0 to {WorstLoss} an example are right.");
        int negative = message.NegativeHistogram.Count, positive = message.PositiveHistogram.Count;
        Require((negative, positive) is (0, 0) or (EvaluationSums.Bins, EvaluationSums.Bins), "negative_histogram", $"Histograms have {negative} and {positive} bins; {EvaluationSums.Bins} each, or none, are right.");
        if (negative > 0)
        {
            UInt128 counted = 0;
            foreach (ulong count in message.NegativeHistogram.Concat(message.PositiveHistogram)) counted += count;
            Require(counted == message.Examples, "negative_histogram", $"The histograms count {counted} examples and the message {message.Examples}.");
        }

        return new EvaluationSums
        {
            Examples = message.Examples,
            Correct = message.Correct,
            LogLossSum = message.LogLossSum,
            BrierSum = message.BrierSum,
            NegativeHistogram = [.. message.NegativeHistogram],
            PositiveHistogram = [.. message.PositiveHistogram],
        };
    }

    public static V1.EvaluationSums ToMessage(this EvaluationSums sums) => new()
    {
        Examples = sums.Examples,
        Correct = sums.Correct,
        LogLossSum = sums.LogLossSum,
        BrierSum = sums.BrierSum,
        NegativeHistogram = { sums.NegativeHistogram },
        PositiveHistogram = { sums.PositiveHistogram },
    };

    public static Metrics ToDomain(this V1.Metrics message) =>
        new(message.Examples, message.Accuracy, message.HasAuc ? message.Auc : null, message.HasLogLoss ? message.LogLoss : null, message.HasBrier ? message.Brier : null);

    public static V1.Metrics ToMessage(this Metrics metrics)
    {
        var message = new V1.Metrics { Examples = metrics.Examples, Accuracy = metrics.Accuracy };
        if (metrics.Auc is { } auc) message.Auc = auc;
        if (metrics.LogLoss is { } logLoss) message.LogLoss = logLoss;
        if (metrics.Brier is { } brier) message.Brier = brier;
        return message;
    }

    /// <exception cref="Grpc.Core.RpcException">The head is malformed, or not signed by the key in it.</exception>
    public static LedgerHead ToDomain(this V1.LedgerHead message)
    {
        LedgerHead head = new(message.LedgerId, message.DataSet, (long)Math.Min(message.Count, long.MaxValue), message.Hash, [.. message.Divergences], message.StatisticalDistance, message.PublicKey.ToByteArray(), message.Signature.ToByteArray());
        Require(message.Divergences.Count <= 1000 && message.PublicKey.Length <= 1000 && head.IsAuthentic(), "ledger_head", "This is no signed head of a privacy ledger.");
        return head;
    }

    public static V1.LedgerHead ToMessage(this LedgerHead head) => new()
    {
        LedgerId = head.LedgerId,
        DataSet = head.DataSet,
        Count = (ulong)head.Count,
        Hash = head.Hash,
        Divergences = { head.Divergences },
        StatisticalDistance = head.StatisticalDistance,
        PublicKey = ByteString.CopyFrom(head.PublicKey),
        Signature = ByteString.CopyFrom(head.Signature),
    };

    /// <param name="message">Null: what an older program sent, which signs nothing.</param>
    /// <exception cref="Grpc.Core.RpcException">A hash, nonce, key or signature has no such form.</exception>
    public static SignedSubmission ToDomain(this V1.RunSubmission? message)
    {
        if (message is null) return new("", [], null, []);
        Require(message.InitialModelSha256.Length == 0 || Sha256Hex.IsValid(message.InitialModelSha256), "submission.initial_model_sha256", "The initial model's hash is no SHA-256 in lower-case hex.");
        Require(message.Nonce.Length is 0 or SignedSubmission.NonceBytes, "submission.nonce", $"The nonce has {message.Nonce.Length} bytes; {SignedSubmission.NonceBytes}, or none, are right.");
        Require(message.Approvals.Count <= SignedSubmission.MostApprovals, "submission.approvals", $"{message.Approvals.Count} signatures are too many; {SignedSubmission.MostApprovals} at most are right.");
        return new(message.InitialModelSha256, message.Nonce.ToByteArray(), message.Submitter?.ToDomain(), [.. message.Approvals.Select(ToDomain)]);
    }

    public static V1.RunSubmission ToMessage(this SignedSubmission submission) => new()
    {
        InitialModelSha256 = submission.InitialModelSha256,
        Nonce = ByteString.CopyFrom(submission.Nonce),
        Submitter = submission.Submitter?.ToMessage(),
        Approvals = { submission.Approvals.Select(ToMessage) },
    };

    /// <exception cref="Grpc.Core.RpcException">The key or the signature has another length.</exception>
    public static RunSignature ToDomain(this V1.KeySignature message)
    {
        Require(message.PublicKey.Length == P256Key.Bytes && message.Signature.Length == RunSignature.SignatureBytes, "signature", $"A key of {message.PublicKey.Length} and a signature of {message.Signature.Length} bytes are none of P-256; {P256Key.Bytes} and {RunSignature.SignatureBytes} are right.");
        return new(message.PublicKey.ToByteArray(), message.Signature.ToByteArray());
    }

    public static V1.KeySignature ToMessage(this RunSignature signature) => new() { PublicKey = ByteString.CopyFrom(signature.PublicKey), Signature = ByteString.CopyFrom(signature.Signature) };

    private static void Require(bool holds, string field, string message)
    {
        if (!holds) throw RpcError.Refuse(Grpc.Core.StatusCode.InvalidArgument, Protocol.Refusal.Invalid, message, field);
    }
}

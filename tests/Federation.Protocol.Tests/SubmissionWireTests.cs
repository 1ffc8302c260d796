using System.Security.Cryptography;
using CsCheck;
using Federation.Formats.Runs;
using Google.Protobuf;
using Grpc.Core;

namespace Federation.Protocol.Tests;

/// <summary>What is signed of a run on its way: the same on the other side, or refused.</summary>
public sealed class SubmissionWireTests
{
    private static readonly string s_hash = new('a', 64);

    [Fact]
    public void ToDomain_OwnMessage_IsTheSame()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        SignedSubmission made = SignedSubmission.Make(s_hash, "name: x", "", s_hash, key) with { Approvals = [RunSignature.Of(key, [1]), RunSignature.Of(key, [2])] };
        SignedSubmission back = made.ToMessage().ToDomain();
        Assert.Equal(made.ToMessage(), back.ToMessage());
        Assert.Equal(made.ToSign(s_hash, "name: x", ""), back.ToSign(s_hash, "name: x", ""));
        SignedSubmission none = ((V1.RunSubmission?)null).ToDomain();
        Assert.Equal(("", 0, null, 0), (none.InitialModelSha256, none.Nonce.Length, none.Submitter, none.Approvals.Count));
    }

    public static TheoryData<string, Action<V1.RunSubmission>> Wrong => new()
    {
        { "initial_model_sha256", message => message.InitialModelSha256 = "../model" },
        { "nonce", message => message.Nonce = ByteString.CopyFrom(new byte[31]) },
        { "signature", message => message.Submitter = new V1.KeySignature() },
        { "signature", message => message.Approvals.Add(new V1.KeySignature { PublicKey = ByteString.CopyFrom(new byte[91]), Signature = ByteString.CopyFrom(new byte[65]) }) },
        { "approvals", message => message.Approvals.Add(Enumerable.Repeat(new V1.KeySignature { PublicKey = ByteString.CopyFrom(new byte[91]), Signature = ByteString.CopyFrom(new byte[64]) }, SignedSubmission.MostApprovals + 1)) },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void ToDomain_AWrongField_IsRefusedByName(string field, Action<V1.RunSubmission> change)
    {
        var message = new V1.RunSubmission { InitialModelSha256 = s_hash, Nonce = ByteString.CopyFrom(new byte[32]) };
        change(message);
        RpcException error = Assert.Throws<RpcException>(() => message.ToDomain());
        Assert.Equal(StatusCode.InvalidArgument, error.StatusCode);
        Assert.EndsWith(field, RpcError.Describe(error)[0].Field, StringComparison.Ordinal);
    }

    [Fact] // any bytes, and any fields of any length
    public void ToDomain_AnyBytes_GiveASubmissionOrARefusal() => Gen.Select(Gen.Byte.Array[0, 400], Gen.String, Gen.Byte.Array[0, 40], Gen.Byte.Array[80, 100], Gen.Byte.Array[60, 70], Gen.Int[0, 70]).Sample((bytes, hash, nonce, key, signature, count) =>
    {
        try
        {
            Check(V1.RunSubmission.Parser.ParseFrom(bytes));
        }
        catch (InvalidProtocolBufferException)
        {
            // no message at all
        }

        var part = new V1.KeySignature { PublicKey = ByteString.CopyFrom(key), Signature = ByteString.CopyFrom(signature) };
        Check(new V1.RunSubmission { InitialModelSha256 = hash, Nonce = ByteString.CopyFrom(nonce), Submitter = part, Approvals = { Enumerable.Repeat(part, count) } });
    });

    private static void Check(V1.RunSubmission message)
    {
        try
        {
            SignedSubmission submission = message.ToDomain();
            Assert.True(submission.Nonce.Length is 0 or SignedSubmission.NonceBytes && submission.Approvals.Count <= SignedSubmission.MostApprovals);
            Assert.False(submission.Submitter?.Signs(submission.ToSign(s_hash, "", "")) == true);
        }
        catch (RpcException refused)
        {
            Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
        }
    }
}

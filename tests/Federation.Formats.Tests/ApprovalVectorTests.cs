using System.Security.Cryptography;
using System.Text.Json;
using CsCheck;
using Federation.Formats.Runs;
using Federation.Privacy.Canonical;

namespace Federation.Formats.Tests;

/// <summary>The bytes of a run that are signed, against vectors of an independent program; and no other bytes are.</summary>
public sealed class ApprovalVectorTests
{
    private const string Spec = "name: x\nrounds: 3\n", Schema = "name: s\n";
    private static readonly string s_federation = Sha256Hex.Of("federation"u8), s_model = Sha256Hex.Of("model"u8);

    public static TheoryData<int> Indices => [.. Enumerable.Range(0, Vectors().Count)];

    [Theory]
    [MemberData(nameof(Indices))]
    public void Submission_PublishedRun_GivesPublishedBytesAndVerifies(int index)
    {
        JsonElement vector = Vectors()[index];
        string Text(string name) => vector.GetProperty(name).GetString()!;
        byte[] Bytes(string name) => Convert.FromHexString(Text(name));
        SignedSubmission submission = new(Text("initialModel"), Bytes("nonce"), new(Bytes("submitterKey"), Bytes("submitterSignature")), [new(Bytes("cosignerKey"), Bytes("cosignerSignature"))]);
        byte[] signed = submission.ToSign(Text("federation"), Text("spec"), Text("schema")), approved = SignedSubmission.ToApprove(signed);

        Assert.Equal(Text("specSha256"), submission.SpecSha256(Text("spec"), Text("schema")));
        Assert.Equal((Text("submission"), Text("approval")), (Convert.ToHexStringLower(signed), Convert.ToHexStringLower(approved)));
        Assert.Equal(Text("submitterKeySha256"), submission.Submitter!.KeySha256);
        Assert.True(submission.Submitter.Signs(signed) && submission.Approvals[0].Signs(approved));
        Assert.False(submission.Submitter.Signs(approved) || submission.Approvals[0].Signs(signed)); // one stands for the other nowhere
    }

    [Fact] // a flipped bit of the spec, the schema, the model's or the federation's hash, the nonce, the key, the signature
    public void Signature_AnyByteChanged_IsWrong()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        SignedSubmission submission = SignedSubmission.Make(s_federation, Spec, Schema, s_model, key);
        Assert.True(submission.Submitter!.Signs(submission.ToSign(s_federation, Spec, Schema)));
        Gen.Select(Gen.Int[0, 6], Gen.Int[0, 1000], Gen.Int[1, 127]).Sample((what, at, flip) =>
        {
            string Text(int which, string text) => what != which ? text : string.Concat(text.Select((c, i) => i == at % text.Length ? (char)(c ^ flip) : c));
            byte[] Changed(int which, byte[] bytes) => what != which ? bytes : [.. bytes.Select((b, i) => i == at % bytes.Length ? (byte)(b ^ flip) : b)];
            SignedSubmission other = submission with
            {
                InitialModelSha256 = Text(2, s_model),
                Nonce = Changed(4, submission.Nonce),
                Submitter = new(Changed(5, submission.Submitter.PublicKey), Changed(6, submission.Submitter.Signature)),
            };
            Assert.False(other.Submitter.Signs(other.ToSign(Text(3, s_federation), Text(0, Spec), Text(1, Schema))));
            Assert.Equal(what is 0 or 1 or 2, other.SpecSha256(Text(0, Spec), Text(1, Schema)) != submission.SpecSha256(Spec, Schema));
        });
    }

    [Fact] // any key, any signature: an answer, never an exception
    public void Signs_AnyBytes_SaysNo() =>
        Gen.Select(Gen.Byte.Array[0, 200], Gen.Byte.Array[0, 100], Gen.Bool).Sample((key, signature, formed) =>
        {
            byte[] prefix = Convert.FromHexString("3059301306072a8648ce3d020106082a8648ce3d03010703420004");
            if (formed) key = [.. prefix, .. key, .. new byte[64]];
            Assert.False(new RunSignature(formed ? key[..91] : key, signature.Length > 50 ? [.. signature, .. new byte[64]] : signature).Signs("x"u8.ToArray()));
            Assert.False(new RunSignature(formed ? key[..91] : key, new byte[64]).Signs("x"u8.ToArray()));
        });

    [Fact]
    public void Make_Twice_GivesTwoSubmissionsOfOneSpec()
    {
        SignedSubmission first = SignedSubmission.Make(s_federation, Spec, Schema, s_model, null), second = SignedSubmission.Make(s_federation, Spec, Schema, s_model, null);
        Assert.Equal(first.SpecSha256(Spec, Schema), second.SpecSha256(Spec, Schema));
        Assert.NotEqual(first.ToSign(s_federation, Spec, Schema), second.ToSign(s_federation, Spec, Schema));
        Assert.Null(first.Submitter);
    }

    private static List<JsonElement> Vectors() =>
        [.. JsonDocument.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "vectors.json"))).RootElement.GetProperty("runs").EnumerateArray()];
}

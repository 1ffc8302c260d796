using CsCheck;
using Federation.Formats;
using Federation.Protocol.Identity;

namespace Federation.Protocol.Tests;

public sealed class InvitationTokenTests
{
    private static readonly string CaHash = new('a', 64);

    [Fact]
    public void Parse_RevealedToken_GivesTheSame()
    {
        InvitationToken token = InvitationToken.Create("cleveland", CaHash);
        InvitationToken parsed = InvitationToken.Parse(token.Reveal() + "\n");
        Assert.Equal(("cleveland", CaHash, token.SecretSha256), (parsed.Site, parsed.CaSpkiSha256, parsed.SecretSha256));
    }

    [Fact]
    public void Create_Twice_GivesDifferentSecrets() =>
        Assert.NotEqual(InvitationToken.Create("va", CaHash).SecretSha256, InvitationToken.Create("va", CaHash).SecretSha256);

    [Fact]
    public void ToString_Token_HidesTheSecret()
    {
        InvitationToken token = InvitationToken.Create("va", CaHash);
        Assert.DoesNotContain(token.Reveal().Split('.')[2], token.ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("fed2.va.AAAAAAAAAAAAAAAAAAAAAA.qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo")]
    [InlineData("fed1.VA.AAAAAAAAAAAAAAAAAAAAAA.qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo")]
    [InlineData("fed1.va.AAAA.qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo")]
    [InlineData("fed1.va.AAAAAAAAAAAAAAAAAAAAAA.short")]
    [InlineData("fed1.va.AAAAAAAAAAAAAAAAAAAAAB.qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo")]
    public void Parse_NoToken_SaysWhatATokenIs(string text)
    {
        var error = Assert.Throws<InvalidInputException>(() => InvitationToken.Parse(text));
        Assert.Contains("fed site invite", error.Message);
    }

    [Fact] // Any text, and any token with one character changed
    public void Parse_AnyText_GivesTokenOrInvalidInput() =>
        Gen.Select(Gen.String, Gen.Int[0, 80], Gen.Char).Sample((text, at, c) =>
        {
            char[] changed = InvitationToken.Create("va", CaHash).Reveal().ToCharArray();
            changed[at % changed.Length] = c;
            foreach (string candidate in new[] { text, new string(changed) })
            {
                try
                {
                    Assert.Equal(candidate.Trim(), InvitationToken.Parse(candidate).Reveal());
                }
                catch (InvalidInputException)
                {
                    // refused, as it should be
                }
            }
        });
}

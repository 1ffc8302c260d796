using Federation.Protocol.Identity;

namespace Federation.Protocol.Tests;

public sealed class OperatorTokenTests
{
    private static readonly string Ca = new('a', 64);

    [Fact]
    public void TryParse_WhatCreateMade_IsTheSame()
    {
        OperatorToken token = OperatorToken.Create("ann", Ca);
        OperatorToken read = OperatorToken.TryParse($" {token.Reveal()}\n")!;
        Assert.Equal(("ann", Ca, token.SecretSha256), (read.Name, read.CaSpkiSha256, read.SecretSha256));
        Assert.NotEqual(token.SecretSha256, OperatorToken.Create("ann", Ca).SecretSha256);
        Assert.DoesNotContain(token.Reveal().Split('.')[2], $"{token}", StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("fedop1")]
    [InlineData("fedop1...")]
    [InlineData("fedop2.{1}.{2}.{3}")]
    [InlineData("fedop1.Ann.{2}.{3}")]
    [InlineData("fedop1.../a.{2}.{3}")]
    [InlineData("fedop1.{1}.{2}.{3}.more")]
    [InlineData("fedop1.{1}.{2}x.{3}")]
    [InlineData("fedop1.{1}.{3}")]
    [InlineData("fed1.{1}.{2}.{3}")]
    public void TryParse_AnythingElse_IsNone(string form)
    {
        string[] parts = OperatorToken.Create("ann", Ca).Reveal().Split('.');
        Assert.Null(OperatorToken.TryParse(form.Replace("{1}", parts[1], StringComparison.Ordinal).Replace("{2}", parts[2], StringComparison.Ordinal).Replace("{3}", parts[3], StringComparison.Ordinal)));
    }
}

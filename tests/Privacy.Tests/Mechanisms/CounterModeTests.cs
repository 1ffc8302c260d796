using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.Tests.Mechanisms;

public sealed class CounterModeTests
{
    // NIST SP 800-38A, F.5.1 and F.5.5: the counter block f0f1…feff, so stream 0xf7f6…f1f0 from block 0xf8f9…ff on.
    [Theory]
    [InlineData("2b7e151628aed2a6abf7158809cf4f3c", "ec8cdf7398607cb0f2d21675ea9ea1e4362b7c3c6773516318a077d7fc5073ae6a2cc3787889374fbeb4c81b17ba6c44e89c399ff0f198c6d40a31db156cabfe")]
    [InlineData("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", "0bdf7df1591716335e9a8b15c860c5025a6e699d536119065433863c8f657b94" + "1bc12c9c01610d5d0d8bd6a3378eca62" + "2956e1c8693536b1bee99c73a31576b6")]
    public void Fill_TheStandardsExample_GivesItsOutputBlocks(string key, string expected)
    {
        using CounterMode mode = new(Convert.FromHexString(key));
        byte[] output = new byte[64];
        mode.Fill(0xf7f6f5f4f3f2f1f0, 0xf8f9fafbfcfdfeff, output);
        Assert.Equal(expected, Convert.ToHexStringLower(output));
    }

    [Fact]
    public void Fill_InPieces_GivesTheSameBytes()
    {
        using CounterMode mode = new(new byte[16]);
        byte[] whole = new byte[50_000], piece = new byte[1601];
        mode.Fill(7, 0, whole);
        mode.Fill(7, 1200, piece);
        Assert.Equal(whole[(1200 * 16)..((1200 * 16) + piece.Length)], piece);
    }
}

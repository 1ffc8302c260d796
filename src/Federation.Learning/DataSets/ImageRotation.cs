namespace Federation.Learning.DataSets;

/// <summary>Turns an image about its centre, bilinear; what comes from outside is the value of the image's corner, top left, of its channel.</summary>
internal static class ImageRotation
{
    /// <param name="image">[channels, height, width], changed in place.</param>
    /// <param name="degrees">From the right to the top, as angles are counted.</param>
    public static void Rotate(Span<float> image, int channels, int height, int width, double degrees)
    {
        (double sin, double cos) = Math.SinCos(degrees * Math.PI / 180);
        double middleY = (height - 1) / 2.0, middleX = (width - 1) / 2.0;
        float[] source = new float[height * width];
        for (int channel = 0; channel < channels; channel++)
        {
            Span<float> plane = image.Slice(channel * source.Length, source.Length);
            plane.CopyTo(source);
            for (int i = 0; i < source.Length; i++)
            {
                // Where this pixel was: turned back. Rows count downwards.
                double x = (i % width) - middleX, y = (i / width) - middleY;
                plane[i] = Value(source, height, width, (sin * x) + (cos * y) + middleY, (cos * x) - (sin * y) + middleX);
            }
        }
    }

    private static float Value(float[] plane, int height, int width, double y, double x)
    {
        // Beyond rounding, a quarter turn is exact.
        (y, x) = (Math.Round(y, 9), Math.Round(x, 9));
        int top = (int)Math.Floor(y), left = (int)Math.Floor(x);
        double down = y - top, right = x - left;
        return (float)((((At(top, left) * (1 - right)) + (At(top, left + 1) * right)) * (1 - down)) + (((At(top + 1, left) * (1 - right)) + (At(top + 1, left + 1) * right)) * down));

        double At(int row, int column) => row >= 0 && row < height && column >= 0 && column < width ? plane[(row * width) + column] : plane[0];
    }
}

using Federation.Privacy.Accounting;

namespace Federation.Privacy.Tests.Accounting;

/// <summary>δ(ε) as the definition says, E_P[(1 − e^(ε − l))₊], by quadrature over the output: the plain twin of the PLD accountant, for one and two steps.</summary>
internal sealed class PlainLoss(Func<double, double> densityP, Func<double, double> densityQ, double low, double high)
{
    private const int Panels = 100;
    private const int OuterPanels = 3200; // δ(ε − l(x)) has a kink where q is small: 800 were 3·10⁻⁶ too high there once
    private static readonly double[] s_nodes = [-0.9061798459386640, -0.5384693101056831, 0, 0.5384693101056831, 0.9061798459386640];
    private static readonly double[] s_weights = [0.2369268850561891, 0.4786286704993665, 0.5688888888888889, 0.4786286704993665, 0.2369268850561891];

    public double Delta(double epsilon)
    {
        // p/q rises or falls all the way here, so p − e^ε·q changes sign once at most.
        double Excess(double x) => densityP(x) - (Math.Exp(epsilon) * densityQ(x));
        bool rising = densityP(high) * densityQ(low) > densityP(low) * densityQ(high);
        double a = low, b = high;
        for (int i = 0; i < 60; i++)
        {
            double middle = (a + b) / 2;
            if (Excess(middle) > 0 == rising) b = middle;
            else a = middle;
        }

        return rising ? Integrate(Excess, a, high) : Integrate(Excess, low, a);
    }

    /// <summary>Of two independent steps: E_P[δ(ε − l)].</summary>
    public double DeltaOfTwo(double epsilon) => Integrate(x => densityP(x) * Delta(epsilon - Math.Log(densityP(x) / densityQ(x))), low, high, OuterPanels);

    public static PlainLoss Remove(double sigma, double q) => new(x => ((1 - q) * Gaussian(x, sigma)) + (q * Gaussian(x - 1, sigma)), x => Gaussian(x, sigma), -12 * sigma, (12 * sigma) + 1);

    public static PlainLoss Add(double sigma, double q) => new(x => Gaussian(x, sigma), x => ((1 - q) * Gaussian(x, sigma)) + (q * Gaussian(x - 1, sigma)), -12 * sigma, (12 * sigma) + 1);

    /// <summary>One unit at +½ instead of another at −½, both sampled.</summary>
    public static PlainLoss Replace(double sigma, double q) => new(
        x => ((1 - q) * Gaussian(x, sigma)) + (q * Gaussian(x - 0.5, sigma)), x => ((1 - q) * Gaussian(x, sigma)) + (q * Gaussian(x + 0.5, sigma)), (-12 * sigma) - 1, (12 * sigma) + 1);

    private static double Gaussian(double x, double sigma) => Math.Exp(-x * x / (2 * sigma * sigma)) / (sigma * Math.Sqrt(2 * Math.PI));

    private static double Integrate(Func<double, double> function, double low, double high, int panels = Panels)
    {
        double sum = 0, half = (high - low) / (2 * panels);
        for (int panel = 0; panel < panels; panel++)
        {
            double middle = low + (((2 * panel) + 1) * half);
            for (int i = 0; i < s_nodes.Length; i++) sum += s_weights[i] * half * function(middle + (half * s_nodes[i]));
        }

        return sum;
    }
}

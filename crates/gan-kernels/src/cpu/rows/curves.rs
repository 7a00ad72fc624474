//! Curved activations with their first two derivatives.

use super::activation::{leaky, polynomial};
use super::map::{self, Map};
use crate::backend::{InputActivation, JvpAdjoints};
use crate::cpu::Cpu;
use crate::cpu::simd::{Level, Simd};

/// A function of one number.
pub(crate) trait Curve: Copy + Send + Sync {
    /// Returns f(x), f′(x) and f″(x).
    fn at<S: Simd>(self, x: S) -> [S; 3];
}

/// x where x > 0, else slope·x.
#[derive(Clone, Copy)]
struct Leaky(f32);
/// 1 / (1 + e⁻ˣ), exact for small probabilities.
#[derive(Clone, Copy)]
pub(crate) struct Sigmoid;
/// x where x > 0, else α·(eˣ − 1).
#[derive(Clone, Copy)]
struct Elu(f32);
/// x·σ(x)
#[derive(Clone, Copy)]
struct Silu;
/// x·Φ(x)
#[derive(Clone, Copy)]
struct Gelu;
/// The hyperbolic tangent as a function of its output y: with the tangent t·(1 − y²) after it, its second derivative along t is −2·y times
/// that tangent.
#[derive(Clone, Copy)]
pub(crate) struct OutputOfTanh;

impl Curve for Leaky {
    #[inline(always)]
    fn at<S: Simd>(self, x: S) -> [S; 3] {
        [leaky(x, x, self.0), leaky(x, x.fill(1.0), self.0), x.fill(0.0)]
    }
}

impl Curve for Sigmoid {
    #[inline(always)]
    fn at<S: Simd>(self, x: S) -> [S; 3] {
        let one = x.fill(1.0);
        // e^−|x| does not overflow.
        let small = exp(x.where_positive(x.negate(), x));
        let below = one / (one + small);
        let [low, high] = [small * below, below];
        let slope = low * high;
        let bend = slope * (high - low);
        [x.where_positive(high, low), slope, x.where_positive(bend.negate(), bend)]
    }
}

impl Curve for Elu {
    #[inline(always)]
    fn at<S: Simd>(self, x: S) -> [S; 3] {
        let power = exp(x.where_positive(x.fill(0.0), x)).scale(self.0);
        let below = power - x.fill(self.0);
        [x.where_positive(x, below), x.where_positive(x.fill(1.0), power), x.where_positive(x.fill(0.0), power)]
    }
}

impl Curve for Silu {
    #[inline(always)]
    fn at<S: Simd>(self, x: S) -> [S; 3] {
        let [value, slope, bend] = Sigmoid.at(x);
        [x * value, x.mul_add(slope, value), x.mul_add(bend, slope + slope)]
    }
}

impl Curve for Gelu {
    /// Computes Φ by formula 7.1.26 of Abramowitz and Stegun's handbook, which is within 1e-7 of the exact value.
    #[inline(always)]
    fn at<S: Simd>(self, x: S) -> [S; 3] {
        const TERMS: [f32; 5] = [0.254_829_6, -0.284_496_74, 1.421_413_7, -1.453_152, 1.061_405_4];
        const FRAC_1_SQRT_2PI: f32 = 0.398_942_3;
        let one = x.fill(1.0);
        let size = x.where_positive(x, x.negate());
        let power = exp((x * x).scale(-0.5));
        let part = one / size.scale_add(0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2, one);
        let tail = (polynomial(part, TERMS) * part * power).scale(0.5);
        let distribution = x.where_positive(one - tail, tail);
        let density = power.scale(FRAC_1_SQRT_2PI);
        let bend = density * (x.fill(2.0) - x * x);
        [x * distribution, x.mul_add(density, distribution), bend]
    }
}

impl Curve for OutputOfTanh {
    #[inline(always)]
    fn at<S: Simd>(self, y: S) -> [S; 3] {
        [y, y.fill(1.0) - y * y, y.scale(-2.0)]
    }
}

/// Returns eˣ within 2e-7 of the exact value, for x between −87 and 88, which are the limits for other numbers.
#[inline(always)]
pub(crate) fn exp<S: Simd>(x: S) -> S {
    // ln 2 in two parts, so that n·ln 2 is exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    const TAYLOR: [f32; 8] = [1.0, 1.0, 1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0];
    // Above it, an f32 has no fraction.
    const WHOLE: f32 = 1.5 * 8_388_608.0;
    let [least, most] = [x.fill(-87.0), x.fill(88.0)];
    // Comparisons with NaN are false, so it passes through.
    let x = (x - most).where_positive(most, x);
    let x = (least - x).where_positive(least, x);
    let n = x.scale_add(std::f32::consts::LOG2_E, x.fill(WHOLE)) - x.fill(WHOLE);
    let rest = n.scale_add(-LN_2[1], n.scale_add(-LN_2[0], x));
    polynomial(rest, TAYLOR) * n.pow2()
}

/// f(x)
#[derive(Clone, Copy)]
struct Value<C>(C);
/// g·f′(x), of g and x.
#[derive(Clone, Copy)]
struct Slope<C>(C);
/// g·f′(x) + h·t·f″(x), of x, t, h and g.
#[derive(Clone, Copy)]
struct Bend<C>(C);

impl<C: Curve> Map<1> for Value<C> {
    #[inline(always)]
    fn apply<S: Simd>(self, [x]: [S; 1]) -> S {
        let [value, ..] = self.0.at(x);
        value
    }
}

impl<C: Curve> Map<2> for Slope<C> {
    #[inline(always)]
    fn apply<S: Simd>(self, [g, x]: [S; 2]) -> S {
        let [_, slope, _] = self.0.at(x);
        g * slope
    }
}

impl<C: Curve> Map<3> for Bend<C> {
    #[inline(always)]
    fn apply<S: Simd>(self, [x, t, h]: [S; 3]) -> S {
        let [.., bend] = self.0.at(x);
        h * t * bend
    }
}

impl<C: Curve> Map<4> for Bend<C> {
    #[inline(always)]
    fn apply<S: Simd>(self, [x, t, h, g]: [S; 4]) -> S {
        let [_, slope, bend] = self.0.at(x);
        g.mul_add(slope, h * t * bend)
    }
}

/// Runs `$body` with the curve of an activation.
macro_rules! with_curve {
    ($act:expr, $curve:ident => $body:expr) => {
        match $act {
            InputActivation::LeakyRelu(slope) => {
                let $curve = Leaky(slope);
                $body
            }
            InputActivation::Sigmoid => {
                let $curve = Sigmoid;
                $body
            }
            InputActivation::Elu(alpha) => {
                let $curve = Elu(alpha);
                $body
            }
            InputActivation::Silu => {
                let $curve = Silu;
                $body
            }
            InputActivation::Gelu => {
                let $curve = Gelu;
                $body
            }
        }
    };
}

/// Computes y = act(x).
pub(crate) fn forward(level: Level, act: InputActivation, x: &[f32], y: &mut [f32]) {
    with_curve!(act, curve => map::map(level, Value(curve), [x], y));
}

/// Computes g ← g·act′(x).
pub(crate) fn backward(level: Level, act: InputActivation, x: &[f32], g: &mut [f32]) {
    with_curve!(act, curve => map::update(level, Slope(curve), x, g));
}

/// Computes adjoints of values and tangents before an activation.
pub(crate) fn jvp_backward(level: Level, act: InputActivation, adjoints: &JvpAdjoints<Cpu>, to: [&mut [f32]; 2]) {
    with_curve!(act, curve => jvp_grad(level, curve, adjoints, to));
}

/// Computes adjoints of values and tangents before a curve.
pub(crate) fn jvp_grad(
    level: Level,
    curve: impl Curve,
    adjoints: &JvpAdjoints<Cpu>,
    [of_values, of_tangents]: [&mut [f32]; 2],
) {
    let JvpAdjoints { x, tangent, of_tangent, .. } = *adjoints;
    match adjoints.of_values {
        Some(g) => map::map(level, Bend(curve), [x, tangent, of_tangent, g], of_values),
        None => map::map(level, Bend(curve), [x, tangent, of_tangent], of_values),
    }
    map::map(level, Slope(curve), [of_tangent, x], of_tangents);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the values of a function in f64, which differences are taken of.
    fn exact(act: InputActivation, x: f64) -> f64 {
        let sigmoid = 1.0 / (1.0 + (-x).exp());
        match act {
            InputActivation::LeakyRelu(slope) => {
                if x > 0.0 {
                    x
                } else {
                    f64::from(slope) * x
                }
            }
            InputActivation::Sigmoid => sigmoid,
            InputActivation::Elu(alpha) => {
                if x > 0.0 {
                    x
                } else {
                    f64::from(alpha) * x.exp_m1()
                }
            }
            InputActivation::Silu => x * sigmoid,
            InputActivation::Gelu => x * distribution(x),
        }
    }

    /// Returns Φ(x) by the sum of its series.
    fn distribution(x: f64) -> f64 {
        let mut term = x;
        let mut sum = x;
        for i in 1..200 {
            term *= x * x / (2.0 * f64::from(i) + 1.0);
            sum += term;
        }
        0.5 + sum * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
    }

    #[test]
    fn values_slopes_and_second_derivatives_equal_the_definitions() {
        let x: Vec<f32> = (0..1003).map(|i| (i as f32 - 500.3) / 83.0).collect();
        let [t, h, g] = [37, 53, 71]
            .map(|seed| -> Vec<f32> { (0..1003).map(|i| ((i * seed) % 211) as f32 / 100.0 - 1.0).collect() });
        let all = [
            InputActivation::LeakyRelu(-0.3),
            InputActivation::Sigmoid,
            InputActivation::Elu(0.7),
            InputActivation::Silu,
            InputActivation::Gelu,
        ];
        for (level, act) in Level::available().into_iter().flat_map(|level| all.map(|act| (level, act))) {
            let mut y = vec![f32::NAN; x.len()];
            forward(level, act, &x, &mut y);
            let mut slopes = g.clone();
            backward(level, act, &x, &mut slopes);
            let mut to = [vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]];
            for of_values in [None, Some(&g[..])] {
                let adjoints = JvpAdjoints { x: &x[..], tangent: &t[..], of_values, of_tangent: &h[..] };
                let [values, tangents] = &mut to;
                jvp_backward(level, act, &adjoints, [values, tangents]);
                for i in 0..x.len() {
                    let (at, d) = (f64::from(x[i]), 1e-4);
                    let [below, here, above] = [at - d, at, at + d].map(|x| exact(act, x));
                    let slope = (above - below) / (2.0 * d);
                    let bend = (above - 2.0 * here + below) / (d * d);
                    let [t, h, g] = [&t, &h, &g].map(|all| f64::from(all[i]));
                    let of_value = of_values.map_or(0.0, |_| g * slope) + h * t * bend;
                    for (found, expected) in
                        [(y[i], here), (slopes[i], g * slope), (to[0][i], of_value), (to[1][i], h * slope)]
                    {
                        let error = (f64::from(found) - expected).abs() / expected.abs().max(1.0);
                        assert!(error < 1e-6, "{act:?} at {at}, {level:?}: {found} and {expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn curves_keep_nan_and_survive_large_numbers() {
        for level in Level::available() {
            for act in
                [InputActivation::Sigmoid, InputActivation::Elu(1.0), InputActivation::Silu, InputActivation::Gelu]
            {
                let mut y = [0.0; 4];
                forward(level, act, &[f32::NAN, 1e4, -1e4, -80.0], &mut y);
                assert!(y[0].is_nan() && y[1..].iter().all(|y| y.is_finite()), "{act:?}: {y:?}");
            }
            let mut y = [0.0; 2];
            forward(level, InputActivation::Sigmoid, &[-80.0, 80.0], &mut y);
            assert!((f64::from(y[0]) * 80f64.exp() - 1.0).abs() < 1e-5 && y[1] == 1.0, "{y:?}");
        }
    }
}

//! Bias and activation in place, and their derivatives from the activation's output.

use super::{parts, rows};
use crate::backend::Activation;
use crate::cpu::buffer::Shared;
use crate::cpu::simd::{Job, LANES, Level, Simd};
use std::ops::Range;

/// Computes x ← act(x + bias), x `[rows, channels]`.
pub(crate) fn forward(level: Level, act: Activation, bias: Option<&[f32]>, x: &mut [f32], channels: usize) {
    if act == Activation::Identity && bias.is_none() {
        return;
    }
    let rows = rows(x.len(), channels);
    assert!(bias.is_none_or(|bias| bias.len() == channels), "a bias has one number per channel");
    let x = Shared::new(x);
    // SAFETY: x has these rows and the bias has one number per channel, as checked above; parts do not overlap.
    parts(rows, channels, |rows| unsafe { level.run(Forward { act, bias, x, channels, rows }) });
}

/// Computes g ← g·act′ from the activation's output y; both of any shape.
pub(crate) fn backward(level: Level, act: Activation, y: &[f32], g: &mut [f32]) {
    assert_eq!(y.len(), g.len(), "a gradient has the size of its values");
    if act == Activation::Identity {
        return;
    }
    let len = g.len();
    let g = Shared::new(g);
    // SAFETY: y is as long as g, as checked above; parts do not overlap.
    parts(len, 1, |range| unsafe { level.run(Backward { act, y, g, range }) });
}

struct Forward<'a> {
    act: Activation,
    bias: Option<&'a [f32]>,
    x: Shared,
    channels: usize,
    rows: Range<usize>,
}

impl Job for Forward<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { act, bias, x, channels, rows } = self;
        // SAFETY: these rows lie inside x and only this task uses them; the bias has `channels` numbers.
        unsafe {
            let Some(bias) = bias else {
                let end = rows.end * channels;
                for at in (rows.start * channels..end).step_by(LANES) {
                    let p = x.get().add(at);
                    let lanes = LANES.min(end - at);
                    value(act, S::load_upto(p, lanes)).store_upto(p, lanes);
                }
                return;
            };
            for channel in (0..channels).step_by(LANES) {
                let lanes = LANES.min(channels - channel);
                let b = S::load_n(bias.as_ptr().add(channel), lanes);
                for row in rows.clone() {
                    let p = x.get().add(row * channels + channel);
                    value(act, S::load_upto(p, lanes) + b).store_upto(p, lanes);
                }
            }
        }
    }
}

#[inline(always)]
fn value<S: Simd>(act: Activation, x: S) -> S {
    match act {
        Activation::Identity => x,
        Activation::LeakyRelu(slope) => leaky(x, x, slope),
        Activation::Tanh => tanh(x),
    }
}

/// Returns `v` where x > 0, else `slope`·v.
#[inline(always)]
pub(super) fn leaky<S: Simd>(x: S, v: S, slope: f32) -> S {
    x.where_positive(v, v.scale(slope))
}

/// Returns the hyperbolic tangent as a quotient of polynomials in x², the minimax fit that Eigen uses: within 5e-7 of the exact value.
#[inline(always)]
fn tanh<S: Simd>(x: S) -> S {
    const OVER: [f32; 7] =
        [4.893_525e-3, 6.372_619e-4, 1.485_722_4e-5, 5.122_297_3e-8, -8.604_672e-11, 2.000_188e-13, -2.760_768_6e-16];
    const UNDER: [f32; 4] = [4.893_525e-3, 2.268_434_7e-3, 1.185_347e-4, 1.198_258_4e-6];
    let most = x.fill(9.0);
    let least = x.fill(-9.0);
    // Comparisons with NaN are false, so it passes through.
    let x = (x - most).where_positive(most, x);
    let x = (least - x).where_positive(least, x);
    let square = x * x;
    x * polynomial(square, OVER) / polynomial(square, UNDER)
}

/// Returns c₀ + c₁·x + c₂·x² + …
#[inline(always)]
pub(super) fn polynomial<S: Simd, const N: usize>(x: S, coefficients: [f32; N]) -> S {
    let mut value = x.fill(coefficients[N - 1]);
    let mut i = N - 1;
    while i > 0 {
        i -= 1;
        value = value.mul_add(x, x.fill(coefficients[i]));
    }
    value
}

struct Backward<'a> {
    act: Activation,
    y: &'a [f32],
    g: Shared,
    range: Range<usize>,
}

impl Job for Backward<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { act, y, g, range } = self;
        for at in range.clone().step_by(LANES) {
            let lanes = LANES.min(range.end - at);
            // SAFETY: y is as long as g, and only this task uses this range.
            unsafe {
                let to = g.get().add(at);
                let y = S::load_upto(y.as_ptr().add(at), lanes);
                let g = S::load_upto(to, lanes);
                let v = match act {
                    Activation::Identity => g,
                    Activation::LeakyRelu(slope) => leaky(y, g, slope),
                    Activation::Tanh => g * (y.fill(1.0) - y * y),
                };
                v.store_upto(to, lanes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::refused;

    #[test]
    fn values_and_derivatives_equal_the_definitions() {
        let made: Vec<f32> = (0..1003).map(|i| (i as f32 - 500.0) / 37.0).collect();
        for level in Level::available() {
            for act in [Activation::Identity, Activation::LeakyRelu(0.0), Activation::LeakyRelu(0.2), Activation::Tanh]
            {
                for channels in [1, 17, 59] {
                    let rows = made.len() / channels;
                    let bias: Vec<f32> = (0..channels).map(|c| c as f32 / 10.0 - 1.0).collect();
                    let mut y = made[..rows * channels].to_vec();
                    forward(level, act, Some(&bias), &mut y, channels);
                    let mut g = vec![1.0; y.len()];
                    backward(level, act, &y, &mut g);
                    for i in 0..y.len() {
                        let x = f64::from(made[i] + bias[i % channels]);
                        let (value, slope) = match act {
                            Activation::Identity => (x, 1.0),
                            Activation::LeakyRelu(s) if x <= 0.0 => (x * f64::from(s), f64::from(s)),
                            Activation::LeakyRelu(_) => (x, 1.0),
                            Activation::Tanh => (x.tanh(), 1.0 - x.tanh().powi(2)),
                        };
                        assert!(
                            (f64::from(y[i]) - value).abs() < 5e-7 * value.abs().max(1.0),
                            "{act:?} at {x}: {}",
                            y[i]
                        );
                        assert!((f64::from(g[i]) - slope).abs() < 1e-6, "{act:?}' at {x}: {}", g[i]);
                    }
                }
            }
        }
    }

    #[test]
    fn other_lengths_are_refused() {
        let relu = Activation::LeakyRelu(0.0);
        refused(|| forward(Level::current(), relu, Some(&[1.0; 15]), &mut [0.0; 64], 16));
        refused(|| forward(Level::current(), relu, Some(&[1.0; 16]), &mut [0.0; 63], 16));
        refused(|| forward(Level::current(), relu, None, &mut [0.0; 63], 16));
        refused(|| forward(Level::current(), relu, None, &mut [0.0; 63], 0));
        refused(|| backward(Level::current(), relu, &[0.0; 15], &mut [0.0; 16]));
    }

    #[test]
    fn tanh_is_exact_for_small_numbers_and_keeps_nan() {
        for level in Level::available() {
            let mut x = vec![1e-6, -1e-3, 0.0, 30.0, -30.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
            forward(level, Activation::Tanh, None, &mut x, 1);
            assert!((x[0] / 1e-6 - 1.0).abs() < 1e-6 && (x[1] / -1e-3 - 1.0).abs() < 2e-6 && x[2] == 0.0);
            assert!(x[3..7].iter().zip([1.0, -1.0, 1.0, -1.0]).all(|(x, y)| (x - y).abs() < 5e-7) && x[7].is_nan());
        }
    }
}

//! Gated linear units: y = a·σ(b), where a and b are the halves of each pixel's channels.
//!
//! With the derivatives s = σ′(b) and c = σ″(b), a gradient g gives (g·σ, g·a·s), and a tangent (u, v) gives u·σ + v·a·s. For an adjoint h of
//! that tangent, the tangents get (h·σ, h·a·s), and the values (h·v·s, h·(u·s + v·a·c)); an adjoint of the values adds the ordinary gradient.

use super::Cpu;
use super::buffer::Shared;
use super::rows::curves::{Curve, Sigmoid};
use super::rows::{parts, rows};
use super::simd::{Job, LANES, Level, Simd};
use crate::backend::{Glus, JvpAdjoints};
use std::ops::Range;

impl Glus for Cpu {
    fn glu(&self, channels: usize, x: &[f32], y: &mut [f32]) {
        run(Level::current(), Forward, channels, [x], [], y);
    }

    fn glu_grad(&self, channels: usize, x: &[f32], g: &[f32], dx: &mut [f32]) {
        run(Level::current(), Backward, channels, [x], [g], dx);
    }

    fn glu_jvp(&self, channels: usize, both: [&[f32]; 2], y: &mut [f32]) {
        run(Level::current(), Tangent, channels, both, [], y);
    }

    fn glu_jvp_grad(&self, channels: usize, adjoints: &JvpAdjoints<Self>, [of_values, of_tangents]: [&mut [f32]; 2]) {
        let level = Level::current();
        let JvpAdjoints { x, tangent, of_tangent, .. } = *adjoints;
        match adjoints.of_values {
            Some(g) => run(level, Bend, channels, [x, tangent], [of_tangent, g], of_values),
            None => run(level, Bend, channels, [x, tangent], [of_tangent], of_values),
        }
        run(level, Backward, channels, [x], [of_tangent], of_tangents);
    }
}

/// A function of both halves of W arrays and of N arrays with one half as many channels; its result has the channels of one half or of both.
trait Gate<const W: usize, const N: usize, const OUT: usize>: Copy + Send + Sync {
    fn apply<S: Simd>(self, halves: [[S; 2]; W], single: [S; N]) -> [S; OUT];
}

#[derive(Clone, Copy)]
struct Forward;
#[derive(Clone, Copy)]
struct Backward;
#[derive(Clone, Copy)]
struct Tangent;
#[derive(Clone, Copy)]
struct Bend;

impl Gate<1, 0, 1> for Forward {
    #[inline(always)]
    fn apply<S: Simd>(self, [[a, b]]: [[S; 2]; 1], []: [S; 0]) -> [S; 1] {
        let [gate, ..] = Sigmoid.at(b);
        [a * gate]
    }
}

impl Gate<1, 1, 2> for Backward {
    #[inline(always)]
    fn apply<S: Simd>(self, [[a, b]]: [[S; 2]; 1], [g]: [S; 1]) -> [S; 2] {
        let [gate, slope, _] = Sigmoid.at(b);
        [g * gate, g * a * slope]
    }
}

impl Gate<2, 0, 1> for Tangent {
    #[inline(always)]
    fn apply<S: Simd>(self, [[a, b], [u, v]]: [[S; 2]; 2], []: [S; 0]) -> [S; 1] {
        let [gate, slope, _] = Sigmoid.at(b);
        [u.mul_add(gate, v * a * slope)]
    }
}

impl Gate<2, 1, 2> for Bend {
    #[inline(always)]
    fn apply<S: Simd>(self, [[a, b], [u, v]]: [[S; 2]; 2], [h]: [S; 1]) -> [S; 2] {
        let [_, slope, bend] = Sigmoid.at(b);
        [h * v * slope, h * u.mul_add(slope, v * a * bend)]
    }
}

impl Gate<2, 2, 2> for Bend {
    #[inline(always)]
    fn apply<S: Simd>(self, halves: [[S; 2]; 2], [h, g]: [S; 2]) -> [S; 2] {
        let [of_a, of_b] = self.apply(halves, [h]);
        let [along_a, along_b] = Backward.apply([halves[0]], [g]);
        [of_a + along_a, of_b + along_b]
    }
}

/// Computes a function of each pixel; `channels` are those of one half.
fn run<G: Gate<W, N, OUT>, const W: usize, const N: usize, const OUT: usize>(
    level: Level,
    gate: G,
    channels: usize,
    halves: [&[f32]; W],
    single: [&[f32]; N],
    to: &mut [f32],
) {
    let pixels = rows(to.len(), OUT * channels);
    let lengths = [(&halves[..], 2 * channels), (&single[..], channels)];
    let fits = |(all, each): (&[&[f32]], usize)| all.iter().all(|x| x.len() == pixels * each);
    assert!(lengths.into_iter().all(fits), "a gate's operands belong to the same pixels");
    let (halves, single, to) = (halves.map(Shared::reading), single.map(Shared::reading), Shared::new(to));
    // SAFETY: all operands have these pixels, as checked above; parts do not overlap.
    parts(pixels, 2 * channels, |pixels| unsafe { level.run(Part { gate, channels, halves, single, to, pixels }) });
}

struct Part<G, const W: usize, const N: usize, const OUT: usize> {
    gate: G,
    channels: usize,
    halves: [Shared; W],
    single: [Shared; N],
    to: Shared,
    pixels: Range<usize>,
}

impl<G: Gate<W, N, OUT>, const W: usize, const N: usize, const OUT: usize> Job for Part<G, W, N, OUT> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let channels = self.channels;
        for pixel in self.pixels.clone() {
            for channel in (0..channels).step_by(LANES) {
                let lanes = LANES.min(channels - channel);
                // SAFETY: the pixel lies inside each operand, and only this task writes it.
                unsafe {
                    let mut halves = [[S::zero(); 2]; W];
                    for (to, from) in halves.iter_mut().zip(self.halves) {
                        let from = from.get().add(2 * pixel * channels + channel);
                        *to = [S::load_upto(from, lanes), S::load_upto(from.add(channels), lanes)];
                    }
                    let mut single = [S::zero(); N];
                    for (to, from) in single.iter_mut().zip(self.single) {
                        *to = S::load_upto(from.get().add(pixel * channels + channel), lanes);
                    }
                    let to = self.to.get().add(OUT * pixel * channels + channel);
                    let result = self.gate.apply(halves, single);
                    for (half, value) in result.into_iter().enumerate() {
                        value.store_upto(to.add(half * channels), lanes);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::refused;

    /// Returns y, and the derivatives by a and b, of the function Σ(h·tangent + g·value) of one unit, by differences of exact values.
    fn exact([a, b]: [f64; 2], [u, v]: [f64; 2], h: f64, g: f64) -> [f64; 2] {
        let tangent = |a: f64, b: f64| {
            let gate = 1.0 / (1.0 + (-b).exp());
            h * (u * gate + v * a * gate * (1.0 - gate)) + g * a * gate
        };
        let d = 1e-5;
        [(tangent(a + d, b) - tangent(a - d, b)) / (2.0 * d), (tangent(a, b + d) - tangent(a, b - d)) / (2.0 * d)]
    }

    #[test]
    fn units_and_their_derivatives_equal_the_definitions() {
        let numbers = |len: usize, seed: usize| -> Vec<f32> {
            (0..len).map(|i| ((i * seed) % 211) as f32 / 40.0 - 2.5).collect()
        };
        for (level, channels) in Level::available().into_iter().flat_map(|level| [1, 5, 16, 35].map(|c| (level, c))) {
            let pixels = 67;
            let [x, t] = [37, 53].map(|seed| numbers(2 * pixels * channels, seed));
            let [h, g] = [71, 29].map(|seed| numbers(pixels * channels, seed));
            let (mut y, mut dx) = (vec![f32::NAN; h.len()], vec![f32::NAN; x.len()]);
            let (mut tangent, mut bent, mut both) = (y.clone(), dx.clone(), dx.clone());
            run(level, Forward, channels, [&x], [], &mut y);
            run(level, Backward, channels, [&x], [&g], &mut dx);
            run(level, Tangent, channels, [&x, &t], [], &mut tangent);
            run(level, Bend, channels, [&x, &t], [&h], &mut bent);
            run(level, Bend, channels, [&x, &t], [&h, &g], &mut both);
            for i in 0..y.len() {
                let at = i / channels * 2 * channels + i % channels;
                let halves = |all: &[f32]| [f64::from(all[at]), f64::from(all[at + channels])];
                let ([a, b], [u, v], h, g) = (halves(&x), halves(&t), f64::from(h[i]), f64::from(g[i]));
                let gate = 1.0 / (1.0 + (-b).exp());
                let slope = gate * (1.0 - gate);
                let is = |found: f32, expected: f64| {
                    let error = (f64::from(found) - expected).abs();
                    assert!(error < 2e-6 * expected.abs().max(3.0), "{found} and {expected} on {level:?}");
                };
                is(y[i], a * gate);
                is(tangent[i], u * gate + v * a * slope);
                for (found, expected) in [
                    (halves(&dx), exact([a, b], [0.0; 2], 0.0, g)),
                    (halves(&bent), exact([a, b], [u, v], h, 0.0)),
                    (halves(&both), exact([a, b], [u, v], h, g)),
                ] {
                    (0..2).for_each(|half| is(found[half] as f32, expected[half]));
                }
            }
        }
    }

    #[test]
    fn other_lengths_are_refused_and_nan_is_kept() {
        let mut y = [0.0; 2];
        Cpu.glu(2, &[f32::NAN, 1.0, 0.0, f32::NAN], &mut y);
        assert!(y.iter().all(|y| y.is_nan()));
        refused(|| Cpu.glu(2, &[0.0; 7], &mut [0.0; 4]));
        refused(|| Cpu.glu(2, &[0.0; 6], &mut [0.0; 3]));
        refused(|| Cpu.glu_grad(2, &[0.0; 8], &[0.0; 3], &mut [0.0; 8]));
        refused(|| Cpu.glu_jvp(2, [&[0.0; 8], &[0.0; 4]], &mut [0.0; 4]));
    }
}

//! Kernels of a learned slope.

use super::Cpu;
use super::parallel;
use super::rows::dot;
use super::rows::map::{self, LeakyGrad, Scale};
use super::simd::{LANES, Level};
use crate::backend::LearnedSlopes;

/// Number of values per partial sum.
const PART: usize = 1 << 14;

impl LearnedSlopes for Cpu {
    fn learned_slope(&self, slope: &[f32], side: Option<&[f32]>, x: &[f32], y: &mut [f32]) {
        let level = Level::current();
        let Some(side) = side else { return map::map(level, Scale(slope[0]), [x], y) };
        let len = side.len().max(1);
        for (x, y) in x.chunks(len).zip(y.chunks_mut(len)) {
            map::map(level, LeakyGrad(slope[0]), [x, side], y);
        }
    }

    fn learned_slope_grad(&self, side: Option<&[f32]>, x: &[f32], g: &[f32], sum: &mut [f32]) {
        assert_eq!(x.len(), g.len(), "a gradient has the size of its values");
        let len = side.map_or(x.len(), <[f32]>::len).max(1);
        let parts = len.div_ceil(PART);
        let sums = parallel::map(x.len() / len * parts, |task| {
            let [batch, start] = [task / parts * len, task % parts * PART];
            let part = PART.min(len - start);
            let [x, g] = [x, g].map(|all| &all[batch + start..][..part]);
            part_sum(side.map(|side| &side[start..][..part]), x, g)
        });
        sum[0] = sums.into_iter().sum::<f64>() as f32;
    }
}

/// Returns Σ x·g where the side is not above zero.
fn part_sum(side: Option<&[f32]>, x: &[f32], g: &[f32]) -> f64 {
    let Some(side) = side else { return dot(x, g) };
    // A sum for each lane, so that the compiler can use vectors.
    let mut sums = [0f32; LANES];
    for (side, (x, g)) in side.chunks(LANES).zip(x.chunks(LANES).zip(g.chunks(LANES))) {
        for ((sum, side), (x, g)) in sums.iter_mut().zip(side).zip(x.iter().zip(g)) {
            *sum += if *side > 0.0 { 0.0 } else { x * g };
        }
    }
    sums.iter().map(|sum| f64::from(*sum)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_and_their_gradient_equal_plain_loops() {
        let numbers = |len: usize, seed: usize| -> Vec<f32> {
            (0..len).map(|i| ((i * seed) % 211) as f32 / 100.0 - 1.0).collect()
        };
        let half = 2 * PART + 77;
        let (side, x, g) = (numbers(half, 37), numbers(2 * half, 53), numbers(2 * half, 71));
        for side in [None, Some(&side[..])] {
            let applies = |i: usize| side.is_none_or(|side| side[i % half] <= 0.0);
            let mut y = vec![f32::NAN; x.len()];
            Cpu.learned_slope(&[0.25], side, &x, &mut y);
            assert!((0..x.len()).all(|i| y[i] == if applies(i) { 0.25 * x[i] } else { x[i] }));
            let mut sum = [f32::NAN];
            Cpu.learned_slope_grad(side, &x, &g, &mut sum);
            let products = (0..x.len()).filter(|i| applies(*i)).map(|i| f64::from(x[i]) * f64::from(g[i]));
            let expected: f64 = products.sum();
            assert!((f64::from(sum[0]) - expected).abs() < 1e-5 * expected.abs(), "{sum:?} and {expected}");
        }
    }
}

//! Functions of one number from each of several operands.

use super::parts;
use crate::cpu::buffer::Shared;
use crate::cpu::simd::{Job, LANES, Level, Simd};
use std::ops::Range;

/// A function of one number of each of N operands.
pub(crate) trait Map<const N: usize>: Copy + Send + Sync {
    fn apply<S: Simd>(self, x: [S; N]) -> S;
}

/// x + y.
#[derive(Clone, Copy)]
pub(crate) struct Sum;

/// s·x.
#[derive(Clone, Copy)]
struct Scaled(f32);

/// s·x + y.
#[derive(Clone, Copy)]
struct ScaledSum(f32);

/// x·scale where the second operand is at least `rate`, else 0.
#[derive(Clone, Copy)]
pub(crate) struct Drop {
    pub rate: f32,
    pub scale: f32,
}

/// x·factor
#[derive(Clone, Copy)]
pub(crate) struct Scale(pub f32);

/// g·1 where x > 0, else g·slope, of g and x.
#[derive(Clone, Copy)]
pub(crate) struct LeakyGrad(pub f32);

impl Map<2> for Sum {
    #[inline(always)]
    fn apply<S: Simd>(self, [x, y]: [S; 2]) -> S {
        x + y
    }
}

impl Map<1> for Scaled {
    #[inline(always)]
    fn apply<S: Simd>(self, [x]: [S; 1]) -> S {
        x.scale(self.0)
    }
}

impl Map<2> for ScaledSum {
    #[inline(always)]
    fn apply<S: Simd>(self, [x, y]: [S; 2]) -> S {
        x.scale(self.0) + y
    }
}

impl Map<2> for Drop {
    #[inline(always)]
    fn apply<S: Simd>(self, [x, uniform]: [S; 2]) -> S {
        (x.fill(self.rate) - uniform).where_positive(x.fill(0.0), x.scale(self.scale))
    }
}

impl Map<1> for Scale {
    #[inline(always)]
    fn apply<S: Simd>(self, [x]: [S; 1]) -> S {
        x.scale(self.0)
    }
}

impl Map<2> for LeakyGrad {
    #[inline(always)]
    fn apply<S: Simd>(self, [g, x]: [S; 2]) -> S {
        x.where_positive(g, g.scale(self.0))
    }
}

/// Computes y = f(x₁, x₂, …) for each number; all have the same length.
pub(crate) fn map<M: Map<N>, const N: usize>(level: Level, f: M, x: [&[f32]; N], y: &mut [f32]) {
    assert!(x.iter().all(|x| x.len() == y.len()), "operands have the length of the result");
    run(level, f, x.map(Shared::reading), Shared::new(y), y.len());
}

/// Computes y ← f(y, x) for each number; both have the same length.
pub(crate) fn update<M: Map<2>>(level: Level, f: M, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "operands have the length of the result");
    let to = Shared::new(y);
    run(level, f, [to, Shared::reading(x)], to, x.len());
}

/// Computes y ← s·y, plus x if it is given, with one number s for each of several samples of equal length.
pub(crate) fn scale_samples(level: Level, scales: &[f32], x: Option<&[f32]>, y: &mut [f32]) {
    let one = y.len() / scales.len().max(1);
    assert_eq!(y.len(), one * scales.len(), "samples have equal lengths");
    assert!(x.is_none_or(|x| x.len() == y.len()), "operands have the length of the result");
    let y = Shared::new(y);
    let x = x.map(Shared::reading);
    parts(scales.len(), one, |samples| {
        for sample in samples {
            let scale = scales[sample];
            let range = sample * one..(sample + 1) * one;
            // SAFETY: both operands have a part for each sample, as checked above; only this task uses the sample's of y.
            unsafe {
                match x {
                    Some(x) => level.run(Part { f: ScaledSum(scale), x: [y, x], y, range }),
                    None => level.run(Part { f: Scaled(scale), x: [y], y, range }),
                }
            }
        }
    });
}

fn run<M: Map<N>, const N: usize>(level: Level, f: M, x: [Shared; N], y: Shared, len: usize) {
    // SAFETY: all operands have this length, as the callers checked; parts do not overlap, and an operand that is the result itself is read
    // before it is written.
    parts(len, 1, |range| unsafe { level.run(Part { f, x, y, range }) });
}

struct Part<M, const N: usize> {
    f: M,
    x: [Shared; N],
    y: Shared,
    range: Range<usize>,
}

impl<M: Map<N>, const N: usize> Job for Part<M, N> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for at in self.range.clone().step_by(LANES) {
            let lanes = LANES.min(self.range.end - at);
            // SAFETY: the range lies inside each operand, and only this task writes it.
            unsafe {
                let mut x = [S::zero(); N];
                for (x, from) in x.iter_mut().zip(self.x) {
                    *x = S::load_upto(from.get().add(at), lanes);
                }
                self.f.apply(x).store_upto(self.y.get().add(at), lanes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::refused;

    #[test]
    fn functions_equal_their_definitions() {
        let made = |seed: usize| -> Vec<f32> { (0..1003).map(|i| ((i * seed) % 211) as f32 / 100.0 - 1.0).collect() };
        let (a, b) = (made(37), made(53));
        for level in Level::available() {
            let mut y = vec![f32::NAN; a.len()];
            map(level, Drop { rate: 0.25, scale: 4.0 / 3.0 }, [&a, &b], &mut y);
            assert!((0..a.len()).all(|i| y[i] == if b[i] >= 0.25 { a[i] * (4.0 / 3.0) } else { 0.0 }));
            map(level, Scale(-0.5), [&a], &mut y);
            assert!((0..a.len()).all(|i| y[i] == a[i] * -0.5));
            update(level, Sum, &b, &mut y);
            assert!((0..a.len()).all(|i| y[i] == a[i] * -0.5 + b[i]));
            y.clone_from(&b);
            update(level, LeakyGrad(3.0), &a, &mut y);
            assert!((0..a.len()).all(|i| y[i] == if a[i] > 0.0 { b[i] } else { b[i] * 3.0 }));
            let scales = &b[..17];
            y.clone_from(&a);
            scale_samples(level, scales, None, &mut y);
            assert!((0..a.len()).all(|i| y[i] == scales[i / 59] * a[i]));
            y.clone_from(&a);
            scale_samples(level, scales, Some(&b), &mut y);
            assert!((0..a.len()).all(|i| y[i] == scales[i / 59] * a[i] + b[i]));
        }
    }

    #[test]
    fn other_lengths_are_refused() {
        refused(|| map(Level::current(), Scale(0.0), [&[1.0; 15]], &mut [0.0; 16]));
        refused(|| update(Level::current(), Sum, &[1.0; 17], &mut [0.0; 16]));
        for (scales, x) in [(5, 16), (4, 15), (4, 20)] {
            let all = [1.0; 20];
            refused(|| scale_samples(Level::current(), &all[..scales], Some(&all[..x]), &mut [0.0; 16]));
        }
    }
}

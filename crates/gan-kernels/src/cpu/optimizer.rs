//! Optimizer steps, running averages and norms over all numbers of a variable.

use super::Cpu;
use super::buffer::Shared;
use super::parallel::{each, map};
use super::simd::{Job, LANES, Level, Simd};
use crate::backend::Optimizers;
use crate::update::{Epsilon, Step};
use rayon::prelude::*;
use std::ops::Range;

/// Number of values per task.
const CHUNK: usize = 1 << 15;

impl Optimizers for Cpu {
    fn optimizer_step(
        &self,
        step: &Step,
        values: &mut [f32],
        gradient: &[f32],
        mut first: Option<&mut [f32]>,
        second: &mut [f32],
    ) {
        let n = values.len();
        let fits = gradient.len() == n && second.len() == n && first.as_ref().is_none_or(|first| first.len() == n);
        assert!(fits, "an update has one number of each kind for each of a variable's");
        let [values, second] = [values, second].map(Shared::new);
        let first = first.as_mut().map(|first| Shared::new(first));
        let level = Level::current();
        each(n.div_ceil(CHUNK), |i| {
            let range = i * CHUNK..n.min((i + 1) * CHUNK);
            // SAFETY: each task has its own part of slices that are all n long, as checked above.
            unsafe { level.run(Part { step: *step, values, gradient, first, second, range }) }
        });
    }

    fn follow(&self, weight: f32, x: &[f32], average: &mut [f32]) {
        average.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(old, new)| {
            old.iter_mut().zip(new).for_each(|(old, new)| *old += weight * (new - *old));
        });
    }

    fn sum_of_squares(&self, x: &[f32]) -> f64 {
        let level = Level::current();
        let sums = map(x.len().div_ceil(CHUNK), |i| {
            let mut lanes = [0f32; LANES];
            let of = &x[i * CHUNK..x.len().min((i + 1) * CHUNK)];
            // SAFETY: the job reads its slice and writes its lanes alone.
            unsafe { level.run(Squares { of, lanes: &mut lanes }) };
            lanes.iter().map(|x| f64::from(*x)).sum::<f64>()
        });
        sums.iter().sum()
    }
}

struct Part<'a> {
    step: Step,
    values: Shared,
    gradient: &'a [f32],
    first: Option<Shared>,
    second: Shared,
    range: Range<usize>,
}

/// Updates the average at `p` with `new`, and returns it.
#[inline(always)]
unsafe fn decay_to<S: Simd>(p: *mut f32, n: usize, new: S, decay: f64) -> S {
    // SAFETY: the caller vouches for `n` numbers.
    unsafe {
        let v = S::splat((1.0 - decay) as f32).mul_add(new, S::splat(decay as f32) * S::load_upto(p, n));
        v.store_upto(p, n);
        v
    }
}

impl Job for Part<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { step, values, gradient, first, second, range } = self;
        let [inside, outside] = match step.placement {
            Epsilon::OutsideRoot => [0.0, step.epsilon as f32],
            Epsilon::InsideRoot => [step.epsilon as f32, 0.0],
        };
        for at in range.clone().step_by(LANES) {
            let n = LANES.min(range.end - at);
            // SAFETY: only this task uses this part of each slice.
            unsafe {
                let g = S::load_upto(gradient.as_ptr().add(at), n);
                let v = decay_to(second.get().add(at), n, g * g, step.second_decay);
                let m = match (first, step.first_decay) {
                    (Some(first), Some(decay)) => decay_to(first.get().add(at), n, g, decay),
                    _ => g,
                };
                let square = S::splat(step.root_scale as f32).mul_add(v, S::splat(inside));
                let root = square.sqrt() + S::splat(outside);
                let p = values.get().add(at);
                let change = S::splat(step.scale as f32) * m / root;
                (S::load_upto(p, n) - change).store_upto(p, n);
            }
        }
    }
}

/// Sums of squares, lane by lane.
struct Squares<'a> {
    of: &'a [f32],
    lanes: &'a mut [f32; LANES],
}

impl Job for Squares<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: loads stay inside the slice.
        unsafe {
            let mut sum = S::zero();
            for at in (0..self.of.len()).step_by(LANES) {
                let x: S = S::load_n(self.of.as_ptr().add(at), LANES.min(self.of.len() - at));
                sum = x.mul_add(x, sum);
            }
            sum.store(self.lanes.as_mut_ptr());
        }
    }
}

//! Softmax over rows, and its derivatives.

use super::Matrix;
use crate::cpu::rows::curves::exp;
use crate::cpu::rows::dot;
use crate::cpu::simd::{Job, LANES, Simd};

/// Replaces each row by exp(s) / Σ exp(s).
pub(super) struct Softmax {
    pub s: Matrix,
    pub rows: usize,
    pub width: usize,
}

impl Job for Softmax {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let whole = self.width / LANES * LANES;
        let rest = self.width - whole;
        for row in 0..self.rows {
            let p = self.s.skip(row, 0).at.get();
            // SAFETY: the row has `width` numbers, and only this task uses it.
            unsafe {
                // Numbers beyond the row do not change the maximum, and add nothing to the sum.
                let mut end = [f32::NEG_INFINITY; LANES];
                std::ptr::copy_nonoverlapping(p.add(whole), end.as_mut_ptr(), rest);
                let mut most = S::load(end.as_ptr());
                for at in (0..whole).step_by(LANES) {
                    let s = S::load(p.add(at));
                    most = (s - most).where_positive(s, most);
                }
                let mut lanes = [0f32; LANES];
                most.store(lanes.as_mut_ptr());
                // The maximum is subtracted so that nothing overflows; it cancels out.
                let mut largest = lanes[0];
                for lane in lanes {
                    if lane > largest {
                        largest = lane;
                    }
                }
                let largest = S::splat(largest);
                let last = exp(S::load(end.as_ptr()) - largest);
                last.store_n(p.add(whole), rest);
                let mut sum = last;
                for at in (0..whole).step_by(LANES) {
                    let power = exp(S::load(p.add(at)) - largest);
                    power.store(p.add(at));
                    sum = sum + power;
                }
                sum.store(lanes.as_mut_ptr());
                let mut total = 0f32;
                for lane in lanes {
                    total += lane;
                }
                let factor = S::splat(1.0 / total);
                for at in (0..self.width).step_by(LANES) {
                    let lanes = LANES.min(self.width - at);
                    (S::load_upto(p.add(at), lanes) * factor).store_upto(p.add(at), lanes);
                }
            }
        }
    }
}

/// Computes U ← P(U) for the rows of A: the gradient of S from that of A, or the tangent of A from that of S.
pub(super) fn softmax_grad(width: usize, a: &[f32], g: &mut [f32]) {
    for (a, g) in a.chunks_exact(width).zip(g.chunks_exact_mut(width)) {
        let along = dot(a, g) as f32;
        g.iter_mut().zip(a).for_each(|(g, a)| *g = a * (*g - along));
    }
}

/// Computes U ← U + B∘(T − ρ) − β·T for the rows of A.
pub(super) fn add_bend(width: usize, [a, t, b]: [&[f32]; 3], u: &mut [f32]) {
    let rows = a.chunks_exact(width).zip(t.chunks_exact(width)).zip(b.chunks_exact(width));
    for (((a, t), b), u) in rows.zip(u.chunks_exact_mut(width)) {
        let [rho, beta] = [dot(a, t) as f32, dot(a, b) as f32];
        u.iter_mut().zip(t.iter().zip(b)).for_each(|(u, (t, b))| *u += b * (t - rho) - beta * t);
    }
}

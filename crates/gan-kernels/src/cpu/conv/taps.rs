//! Weights `[O, C, kh, kw]` as kernels read them, tap after tap, and back.

use crate::cpu::buffer::{Buffer, Shared};
use crate::cpu::parallel::each;
use crate::spec::Problem;

/// Rows or columns of a block that is turned while it lies in the nearest cache.
const SIDE: usize = 16;

/// `[O, C, taps]` -> `[taps, C, O]`.
pub(super) fn inputs_first(p: &Problem, w: &[f32]) -> Buffer {
    assert_eq!(w.len(), p.out_channels * p.rows(), "the weights of {p:?}");
    let mut out = Buffer::any(w.len());
    turned(p, &mut out, |wide, tall| wide.copy_from(w, tall));
    out
}

/// `[taps, C, O]` -> `[O, C, taps]`.
pub(super) fn restore(p: &Problem, taps_major: &[f32], w: &mut [f32]) {
    assert_eq!(taps_major.len(), w.len(), "weights in another order are as many");
    turned(p, w, |wide, tall| tall.copy_from(taps_major, wide));
}

/// Where the numbers of one block lie.
struct Side {
    to: Shared,
    start: usize,
    across: usize,
    down: usize,
    size: [usize; 2],
}

impl Side {
    fn copy_from(&self, from: &[f32], other: &Self) {
        for i in 0..self.size[0] {
            for j in 0..self.size[1] {
                let value = from[other.start + i * other.down + j * other.across];
                // SAFETY: blocks are parts of the weights, whose number `turned` has checked, each task's its own.
                unsafe { *self.to.get().add(self.start + i * self.down + j * self.across) = value };
            }
        }
    }
}

/// Calls `f(taps-major side, weights' side)` for blocks of (channel and tap) × outputs.
fn turned(p: &Problem, to: &mut [f32], f: impl Fn(&Side, &Side) + Sync) {
    let (o, c, taps) = (p.out_channels, p.in_channels, p.kernel[0] * p.kernel[1]);
    assert_eq!(to.len(), o * c * taps, "the weights of {p:?}");
    let to = Shared::new(to);
    each(o.div_ceil(SIDE), |block| {
        let o0 = block * SIDE;
        for channel in 0..c {
            for tap0 in (0..taps).step_by(SIDE) {
                let size = [SIDE.min(taps - tap0), SIDE.min(o - o0)];
                let wide = Side { to, start: (tap0 * c + channel) * o + o0, down: c * o, across: 1, size };
                let tall = Side { to, start: (o0 * c + channel) * taps + tap0, down: 1, across: c * taps, size };
                f(&wide, &tall);
            }
        }
    });
}

/// `[O, C, taps]` -> `[taps, O, C]`.
pub(super) fn outputs_first(p: &Problem, w: &[f32]) -> Buffer {
    let (o, c, taps) = (p.out_channels, p.in_channels, p.kernel[0] * p.kernel[1]);
    assert_eq!(w.len(), o * c * taps, "the weights of {p:?}");
    let mut out = Buffer::any(w.len());
    let to = Shared::new(&mut out);
    each(o, |output| {
        let from = &w[output * c * taps..(output + 1) * c * taps];
        for tap in 0..taps {
            // SAFETY: row (tap, output) lies inside `out`, as checked above, and is this task's own.
            let row = unsafe { std::slice::from_raw_parts_mut(to.ahead((tap * o + output) * c).get(), c) };
            row.iter_mut().zip(from[tap..].iter().step_by(taps)).for_each(|(r, f)| *r = *f);
        }
    });
    out
}

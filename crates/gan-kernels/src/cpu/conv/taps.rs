//! Weights `[O, C, kh, kw]` as kernels read them, tap after tap, and back.

use crate::cpu::buffer::{Buffer, Shared};
use crate::cpu::parallel::each;
use crate::spec::Problem;

/// Side of a block that is transposed while it lies in the nearest cache.
const SIDE: usize = 16;

/// Reorders `[O, C, taps]` -> `[taps, C, O]`.
pub(super) fn inputs_first(p: &Problem, w: &[f32]) -> Buffer {
    assert_eq!(w.len(), p.out_channels * p.rows(), "the weights of {p:?}");
    let mut out = Buffer::any(w.len());
    let to = Shared::new(&mut out);
    // SAFETY: `out` has the weights' length, and no two tasks write the same number.
    each_weight(p, |taps_major, weight| unsafe { *to.ahead(taps_major).get() = w[weight] });
    out
}

/// Reorders `[taps, C, O]` -> `[O, C, taps]`.
pub(super) fn restore(p: &Problem, taps_major: &[f32], w: &mut [f32]) {
    assert_eq!(taps_major.len(), w.len(), "both orders have the same number of weights");
    assert_eq!(w.len(), p.out_channels * p.rows(), "the weights of {p:?}");
    let to = Shared::new(w);
    // SAFETY: w has the weights' length, and no two tasks write the same number.
    each_weight(p, |from, weight| unsafe { *to.ahead(weight).get() = taps_major[from] });
}

/// Calls `f(index in [taps, C, O], index in [O, C, taps])` for every weight, in blocks of taps × outputs.
fn each_weight(p: &Problem, f: impl Fn(usize, usize) + Sync + Send) {
    let o = p.out_channels;
    let c = p.in_channels;
    let taps = p.kernel[0] * p.kernel[1];
    each(o.div_ceil(SIDE), |block| {
        for channel in 0..c {
            for tap0 in (0..taps).step_by(SIDE) {
                for tap in tap0..taps.min(tap0 + SIDE) {
                    for output in block * SIDE..o.min((block + 1) * SIDE) {
                        f((tap * c + channel) * o + output, (output * c + channel) * taps + tap);
                    }
                }
            }
        }
    });
}

/// Reorders `[O, C, taps]` -> `[taps, O, C]`.
pub(super) fn outputs_first(p: &Problem, w: &[f32]) -> Buffer {
    let o = p.out_channels;
    let row = p.rows();
    let taps = p.kernel[0] * p.kernel[1];
    assert_eq!(w.len(), o * row, "the weights of {p:?}");
    let mut out = Buffer::any(w.len());
    let to = Shared::new(&mut out);
    each(o, |output| {
        let from = &w[output * row..(output + 1) * row];
        for tap in 0..taps {
            // SAFETY: row (tap, output) lies inside `out`, as checked above, and only this task writes it.
            let row = unsafe {
                std::slice::from_raw_parts_mut(to.ahead((tap * o + output) * p.in_channels).get(), p.in_channels)
            };
            row.iter_mut().zip(from[tap..].iter().step_by(taps)).for_each(|(r, f)| *r = *f);
        }
    });
    out
}

//! Weights `[O, C, kh, kw]` as kernels read them, tap after tap, and back.

use crate::cpu::buffer::{Buffer, Shared};
use crate::cpu::layout::transpose_block;
use crate::cpu::parallel::each;
use crate::cpu::simd::{Job, LANES, Level, Simd};
use crate::spec::Problem;

/// Reorders `[O, C, taps]` -> `[taps, C, O]`.
pub(super) fn inputs_first(p: &Problem, w: &[f32]) -> Buffer {
    let mut out = Buffer::any(w.len());
    reorder(p, w, &mut out, true);
    out
}

/// Reorders `[taps, C, O]` -> `[O, C, taps]`.
pub(super) fn restore(p: &Problem, taps_major: &[f32], w: &mut [f32]) {
    reorder(p, taps_major, w, false);
}

/// Reorders `[O, C, taps]` -> `[taps, C, O]`, or back, if `to_taps` is false.
fn reorder(p: &Problem, from: &[f32], to: &mut [f32], to_taps: bool) {
    assert_eq!(from.len(), to.len(), "both orders have the same number of weights");
    assert_eq!(from.len(), p.out_channels * p.rows(), "the weights of {p:?}");
    let level = Level::current();
    let to = Shared::new(to);
    each(p.out_channels.div_ceil(LANES), |block| {
        // SAFETY: both slices have the weights' length, as checked above, and no two tasks write the same output's weights.
        unsafe { level.run(Outputs { p, from, to, to_taps, first: block * LANES }) }
    });
}

/// The weights of sixteen outputs, to be reordered.
struct Outputs<'a> {
    p: &'a Problem,
    from: &'a [f32],
    to: Shared,
    to_taps: bool,
    first: usize,
}

impl Job for Outputs<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { p, from, to, to_taps, first } = self;
        let (o, c) = (p.out_channels, p.in_channels);
        let taps = p.kernel[0] * p.kernel[1];
        let outputs = LANES.min(o - first);
        for channel in 0..c {
            for tap in (0..taps).step_by(LANES) {
                let some = LANES.min(taps - tap);
                let weight = (first * c + channel) * taps + tap;
                let taps_major = (tap * c + channel) * o + first;
                // SAFETY: both places lie inside the slices, which the caller vouches for.
                unsafe {
                    let from = from.as_ptr();
                    if to_taps {
                        let to = to.ahead(taps_major).get();
                        transpose_block::<S>(from.add(weight), c * taps, [outputs, some], to, c * o);
                    } else {
                        let to = to.ahead(weight).get();
                        transpose_block::<S>(from.add(taps_major), c * o, [some, outputs], to, c * taps);
                    }
                }
            }
        }
    }
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

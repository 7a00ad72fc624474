//! A stride-1 convolution seen from its other side.
//!
//! Windows that slide over x and end in fewer channels (128 -> 1 at the end of a generator) unfold x into columns kh·kw times
//! its size. The same convolution is the transpose of one that slides over y, with the kernel turned by 180°: then only y's
//! few channels are unfolded. The products are as large; the memory they read is smaller by the ratio of the channels.

use super::lower::{self, Problem};
use super::spec::{ConvSpec, Padding};
use crate::storage::Real;

/// y `[N, O, H', W']` from x `[N, C, H, W]` and w `[O, C, kh, kw]`, from whichever side is cheaper.
pub(super) fn forward<T: Real>(p: &Problem, x: &[T], w: &[T]) -> Vec<T> {
    match mirrored(p) {
        Some(q) => lower::input_grad(&q, x, &turned(p.out_channels, p.in_channels, p.kernel, w)),
        None => lower::forward(p, x, w),
    }
}

/// x-like `[N, C, H, W]` from y `[N, O, H', W']` and w `[O, C, kh, kw]`, from whichever side is cheaper.
pub(super) fn input_grad<T: Real>(p: &Problem, y: &[T], w: &[T]) -> Vec<T> {
    match mirrored(p) {
        Some(q) => lower::forward(&q, y, &turned(p.out_channels, p.in_channels, p.kernel, w)),
        None => lower::input_grad(p, y, w),
    }
}

/// w-like `[O, C, kh, kw]` from x `[N, C, H, W]` and y `[N, O, H', W']`, from whichever side is cheaper.
pub(super) fn weight_grad<T: Real>(p: &Problem, x: &[T], y: &[T]) -> Vec<T> {
    match mirrored(p) {
        Some(q) => turned(p.in_channels, p.out_channels, p.kernel, &lower::weight_grad(&q, y, x)),
        None => lower::weight_grad(p, x, y),
    }
}

/// The problem with x and y in each other's place, where that pays.
fn mirrored(p: &Problem) -> Option<Problem> {
    let area = |side: [usize; 2]| side[0] * side[1];
    let pays = p.out_channels * 2 <= p.in_channels && area(p.input) <= 2 * area(p.output);
    if p.spec.stride != [1, 1] || !pays {
        return None;
    }
    let reach = |i: usize| (p.kernel[i] - 1) * p.spec.dilation[i];
    let before = p.spec.padding.before();
    // Beyond the first image row and column, the lowering reads no padding.
    let padding =
        Padding { top: reach(0).checked_sub(before[0])?, left: reach(1).checked_sub(before[1])?, ..Padding::default() };
    Some(Problem {
        spec: ConvSpec { padding, ..p.spec },
        in_channels: p.out_channels,
        out_channels: p.in_channels,
        input: p.output,
        output: p.input,
        ..*p
    })
}

/// w `[A, B, kh, kw]` -> `[B, A, kh, kw]`, each kernel turned by 180°.
fn turned<T: Real>(a: usize, b: usize, [kh, kw]: [usize; 2], w: &[T]) -> Vec<T> {
    let taps = kh * kw;
    let mut turned = vec![T::ZERO; w.len()];
    for (i, kernel) in w.chunks_exact(taps).enumerate() {
        let to = &mut turned[(i % b * a + i / b) * taps..][..taps];
        to.iter_mut().zip(kernel.iter().rev()).for_each(|(t, k)| *t = *k);
    }
    turned
}

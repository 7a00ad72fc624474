//! 4×4 stride-2 and 3×3 stride-1 convolutions by Winograd's minimal filtering over channels-last images.
//!
//! In reading order: `transform` (the algorithms), `plan` (which grids a convolution is made of), `weights` (packed filters),
//! `slide` (forward and input gradient), `weight_grad`.

mod plan;
mod slide;
mod transform;
mod weight_grad;
mod weights;

use super::problem::Problem;
use super::taps;
use crate::packed::{Paired, Rounded, Single};
use crate::precision::Precision;
use crate::scratch::Buffer;
use crate::simd::Level;
use plan::Slide;
use transform::{Algorithm, F22, F23, F42};

/// Which way a pass goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// x to y.
    Forward,
    /// y to x.
    Backward,
}

/// Fewer channels than this on either side leave the transforms' lanes empty.
const LEAST_CHANNELS: usize = 8;

/// Whether a convolution is of a kind that these algorithms serve and gain on.
pub(super) fn serves(p: &Problem) -> bool {
    let kind = matches!((p.kernel, p.spec.stride), ([4, 4], [2, 2]) | ([3, 3], [1, 1]));
    let outputs: usize = p.output.iter().product();
    kind && p.spec.dilation == [1, 1] && p.in_channels.min(p.out_channels) >= LEAST_CHANNELS && outputs >= 4
}

/// Runs `$body` with the packing and the algorithm that a precision and a convolution ask for.
macro_rules! with_kind {
    ($precision:expr, $level:expr, $p:expr, |$P:ident, $W:ident| $body:expr) => {
        match ($precision, $level, $p.kernel) {
            (Precision::Bf16, Level::Avx512Bf16, [4, 4]) => with_kind!(@ Paired, F22, $P, $W, $body),
            (Precision::Bf16, _, [4, 4]) => with_kind!(@ Rounded, F22, $P, $W, $body),
            (Precision::Bf16, Level::Avx512Bf16, _) => with_kind!(@ Paired, F23, $P, $W, $body),
            (Precision::Bf16, _, _) => with_kind!(@ Rounded, F23, $P, $W, $body),
            (Precision::F32, _, [4, 4]) => with_kind!(@ Single, F42, $P, $W, $body),
            (Precision::F32Accurate, _, [4, 4]) => with_kind!(@ Single, F22, $P, $W, $body),
            _ => with_kind!(@ Single, F23, $P, $W, $body),
        }
    };
    (@ $format:ty, $algorithm:ty, $P:ident, $W:ident, $body:expr) => {{
        type $P = $format;
        type $W = $algorithm;
        $body
    }};
}

fn slide(p: &Problem, direction: Direction, m: usize) -> Slide {
    match direction {
        Direction::Forward => plan::forward(p, m),
        Direction::Backward => plan::input_grad(p, m),
    }
}

/// Weights `[O, C, kh, kw]` packed for one direction.
pub(super) fn pack(level: Level, precision: Precision, p: &Problem, direction: Direction, w: &[f32]) -> Buffer {
    let taps_major = match direction {
        Direction::Forward => taps::inputs_first(p, w),
        Direction::Backward => taps::outputs_first(p, w),
    };
    with_kind!(precision, level, p, |P, W| weights::pack::<P, W>(level, &slide(p, direction, W::OUTPUTS), &taps_major))
}

/// x `[N, H, W, C]` -> y `[N, H', W', O]`, or the other way round, with weights packed for that direction.
pub(super) fn run(
    level: Level,
    precision: Precision,
    p: &Problem,
    direction: Direction,
    from: &[f32],
    packed: &[f32],
    to: &mut [f32],
) {
    with_kind!(precision, level, p, |P, W| {
        slide::run::<P, W>(level, &slide(p, direction, W::OUTPUTS), from, packed, to);
    });
}

/// x `[N, H, W, C]`, dy `[N, H', W', O]` -> the gradient of taps-major weights `[tap][C][O]`.
pub(super) fn weight_grad(level: Level, precision: Precision, p: &Problem, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    with_kind!(precision, level, p, |P, W| weight_grad::run::<P, W>(level, &plan::forward(p, W::OUTPUTS), x, dy, dw));
}

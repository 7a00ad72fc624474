//! 4×4 stride-2 and 3×3 stride-1 convolutions by Winograd's minimal filtering over channels-last images.
//!
//! In reading order: `transform` (the algorithms), `plan` (which grids a convolution is made of), `weights` (packed filters),
//! `slide` (forward and input gradient), `weight_grad`.

mod plan;
mod slide;
mod transform;
mod weight_grad;
mod weights;

use super::taps;
use crate::cpu::buffer::Buffer;
use crate::cpu::gemm::{Onto, Paired, Rounded, Single};
use crate::cpu::simd::Level;
use crate::spec::{Precision, Problem};
use plan::Slide;
use transform::{Algorithm, F3x2, F22, F23, F33, F42, F43};

/// Direction of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From x to y.
    Forward,
    /// From y to x.
    Backward,
}

/// Minimum number of channels on either side; fewer leave the lanes of the transforms empty.
const LEAST_CHANNELS: usize = 8;

/// Returns whether these algorithms support a convolution and are faster for it.
pub(super) fn serves(p: &Problem) -> bool {
    let kind = matches!((p.kernel, p.spec.stride), ([4, 4], [2, 2]) | ([3, 3], [1, 1]));
    let outputs: usize = p.output.iter().product();
    kind && p.spec.dilation == [1, 1] && p.in_channels.min(p.out_channels) >= LEAST_CHANNELS && outputs >= 4
}

/// Runs `$body` for each part of a pass's grid, with the packing and the tile for a precision and a convolution. F(4, r) shares a side that
/// is not a multiple of four with F(3, r), so that no tile lies partly outside.
macro_rules! each_part {
    (@whole $format:ty, $algorithm:ty, $slide:expr, $P:ident, $W:ident, $part:ident, $body:expr) => {{
        let spans = $slide.grid.map(|n| plan::whole(n, <$algorithm>::OUTPUTS));
        each_part!(@part $format, ($algorithm, $algorithm), $slide, spans, $P, $W, $part, $body)
    }};
    (@mixed $four:ty, $three:ty, $slide:expr, $P:ident, $W:ident, $part:ident, $body:expr) => {{
        let [[d4, d3], [a4, a3]] = $slide.grid.map(plan::fours_and_threes);
        each_part!(@part Single, ($four, $four), $slide, [d4, a4], $P, $W, $part, $body);
        each_part!(@part Single, ($four, $three), $slide, [d4, a3], $P, $W, $part, $body);
        each_part!(@part Single, ($three, $four), $slide, [d3, a4], $P, $W, $part, $body);
        each_part!(@part Single, ($three, $three), $slide, [d3, a3], $P, $W, $part, $body);
    }};
    (@part $format:ty, $tile:ty, $slide:expr, $spans:expr, $P:ident, $W:ident, $part:ident, $body:expr) => {{
        type $P = $format;
        type $W = $tile;
        let $part = $slide.part($spans);
        if $part.tiles[0] * $part.tiles[1] > 0 {
            $body
        }
    }};
    ($precision:expr, $level:expr, $p:expr, $slide:expr, |$P:ident, $W:ident, $part:ident| $body:expr) => {
        match ($precision, $level, $p.kernel) {
            (Precision::Bf16, Level::Avx512Bf16, [4, 4]) => each_part!(@whole Paired, F22, $slide, $P, $W, $part, $body),
            (Precision::Bf16, _, [4, 4]) => each_part!(@whole Rounded, F22, $slide, $P, $W, $part, $body),
            (Precision::Bf16, Level::Avx512Bf16, _) => each_part!(@whole Paired, F23, $slide, $P, $W, $part, $body),
            (Precision::Bf16, _, _) => each_part!(@whole Rounded, F23, $slide, $P, $W, $part, $body),
            (Precision::F32Accurate, _, [4, 4]) => each_part!(@whole Single, F22, $slide, $P, $W, $part, $body),
            (Precision::F32, _, [4, 4]) => each_part!(@mixed F42, F3x2, $slide, $P, $W, $part, $body),
            (Precision::F32, _, _) if $slide.grid.iter().all(|n| *n > 2) => {
                each_part!(@mixed F43, F33, $slide, $P, $W, $part, $body);
            }
            _ => each_part!(@whole Single, F23, $slide, $P, $W, $part, $body),
        }
    };
}

fn slide(p: &Problem, direction: Direction) -> Slide {
    match direction {
        Direction::Forward => plan::forward(p),
        Direction::Backward => plan::input_grad(p),
    }
}

/// Packs weights `[O, C, kh, kw]` for one direction, into a buffer for each part of the pass.
pub(super) fn pack(level: Level, precision: Precision, p: &Problem, direction: Direction, w: &[f32]) -> Vec<Buffer> {
    let taps_major = match direction {
        Direction::Forward => taps::inputs_first(p, w),
        Direction::Backward => taps::outputs_first(p, w),
    };
    let slide = slide(p, direction);
    let mut packed = vec![];
    each_part!(precision, level, p, slide, |P, W, part| packed.push(weights::pack::<P, W>(level, &part, &taps_major)));
    packed
}

/// Computes x `[N, H, W, C]` -> y `[N, H', W', O]`, or the opposite direction, with weights packed for it.
pub(super) fn run(
    level: Level,
    precision: Precision,
    p: &Problem,
    direction: Direction,
    from: &[f32],
    packed: &[Buffer],
    to: &mut [f32],
) {
    let slide = slide(p, direction);
    let mut packed = packed.iter();
    each_part!(precision, level, p, slide, |P, W, part| {
        let u = packed.next().expect("packed for the same parts");
        slide::run::<P, W>(level, &part, from, u, to);
    });
}

/// Computes the gradient of taps-major weights `[tap][C][O]` from x `[N, H, W, C]` and dy `[N, H', W', O]`.
pub(super) fn weight_grad(level: Level, precision: Precision, p: &Problem, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let slide = plan::forward(p);
    let mut onto = Onto::Fresh;
    each_part!(precision, level, p, slide, |P, W, part| {
        // The first part overwrites dw, the others add to it.
        weight_grad::run::<P, W>(level, &part, x, dy, std::mem::replace(&mut onto, Onto::Sum), dw);
    });
}

//! f32 convolutions over channels-last images: the choice of the algorithm, and weights packed for it.
//!
//! Winograd's for 4×4 stride 2 and 3×3 stride 1 with enough channels; row products for dense layers and similar shapes, in f32 whatever the
//! precision; else im2col; or, with few output channels (3 or 1 at the end of a generator), col2im. A stride-1 convolution into few
//! channels is computed as the transpose of one that slides over its output. Groups run one after the other over the same images, each
//! reading and writing its own channels, except those of depthwise convolutions.

mod col2im;
mod dense;
mod depthwise;
mod im2col;
mod im2col_gemm;
mod taps;
#[cfg(test)]
mod tests;
#[allow(clippy::needless_range_loop, reason = "tiles are indexed by point in both directions, as the formulas are")]
mod winograd;

use crate::cpu::buffer::Buffer;
use crate::cpu::gemm::{PANEL, Paired, Rounded, Single};
use crate::cpu::simd::Level;
use crate::spec::{ConvSpec, Padding, Precision, Problem, product};
use im2col::Im2col;
use im2col_gemm::Target;
pub(crate) use winograd::Direction;

/// Algorithm of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Winograd,
    Depthwise,
    Dense,
    Im2col,
    Col2im,
}

/// Weights packed for one direction of one convolution; any number of samples.
#[derive(Debug)]
pub(crate) struct Packed {
    level: Level,
    /// Problem that they were packed for.
    problem: Problem,
    direction: Direction,
    precision: Precision,
    algorithm: Algorithm,
    /// Parts of each group in turn; of all groups at once for a depthwise convolution.
    parts: Vec<Buffer>,
}

/// Runs `$body` with the packing of a precision.
macro_rules! with_format {
    ($precision:expr, $level:expr, $P:ident => $body:expr) => {
        match ($precision, $level) {
            (Precision::Bf16, Level::Avx512Bf16) => {
                type $P = Paired;
                $body
            }
            (Precision::Bf16, _) => {
                type $P = Rounded;
                $body
            }
            _ => {
                type $P = Single;
                $body
            }
        }
    };
}

/// Maximum number of rows for which a dense layer's weight gradient is one product.
const MOST_ROWS: usize = 4096;

impl Packed {
    /// Returns each group's number and packed weights.
    fn groups(&self) -> impl Iterator<Item = (usize, &[Buffer])> {
        self.parts.chunks((self.parts.len() / self.problem.groups).max(1)).enumerate()
    }

    /// Panics if this was packed for another direction, or a convolution that differs in more than the number of samples.
    #[track_caller]
    fn assert_for(&self, p: &Problem, direction: Direction) {
        let same = Problem { samples: self.problem.samples, ..*p } == self.problem && self.direction == direction;
        assert!(same, "weights packed for {:?} {:?} cannot serve {direction:?} {p:?}", self.direction, self.problem);
    }
}

fn area(sides: [usize; 2]) -> usize {
    sides[0] * sides[1]
}

/// Returns the number of columns that a product over n actually computes.
fn whole_panels(n: usize) -> usize {
    n.next_multiple_of(PANEL)
}

fn choose(p: &Problem, direction: Direction) -> Algorithm {
    if winograd::serves(p) {
        return Algorithm::Winograd;
    }
    if depthwise::serves(p) {
        return Algorithm::Depthwise;
    }
    if p.groups > 1 {
        return Algorithm::Im2col;
    }
    if dense::row(p).is_some() {
        return Algorithm::Dense;
    }
    let taps = area(p.kernel);
    let (im2col, col2im) = match direction {
        Direction::Forward => {
            let col2im =
                mirrored(p).map(|_| product(&[area(p.input), p.in_channels, whole_panels(taps * p.out_channels)]));
            (product(&[area(p.output), taps, p.in_channels, whole_panels(p.out_channels)]), col2im)
        }
        Direction::Backward => {
            // Each pixel meets one in stride² of the taps.
            let met = taps.div_ceil(area(p.spec.stride));
            let im2col = product(&[area(p.input), met, p.out_channels, whole_panels(p.in_channels)]);
            (im2col, Some(product(&[area(p.output), p.out_channels, whole_panels(taps * p.in_channels)])))
        }
    };
    // col2im moves more memory, so it has to save a large part of the products.
    if col2im.is_some_and(|col2im| col2im.saturating_mul(3) < im2col.saturating_mul(2)) {
        Algorithm::Col2im
    } else {
        Algorithm::Im2col
    }
}

/// Returns a stride-1 problem with x and y exchanged and the kernel rotated by 180°.
fn mirrored(p: &Problem) -> Option<Problem> {
    if p.spec.stride != [1, 1] {
        return None;
    }
    let reach = |i: usize| (p.kernel[i] - 1) * p.spec.dilation[i];
    let before = p.spec.padding.before();
    // Beyond the first row and column, no padding is read.
    let padding =
        Padding { top: reach(0).checked_sub(before[0])?, left: reach(1).checked_sub(before[1])?, ..Padding::default() };
    Some(Problem { spec: ConvSpec { padding, ..p.spec }, ..p.swapped() })
}

/// Returns the windows for every parity of x's pixels, and the first of these pixels.
fn parities(p: &Problem) -> impl Iterator<Item = (Im2col, [usize; 2])> {
    let [sy, sx] = p.spec.stride;
    let parities = (0..sy * sx).map(move |i| [i / sx, i % sx]);
    parities.filter_map(|parity| Some((Im2col::backward(p, parity)?, parity)))
}

/// Packs weights `[O, C, kh, kw]` of each group for one direction.
pub(crate) fn pack(level: Level, precision: Precision, p: &Problem, direction: Direction, w: &[f32]) -> Packed {
    assert_eq!(w.len(), p.weights(), "the weights of {p:?}");
    let algorithm = choose(p, direction);
    let groups = w.chunks_exact((p.out_channels * p.rows()).max(1));
    let parts = match algorithm {
        Algorithm::Depthwise => vec![depthwise::pack(p, w)],
        _ => groups.flat_map(|w| pack_group(level, precision, p, direction, algorithm, w)).collect(),
    };
    Packed { level, problem: *p, direction, precision, algorithm, parts }
}

/// Packs the weights of one group.
fn pack_group(
    level: Level,
    precision: Precision,
    p: &Problem,
    direction: Direction,
    algorithm: Algorithm,
    w: &[f32],
) -> Vec<Buffer> {
    let o = p.out_channels;
    let c = p.in_channels;
    let taps = area(p.kernel);
    let at = |o: usize, channel: usize, tap: usize| w[(o * c + channel) * taps + tap];
    match (algorithm, direction) {
        (Algorithm::Winograd, _) => winograd::pack(level, precision, p, direction, w),
        (Algorithm::Depthwise, _) => unreachable!("packed for all groups at once"),
        (Algorithm::Dense, Direction::Forward) => {
            let rows = taps::inputs_first(p, w);
            vec![im2col_gemm::pack_rows::<Single>(level, p.rows(), o, |k| &rows[k * o..][..o])]
        }
        (Algorithm::Dense, Direction::Backward) => vec![dense::in_order(p, w)],
        (Algorithm::Im2col, Direction::Forward) => {
            let rows = taps::inputs_first(p, w);
            with_format!(precision, level, P => vec![im2col_gemm::pack_rows::<P>(level, taps * c, o, |k| &rows[k * o..][..o])])
        }
        (Algorithm::Col2im, Direction::Forward) => {
            let get = |channel: usize, n: usize| at(n % o, channel, taps - 1 - n / o);
            with_format!(precision, level, P => vec![im2col_gemm::pack::<P>(level, c, taps * o, get)])
        }
        (Algorithm::Im2col, Direction::Backward) => {
            let rows = taps::outputs_first(p, w);
            let pack = |im2col: &Im2col| {
                let row = |k: usize| &rows[(im2col.taps[k / o] * o + k % o) * c..][..c];
                with_format!(precision, level, P => im2col_gemm::pack_rows::<P>(level, im2col.width(), c, row))
            };
            parities(p).map(|(im2col, _)| pack(&im2col)).collect()
        }
        (Algorithm::Col2im, Direction::Backward) => {
            with_format!(precision, level, P => vec![im2col_gemm::pack::<P>(level, o, taps * c, |o, n| at(o, n % c, n / c))])
        }
    }
}

/// Returns whether a forward pass reads its weights as they are, by [`forward_in_place`].
pub(crate) fn reads_in_place(p: &Problem) -> bool {
    dense::reads_in_place(p)
}

/// Computes x `[N, H, W, C]` -> y `[N, H', W', O]` with weights as they are.
pub(crate) fn forward_in_place(level: Level, p: &Problem, x: &[f32], w: &[f32], y: &mut [f32]) {
    p.assert_lengths(x, y);
    dense::in_place(level, x, w, [p.rows(), p.out_channels], y);
}

/// Returns whether an input gradient reads its weights as they are, by [`input_grad_in_place`].
pub(crate) fn grad_reads_in_place(p: &Problem) -> bool {
    dense::is_plain(p)
}

/// Computes y `[N, H', W', O]` -> x `[N, H, W, C]` with weights as they are.
pub(crate) fn input_grad_in_place(level: Level, p: &Problem, y: &[f32], w: &[f32], x: &mut [f32]) {
    p.assert_lengths(x, y);
    dense::grad_in_place(level, p, y, w, x);
}

/// Computes x `[N, H, W, C]` -> y `[N, H', W', O]` with weights packed forward.
pub(crate) fn forward(p: &Problem, x: &[f32], w: &Packed, y: &mut [f32]) {
    let Packed { level, precision, .. } = *w;
    p.assert_lengths(x, y);
    w.assert_for(p, Direction::Forward);
    if x.is_empty() || y.is_empty() {
        return y.fill(0.0);
    }
    for (group, parts) in w.groups() {
        let x = &x[group * p.in_channels..];
        let y = &mut y[group * p.out_channels..];
        match w.algorithm {
            Algorithm::Winograd => winograd::run(level, precision, p, Direction::Forward, x, parts, y),
            Algorithm::Depthwise => depthwise::run(level, p, Direction::Forward, x, &parts[0], y),
            Algorithm::Dense => dense::run(level, x, &parts[0], [p.rows(), p.out_channels], true, y),
            Algorithm::Im2col => with_format!(precision, level, P => {
                let columns = [p.out_channels, p.pitch()[1]];
                im2col_gemm::run::<P>(level, &Im2col::forward(p), x, &parts[0], columns, Target::Rows, y);
            }),
            Algorithm::Col2im => {
                let q = mirrored(p).expect("chosen for problems with another side");
                with_format!(precision, level, P => col2im::run::<P>(level, &q, x, &parts[0], y));
            }
        }
    }
}

/// Computes y `[N, H', W', O]` -> x `[N, H, W, C]` with weights packed backward.
pub(crate) fn input_grad(p: &Problem, y: &[f32], w: &Packed, x: &mut [f32]) {
    let Packed { level, precision, .. } = *w;
    p.assert_lengths(x, y);
    w.assert_for(p, Direction::Backward);
    if x.is_empty() || y.is_empty() {
        return x.fill(0.0);
    }
    for (group, parts) in w.groups() {
        let y = &y[group * p.out_channels..];
        let x = &mut x[group * p.in_channels..];
        match w.algorithm {
            Algorithm::Winograd => winograd::run(level, precision, p, Direction::Backward, y, parts, x),
            Algorithm::Depthwise => depthwise::run(level, p, Direction::Backward, y, &parts[0], x),
            Algorithm::Dense => dense::run(level, y, &parts[0], [p.out_channels, p.rows()], false, x),
            Algorithm::Im2col => {
                let columns = [p.in_channels, p.pitch()[0]];
                for ((im2col, offset), b) in parities(p).zip(parts) {
                    let target = Target::Pixels { size: p.input, offset, stride: p.spec.stride };
                    with_format!(precision, level, P => im2col_gemm::run::<P>(level, &im2col, y, b, columns, target, x));
                }
            }
            Algorithm::Col2im => with_format!(precision, level, P => col2im::run::<P>(level, p, y, &parts[0], x)),
        }
    }
}

/// Computes the gradient of weights `[O, C, kh, kw]` of each group from x `[N, H, W, C]` and dy `[N, H', W', O]`.
pub(crate) fn weight_grad(level: Level, precision: Precision, p: &Problem, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    p.assert_lengths(x, dy);
    assert_eq!(dw.len(), p.weights(), "the weights of {p:?}");
    if x.is_empty() || dy.is_empty() {
        return dw.fill(0.0);
    }
    if depthwise::serves(p) {
        return depthwise::weight_grad(level, p, x, dy, dw);
    }
    for (group, dw) in dw.chunks_exact_mut(p.out_channels * p.rows()).enumerate() {
        group_weight_grad(level, precision, p, &x[group * p.in_channels..], &dy[group * p.out_channels..], dw);
    }
}

/// Computes the gradient of one group's weights from images that begin with its first channel.
fn group_weight_grad(level: Level, precision: Precision, p: &Problem, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    // Over many pixels, a plain product would leave threads idle.
    if p.groups == 1 && dense::row(p).is_some() && p.samples * area(p.output) <= MOST_ROWS {
        return dense::weight_grad(level, p, x, dy, dw);
    }
    let taps = area(p.kernel);
    let mut taps_major = Buffer::any(dw.len());
    if winograd::serves(p) {
        winograd::weight_grad(level, precision, p, x, dy, &mut taps_major);
        return taps::restore(p, &taps_major, dw);
    }
    let cost = |p: &Problem| product(&[area(p.output), taps, p.in_channels, whole_panels(p.out_channels)]);
    let swapped = mirrored(p).filter(|q| cost(q).saturating_mul(2) < cost(p));
    let (windows, x, dy, columns) = match &swapped {
        None => (Im2col::forward(p), x, dy, [p.out_channels, p.pitch()[1]]),
        Some(q) => (Im2col::forward(q), dy, x, [q.out_channels, q.pitch()[1]]),
    };
    with_format!(precision, level, P => im2col_gemm::weight_grad::<P>(level, &windows, x, dy, columns, &mut taps_major));
    match swapped {
        None => taps::restore(p, &taps_major, dw),
        Some(_) => {
            // Rows are (rotated tap, output), columns inputs.
            let c = p.in_channels;
            for (i, value) in dw.iter_mut().enumerate() {
                let row = (taps - 1 - i % taps) * p.out_channels + i / (c * taps);
                *value = taps_major[row * c + i / taps % c];
            }
        }
    }
}

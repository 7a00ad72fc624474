//! Compares every algorithm, precision and instruction set with the plain loops, over random shapes.

use super::im2col::Im2col;
use super::im2col_gemm::{self, Target};
use super::{
    Direction, col2im, forward, forward_in_place, grad_reads_in_place, input_grad, input_grad_in_place, reads_in_place,
    taps, weight_grad,
};
use crate::cpu::gemm::Single;
use crate::cpu::layout::{channels_first, channels_last};
use crate::cpu::simd::Level;
use crate::spec::{ConvSpec, Padding, Precision, Problem};
use crate::testing::refused;
use proptest::prelude::*;

#[allow(dead_code, reason = "the integration tests use the rest")]
#[path = "../../../tests/common/plain_loops.rs"]
mod plain_loops;

/// Returns pseudorandom numbers in [−1, 1).
fn made(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}

fn first(x: &[f32], c: usize, pixels: usize) -> Vec<f32> {
    let mut to = vec![0.0; x.len()];
    channels_first(x, c, pixels, &mut to);
    to
}

/// Returns the largest difference relative to the largest number, and the root mean square of the differences relative to that of the numbers.
fn errors(ours: &[f32], exact: &[f64]) -> (f64, f64) {
    assert_eq!(ours.len(), exact.len());
    let differences = || ours.iter().zip(exact).map(|(a, b)| (f64::from(*a) - b).abs());
    let largest = exact.iter().fold(1e-9f64, |m, x| m.max(x.abs()));
    let squares = exact.iter().map(|x| x * x).sum::<f64>().max(1e-18);
    let worst = differences().fold(0.0, |m: f64, d| if d.is_nan() { f64::INFINITY } else { m.max(d) });
    // With few numbers, which may cancel, the mean error is meaningless.
    let squared = if exact.len() < 16 { 0.0 } else { differences().map(|d| d * d).sum::<f64>() };
    (worst / largest, (squared / squares).sqrt())
}

/// Random arguments of a problem, and the exact results of its three passes.
struct Made {
    x: Vec<f32>,
    y: Vec<f32>,
    w: Vec<f32>,
    exact: [Vec<f64>; 3],
}

fn exactly(p: &Problem) -> Made {
    let (x, y) = (made(p.samples * p.input_len(), 1), made(p.samples * p.output_len(), 2));
    let w = made(p.weights(), 3);
    if p.groups > 1 {
        return in_groups(p, x, y, w);
    }
    let exact = of_one_group(p, &x, &y, &w);
    Made { x, y, w, exact }
}

/// Computes each group by itself from its channels, and puts the results together.
fn in_groups(p: &Problem, x: Vec<f32>, y: Vec<f32>, w: Vec<f32>) -> Made {
    let one = Problem { groups: 1, ..*p };
    let (x_len, y_len) = (one.input_len(), one.output_len());
    let mut exact = [vec![0.0; y.len()], vec![0.0; x.len()], vec![]];
    for g in 0..p.groups {
        let part = |all: &[f32], len: usize| -> Vec<f32> {
            all.chunks(len * p.groups).flat_map(|sample| sample[g * len..][..len].to_vec()).collect()
        };
        let w = &w[g * one.weights()..][..one.weights()];
        let found = of_one_group(&one, &part(&x, x_len), &part(&y, y_len), w);
        for (all, own, len) in [(0, &found[0], y_len), (1, &found[1], x_len)] {
            for (to, from) in exact[all].chunks_mut(len * p.groups).zip(own.chunks(len)) {
                to[g * len..][..len].copy_from_slice(from);
            }
        }
        exact[2].extend(&found[2]);
    }
    Made { x, y, w, exact }
}

fn of_one_group(p: &Problem, x: &[f32], y: &[f32], w: &[f32]) -> [Vec<f64>; 3] {
    let ([h, wd], [kh, kw]) = (p.input, p.kernel);
    let w_shape = [p.out_channels, p.in_channels, kh, kw];
    let (forward, _) = plain_loops::conv2d(&wide(x), [p.samples, p.in_channels, h, wd], &wide(w), w_shape, &p.spec);
    let y_shape = [p.samples, p.out_channels, p.output[0], p.output[1]];
    let backward = plain_loops::conv_transpose2d(&wide(y), y_shape, &wide(w), w_shape, &p.spec, p.input);
    [forward, backward, by_taps(p, x, y)]
}

/// Returns the errors (largest and root mean square) of the three passes on one level.
fn three(p: &Problem, made: &Made, level: Level, precision: Precision) -> [(f64, f64); 3] {
    let Made { x, y, w, exact } = made;
    let (xs, ys) = (p.input[0] * p.input[1], p.output[0] * p.output[1]);
    let [c, o] = p.pitch();
    let (x_last, y_last) = (channels_last(x, c, xs), channels_last(y, o, ys));
    // NaN reveals values that a kernel does not write.
    let mut out = vec![f32::NAN; y.len()];
    forward(p, &x_last, &super::pack(level, precision, p, Direction::Forward, w), &mut out);
    let one = errors(&first(&out, o, ys), &exact[0]);
    let mut out = vec![f32::NAN; x.len()];
    input_grad(p, &y_last, &super::pack(level, precision, p, Direction::Backward, w), &mut out);
    let two = errors(&first(&out, c, xs), &exact[1]);
    let mut found = [one, two];
    if reads_in_place(p) {
        let mut out = vec![f32::NAN; y.len()];
        forward_in_place(level, p, &x_last, w, &mut out);
        found[0] = worse(found[0], errors(&first(&out, o, ys), &exact[0]));
    }
    if grad_reads_in_place(p) {
        let mut out = vec![f32::NAN; x.len()];
        input_grad_in_place(level, p, &y_last, w, &mut out);
        found[1] = worse(found[1], errors(&first(&out, c, xs), &exact[1]));
    }
    let mut out = vec![f32::NAN; w.len()];
    weight_grad(level, precision, p, &x_last, &y_last, &mut out);
    [found[0], found[1], errors(&out, &exact[2])]
}

fn worse(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0.max(b.0), a.1.max(b.1))
}

/// Computes the gradient of the weights in plain loops.
fn by_taps(p: &Problem, x: &[f32], y: &[f32]) -> Vec<f64> {
    let ([kh, kw], mut w) = (p.kernel, vec![0.0; p.out_channels * p.rows()]);
    let (xs, ys) = (p.input[0] * p.input[1], p.positions());
    for ky in 0..kh {
        for kx in 0..kw {
            let ((oy0, oy1, top), (ox0, ox1, left)) = (p.span(0, ky), p.span(1, kx));
            for n in 0..p.samples {
                for o in 0..p.out_channels {
                    for c in 0..p.in_channels {
                        let mut sum = 0.0;
                        for oy in oy0..oy1 {
                            for ox in ox0..ox1 {
                                let iy = top + (oy - oy0) * p.spec.stride[0];
                                let ix = left + (ox - ox0) * p.spec.stride[1];
                                let a = x[(n * p.in_channels + c) * xs + iy * p.input[1] + ix];
                                let b = y[(n * p.out_channels + o) * ys + oy * p.output[1] + ox];
                                sum += f64::from(a) * f64::from(b);
                            }
                        }
                        w[((o * p.in_channels + c) * kh + ky) * kw + kx] += sum;
                    }
                }
            }
        }
    }
    w
}

fn problem(
    spec: ConvSpec,
    [samples, groups, in_channels, out_channels]: [usize; 4],
    input: [usize; 2],
    kernel: [usize; 2],
) -> Option<Problem> {
    let output = spec.output_size(input, kernel).ok()?;
    Some(Problem { spec, samples, groups, in_channels, out_channels, input, output, kernel })
}

/// Returns the tolerance of a precision: the largest error, and the root mean square.
fn allowed(precision: Precision) -> (f64, f64) {
    match precision {
        Precision::F32 => (1e-4, 1e-5),
        Precision::F32Accurate => (1e-5, 4e-6),
        Precision::Bf16 => (4e-2, 1e-2),
    }
}

fn check(p: &Problem) -> Result<(), TestCaseError> {
    let made = exactly(p);
    for level in Level::available() {
        for precision in [Precision::F32, Precision::F32Accurate, Precision::Bf16] {
            let (largest, rms) = allowed(precision);
            for (i, error) in three(p, &made, level, precision).into_iter().enumerate() {
                prop_assert!(
                    error.0 < largest && error.1 < rms,
                    "{error:?} in pass {i} of {p:?} on {level:?} in {precision:?}"
                );
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_convolutions_equal_the_loops(
        stride in (1..4usize, 1..4usize), pads in prop::array::uniform4(0..3usize), dilation in (1..3usize, 1..3usize),
        channels in (0..4usize, 1..4usize, 1..30usize, 1..30usize), input in (1..10usize, 1..10usize), kernel in (1..6usize, 1..6usize),
    ) {
        let [top, bottom, left, right] = pads;
        let spec = ConvSpec {
            stride: [stride.0, stride.1],
            padding: Padding { top, bottom, left, right },
            dilation: [dilation.0, dilation.1],
            ..ConvSpec::default()
        };
        let p = problem(spec, channels.into(), input.into(), kernel.into());
        if let Some(p) = p { check(&p)?; }
    }

    #[test]
    fn winograd_shapes_equal_the_loops(
        four in any::<bool>(), pads in prop::array::uniform4(0..4usize), samples in 0..4usize, groups in 1..3usize,
        channels in (8..70usize, 8..70usize), input in (4..19usize, 4..19usize),
    ) {
        let [top, bottom, left, right] = pads;
        let (kernel, stride) = if four { (4, 2) } else { (3, 1) };
        let spec = ConvSpec { stride: [stride; 2], padding: Padding { top, bottom, left, right }, ..ConvSpec::default() };
        if let Some(p) = problem(spec, [samples, groups, channels.0, channels.1], input.into(), [kernel; 2]) { check(&p)?; }
    }

    #[test]
    fn convolutions_with_few_channels_on_one_side_equal_the_loops(
        few in 1..4usize, many in 8..80usize, swapped in any::<bool>(), kernel in 1..8usize, stride in 1..3usize,
        before in 0..4usize, after in 0..4usize, input in (4..12usize, 4..12usize),
    ) {
        let padding = Padding { top: before, bottom: after, left: after, right: before };
        let spec = ConvSpec { stride: [stride; 2], padding, ..ConvSpec::default() };
        let channels = if swapped { [2, 1, many, few] } else { [2, 1, few, many] };
        if let Some(p) = problem(spec, channels, input.into(), [kernel; 2]) { check(&p)?; }
    }

    #[test]
    fn depthwise_convolutions_equal_the_loops(
        channels in 1..90usize, samples in 0..5usize, stride in (1..4usize, 1..4usize), dilation in (1..3usize, 1..3usize),
        pads in prop::array::uniform4(0..4usize), input in (1..12usize, 1..12usize), kernel in (1..6usize, 1..6usize),
    ) {
        let [top, bottom, left, right] = pads;
        let padding = Padding { top, bottom, left, right };
        let spec = ConvSpec { stride: stride.into(), padding, dilation: dilation.into(), ..ConvSpec::default() };
        if let Some(p) = problem(spec, [samples, channels, 1, 1], input.into(), kernel.into()) { check(&p)?; }
    }
}

#[test]
fn the_shapes_of_the_presets_networks_equal_the_loops() {
    let same = |stride| ConvSpec::square(stride, 1);
    for (spec, channels, side, kernel) in [
        (same(2), [3, 1, 64, 128], 32, 4),
        (same(2), [3, 1, 3, 64], 64, 4),
        (same(2), [5, 1, 256, 512], 8, 4),
        (ConvSpec::default(), [3, 1, 512, 1], 4, 4),
        (ConvSpec::default(), [7, 1, 512, 100], 4, 4),
        (ConvSpec::square(1, 3), [2, 1, 128, 1], 28, 7),
        (same(2), [70, 1, 64, 128], 14, 4),
        (same(1), [2, 1, 128, 64], 28, 3),
        (same(1), [2, 4, 32, 32], 7, 3),
        (ConvSpec::default(), [37, 1, 320, 250], 1, 1),
        (ConvSpec::default(), [9, 1, 64, 2048], 1, 1),
        (ConvSpec::default(), [3, 1, 64, 32], 20, 1),
    ] {
        let p = problem(spec, channels, [side; 2], [kernel; 2]).unwrap();
        check(&p).unwrap();
    }
}

#[test]
fn non_finite_inputs_give_non_finite_outputs() {
    let p = problem(ConvSpec::square(2, 1), [1, 1, 16, 16], [8, 8], [4, 4]).unwrap();
    for level in Level::available() {
        for bad in [f32::NAN, f32::INFINITY] {
            let (mut x, w) = (made(p.input_len(), 1), made(p.out_channels * p.rows(), 3));
            x[5 * 16] = bad;
            let mut y = vec![0.0; p.output_len()];
            forward(&p, &x, &super::pack(level, Precision::F32, &p, Direction::Forward, &w), &mut y);
            assert!(y.iter().any(|y| !y.is_finite()));
        }
    }
}

/// Returns one problem for each algorithm: two for Winograd, one each for the matrix product, im2col, col2im and depthwise convolutions.
fn one_of_each() -> [Problem; 6] {
    let of = |channels: [usize; 2], side: usize, kernel: usize, spec: ConvSpec| Problem {
        spec,
        samples: 2,
        groups: if channels == [1, 1] { 20 } else { 1 },
        in_channels: channels[0],
        out_channels: channels[1],
        input: [side; 2],
        output: spec.output_size([side; 2], [kernel; 2]).unwrap(),
        kernel: [kernel; 2],
    };
    [
        of([16, 16], 8, 4, ConvSpec::square(2, 1)),
        of([16, 16], 8, 3, ConvSpec::square(1, 1)),
        of([40, 24], 1, 1, ConvSpec::default()),
        of([5, 40], 9, 5, ConvSpec::square(2, 1)),
        of([40, 1], 9, 7, ConvSpec::square(1, 3)),
        of([1, 1], 9, 3, ConvSpec::square(2, 1)),
    ]
}

#[test]
fn other_lengths_are_refused() {
    let level = Level::current();
    for precision in [Precision::F32, Precision::Bf16] {
        for p in one_of_each() {
            let (x, y) = (vec![0.5; p.samples * p.input_len()], vec![0.5; p.samples * p.output_len()]);
            let w = vec![0.5; p.weights()];
            let pack = |direction, w: &[f32]| super::pack(level, precision, &p, direction, w);
            let (ahead, back) = (pack(Direction::Forward, &w), pack(Direction::Backward, &w));
            let longer = |v: &[f32]| [v, &[0.0]].concat();
            for direction in [Direction::Forward, Direction::Backward] {
                refused(|| drop(pack(direction, &w[1..])));
                refused(|| drop(pack(direction, &longer(&w))));
            }
            forward(&p, &x, &ahead, &mut y.clone());
            input_grad(&p, &y, &back, &mut x.clone());
            for x in [&x[1..], &longer(&x), &[]] {
                refused(|| forward(&p, x, &ahead, &mut y.clone()));
                refused(|| input_grad(&p, &y, &back, &mut x.to_vec()));
                refused(|| weight_grad(level, precision, &p, x, &y, &mut w.clone()));
            }
            for y in [&y[1..], &longer(&y), &[]] {
                refused(|| forward(&p, &x, &ahead, &mut y.to_vec()));
                refused(|| input_grad(&p, y, &back, &mut x.clone()));
                refused(|| weight_grad(level, precision, &p, &x, y, &mut w.clone()));
            }
            for w in [&w[1..], &longer(&w), &[]] {
                refused(|| weight_grad(level, precision, &p, &x, &y, &mut w.to_vec()));
            }
            // Weights that were packed for the other direction, and for another problem.
            refused(|| forward(&p, &x, &back, &mut y.clone()));
            refused(|| input_grad(&p, &y, &ahead, &mut x.clone()));
            for q in one_of_each().iter().filter(|q| **q != p) {
                let (x, y) = (vec![0.5; q.samples * q.input_len()], vec![0.5; q.samples * q.output_len()]);
                refused(|| forward(q, &x, &ahead, &mut y.clone()));
                refused(|| input_grad(q, &y, &back, &mut x.clone()));
            }
        }
    }
}

#[test]
fn windows_and_pixels_of_other_lengths_are_refused() {
    let (level, p) = (Level::current(), one_of_each()[3]);
    let im2col = Im2col::forward(&p);
    let (x, n) = (vec![0.5; p.samples * p.input_len()], p.out_channels);
    let b = im2col_gemm::pack::<Single>(level, im2col.width(), n, |_, _| 0.5);
    let y = vec![0.5; im2col.rows() * n];
    let run = |x: &[f32], b: &[f32], target: Target, mut y: Vec<f32>| {
        im2col_gemm::run::<Single>(level, &im2col, x, b, [n, n], target, &mut y);
    };
    run(&x, &b, Target::Rows, y.clone());
    refused(|| run(&x[1..], &b, Target::Rows, y.clone()));
    refused(|| run(&x, &b[1..], Target::Rows, y.clone()));
    refused(|| run(&x, &b, Target::Rows, y[1..].to_vec()));
    let [down, across] = im2col.grid;
    let pixels = |size: [usize; 2], offset: usize| Target::Pixels { size, offset: [offset; 2], stride: [1, 1] };
    run(&x, &b, pixels([down, across], 0), y.clone());
    refused(|| run(&x, &b, pixels([down, across], 1), y.clone()));
    refused(|| run(&x, &b, pixels([down, across - 1], 0), y.clone()));
    refused(|| run(&x, &b, pixels([down + 1, across], 0), y.clone()));
    let mut dw = vec![0.0; im2col.width() * n];
    let mut grad = |x: &[f32], dy: &[f32], len: usize| {
        im2col_gemm::weight_grad::<Single>(level, &im2col, x, dy, [n, n], &mut dw[..len]);
    };
    let whole = im2col.width() * n;
    grad(&x, &y, whole);
    refused(|| grad(&x[1..], &y, whole));
    refused(|| grad(&x, &y[1..], whole));
    refused(|| grad(&x, &y, whole - 1));

    let p = one_of_each()[4];
    let (x, y) = (vec![0.5; p.samples * p.input_len()], vec![0.5; p.samples * p.output_len()]);
    let b = im2col_gemm::pack::<Single>(level, p.out_channels, p.rows(), |_, _| 0.5);
    col2im::run::<Single>(level, &p, &y, &b, &mut x.clone());
    refused(|| col2im::run::<Single>(level, &p, &y[1..], &b, &mut x.clone()));
    refused(|| col2im::run::<Single>(level, &p, &y, &b[1..], &mut x.clone()));
    refused(|| col2im::run::<Single>(level, &p, &y, &b, &mut x[1..].to_vec()));

    let w = vec![0.5; p.out_channels * p.rows()];
    refused(|| drop(taps::inputs_first(&p, &w[1..])));
    refused(|| drop(taps::outputs_first(&p, &w[1..])));
    refused(|| taps::restore(&p, &w[1..], &mut w.clone()));
    refused(|| taps::restore(&p, &w[1..], &mut w[1..].to_vec()));
}

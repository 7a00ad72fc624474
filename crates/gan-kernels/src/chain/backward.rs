//! The backward pass: gradients of the input and of all parameters from that of the output.

use super::forward::{Keep, Trace, channels, dropout, each_pixel, scales, sigmoid};
use super::packed::{problem, weights};
use super::{Chain, Link, Stage, Weights};
use crate::conv::kernel;
use crate::conv::winograd::Direction;
use crate::layout::{channels_first, channels_last};
use crate::ranks;
use crate::rows::{act, norm};
use crate::scratch::Buffer;
use crate::simd::Level;

impl Chain {
    /// The output's gradient `[n, H', W', C']` -> the input's `[n, H, W, C]`, if it is kept; the parameters' are written to
    /// `dtheta`, if they are.
    pub(crate) fn backward(
        &self,
        mut trace: Trace,
        theta: &[f32],
        mut g: Buffer,
        dtheta: &mut [f32],
    ) -> Option<Buffer> {
        let keep = trace.keep;
        for (index, stage) in self.stages.iter().enumerate().rev() {
            let goes_on = keep.input || (keep.parameters && self.has_parameters_before(index));
            g = self.stage_back(index, stage, &mut trace, theta, g, dtheta, goes_on)?;
            // What comes later in the chain is done with.
            trace.values.truncate(index + 1);
        }
        keep.input.then_some(g)
    }

    pub(super) fn has_parameters_before(&self, index: usize) -> bool {
        self.stages[..index]
            .iter()
            .any(|s| matches!(s.link, Link::Conv { .. } | Link::ConvTranspose { .. } | Link::BatchNorm { .. }))
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn stage_back(
        &self,
        index: usize,
        stage: &Stage,
        trace: &mut Trace,
        theta: &[f32],
        mut g: Buffer,
        dtheta: &mut [f32],
        goes_on: bool,
    ) -> Option<Buffer> {
        let level = Level::current();
        let (n, keep) = (trace.samples, trace.keep);
        let ([h, w, c], [oh, ow, o]) = (stage.input, stage.output);
        let (input, output) = (trace.values[index].as_deref(), trace.values[index + 1].as_deref());
        let mut dx;
        match &stage.link {
            Link::Conv { weights: at, .. } | Link::ConvTranspose { weights: at, .. } => {
                act::backward(level, stage.act, output.unwrap_or(&[]), if output.is_some() { &mut g } else { &mut [] });
                if keep.parameters {
                    let again =
                        if input.is_none() { self.norm_again(index.checked_sub(1)?, trace, theta) } else { None };
                    self.weight_grads(index, n, at, input.or(again.as_deref())?, &g, dtheta);
                }
                trace.values[index + 1] = None;
                if !goes_on {
                    return None;
                }
                dx = Buffer::any(n * h * w * c);
                if matches!(stage.link, Link::Conv { .. }) {
                    let packed = self.packed(index, theta, Direction::Backward, true);
                    kernel::input_grad(&problem(stage, n), &g, &packed, &mut dx);
                } else {
                    let packed = self.packed(index, theta, Direction::Forward, true);
                    kernel::forward(&problem(stage, n), &g, &packed, &mut dx);
                }
            }
            Link::BatchNorm { .. } => {
                norm_back(stage, trace, index, theta, &mut g, dtheta);
                return Some(g);
            }
            Link::Act(act) => {
                act::backward(level, *act, output.unwrap_or(&[]), if output.is_some() { &mut g } else { &mut [] });
                return Some(g);
            }
            Link::Sigmoid => {
                g.iter_mut().zip(input?).for_each(|(g, x)| *g *= sigmoid(*x) * sigmoid(-x));
                return Some(g);
            }
            Link::Leaky(slope) => {
                g.iter_mut().zip(input?).for_each(|(g, x)| *g *= if *x > 0.0 { 1.0 } else { *slope });
                return Some(g);
            }
            Link::Dropout(rate) => {
                let numbers = if trace.given { None } else { trace.noise.pop() };
                return Some(numbers.map_or_else(|| Buffer::of(&g), |numbers| dropout(&g, &numbers, *rate)));
            }
            Link::Reshape(_) => {
                let mut flat = Buffer::any(g.len());
                channels_first(&g, o, oh * ow, &mut flat);
                return Some(channels_last(&flat, c, h * w));
            }
            Link::Upsample([down, across]) => {
                dx = Buffer::zeros(n * h * w * c);
                each_pixel(n, stage.output, |n, i, j| {
                    add(
                        &mut dx,
                        ((n * h + i / down) * w + j / across) * c,
                        &g[((n * oh + i) * ow + j) * c..][..c],
                        1.0,
                    );
                });
            }
            Link::Pad(p) => {
                dx = Buffer::any(n * h * w * c);
                each_pixel(n, stage.input, |n, i, j| {
                    let from = ((n * oh + i + p.top) * ow + j + p.left) * c;
                    dx[((n * h + i) * w + j) * c..][..c].copy_from_slice(&g[from..from + c]);
                });
            }
            Link::AvgPool([kh, kw]) => {
                dx = Buffer::zeros(n * h * w * c);
                let part = 1.0 / (kh * kw) as f32;
                each_pixel(n, stage.input, |n, i, j| {
                    if i / kh < oh && j / kw < ow {
                        let from = ((n * oh + i / kh) * ow + j / kw) * c;
                        add(&mut dx, ((n * h + i) * w + j) * c, &g[from..from + c], part);
                    }
                });
            }
            Link::GlobalMax => {
                dx = Buffer::any(n * h * w * c);
                let (x, y) = (input?, output?);
                for (sample, (x, dx)) in x.chunks_exact(h * w * c).zip(dx.chunks_exact_mut(h * w * c)).enumerate() {
                    max_back(x, &y[sample * c..][..c], &g[sample * c..][..c], dx);
                }
            }
        }
        Some(dx)
    }

    fn weight_grads(&self, index: usize, n: usize, at: &Weights, input: &[f32], g: &[f32], dtheta: &mut [f32]) {
        let stage = &self.stages[index];
        let (level, o) = (Level::current(), stage.output[2]);
        let p = problem(stage, n);
        let len = weights(stage, dtheta).len();
        let dw = &mut dtheta[at.weight..at.weight + len];
        match stage.link {
            Link::Conv { .. } => kernel::weight_grad(level, self.precision, &p, input, g, dw),
            // The transposed convolution's output is the problem's x.
            _ => kernel::weight_grad(level, self.precision, &p, g, input, dw),
        }
        // In front of a batch norm this is rounding alone, as in the frameworks; Adam makes steps of it all the same.
        if let Some(bias) = at.bias {
            let sums = norm::column_sums(level, g, o);
            dtheta[bias..bias + o].iter_mut().zip(sums).for_each(|(d, s)| *d = s as f32);
        }
    }
}

fn add(to: &mut [f32], at: usize, from: &[f32], part: f32) {
    to[at..at + from.len()].iter_mut().zip(from).for_each(|(t, f)| *t += f * part);
}

/// With m numbers a channel: dβ = Σg, dγ = Σg·x̂, dx = γ/√(var + ε)·(g − dβ/m − x̂·dγ/m); by given statistics dx = γ/√(var + ε)·g.
fn norm_back(stage: &Stage, trace: &mut Trace, index: usize, theta: &[f32], g: &mut Buffer, dtheta: &mut [f32]) {
    let Link::BatchNorm { scale: gamma, shift: beta, eps } = stage.link else { return };
    let (level, c) = (Level::current(), stage.input[2]);
    let Some(found) = trace.norms.pop() else { return };
    let Some(x) = trace.values[index].as_deref() else { return };
    let scale = scales(&found, &theta[gamma..gamma + c], eps);
    let by = channels(stage, &found, &scale, &theta[beta..beta + c]);
    let inverse: Vec<f64> = found.variance.iter().map(|v| 1.0 / (f64::from(*v) + eps).sqrt()).collect();
    let needs_sums = trace.keep.parameters || !trace.given;
    let [sums, with_x] = if needs_sums { norm::gradient_sums(level, x, g, &by) } else { [vec![0.0; c], vec![0.0; c]] };
    if trace.keep.parameters {
        for i in 0..c {
            dtheta[gamma + i] = (with_x[i] * inverse[i]) as f32;
            dtheta[beta + i] = sums[i] as f32;
        }
    }
    let m = if trace.given { f64::INFINITY } else { found.count as f64 };
    // The parameters' gradients are added up later, with all others.
    let [sums, with_x] = ranks::both(&trace.ranks, &sums, &with_x);
    let even: Vec<f32> = (0..c).map(|i| (f64::from(scale[i]) * sums[i] / m) as f32).collect();
    let along: Vec<f32> =
        (0..c).map(|i| (f64::from(scale[i]) * inverse[i] * inverse[i] * with_x[i] / m) as f32).collect();
    norm::backward(level, x, &by, &even, &along, g);
}

/// Pixels that share the largest value share its gradient evenly.
fn max_back(x: &[f32], largest: &[f32], g: &[f32], dx: &mut [f32]) {
    let c = largest.len();
    let mut ties = vec![0f32; c];
    for x in x.chunks_exact(c) {
        ties.iter_mut().zip(x).zip(largest).for_each(|((t, x), m)| *t += if x == m { 1.0 } else { 0.0 });
    }
    for (x, dx) in x.chunks_exact(c).zip(dx.chunks_exact_mut(c)) {
        for i in 0..c {
            dx[i] = if x[i] == largest[i] { g[i] / ties[i] } else { 0.0 };
        }
    }
}

impl Keep {
    pub(crate) const NOTHING: Self = Self { input: false, parameters: false };
}

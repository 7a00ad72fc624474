//! The forward pass.

use super::packed::problem;
use super::{Chain, Link, Sides, Stage, Weights};
use crate::conv::kernel;
use crate::conv::winograd::Direction;
use crate::layout::{channels_first, channels_last};
use crate::parallel::each;
use crate::ranks::{self, Ranks};
use crate::rows::act::{self, Act};
use crate::rows::norm::{self, Channels};
use crate::scratch::Buffer;
use crate::simd::Level;
use candle_core::{Result, bail};

/// What a pass may need later, and what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keep {
    /// Gradients of the input will be asked for.
    pub input: bool,
    /// Gradients of the parameters will be asked for.
    pub parameters: bool,
}

impl Keep {
    fn anything(self) -> bool {
        self.input || self.parameters
    }
}

/// What batch norm normalises by.
#[derive(Clone, Copy)]
pub(crate) enum Normalise<'a> {
    /// The batch's own statistics, or those of all ranks' batches.
    Batch(&'a Ranks),
    /// Given ones: mean and variance of each norm in turn.
    Given(&'a [[Vec<f32>; 2]]),
}

/// A norm's statistics in one pass.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub mean: Vec<f32>,
    pub variance: Vec<f32>,
    /// The mean of the numbers that reach the stage here: those without the bias of the convolution before it.
    pub centre: Vec<f32>,
    pub count: usize,
}

/// What the backward pass needs of one forward pass.
pub(crate) struct Trace {
    pub samples: usize,
    pub keep: Keep,
    pub given: bool,
    /// The input of stage i at i, the last output at the end; only those that are needed.
    pub values: Vec<Option<Buffer>>,
    /// Of each norm in turn.
    pub norms: Vec<Found>,
    /// Of each dropout in turn.
    pub noise: Vec<Buffer>,
    /// Over whose batches the statistics are.
    pub ranks: Ranks,
}

fn size(sides: Sides) -> usize {
    sides.iter().product()
}

/// Whether a stage's backward pass reads its input.
pub(super) fn reads_input(stage: &Stage, keep: Keep) -> bool {
    match stage.link {
        Link::Conv { .. } | Link::ConvTranspose { .. } => keep.parameters,
        Link::BatchNorm { .. } | Link::Sigmoid | Link::Leaky(_) | Link::GlobalMax => true,
        _ => false,
    }
}

/// Whether a stage's backward pass reads its output.
pub(super) fn reads_output(stage: &Stage) -> bool {
    match stage.link {
        Link::Conv { .. } | Link::ConvTranspose { .. } => stage.act != Act::Identity,
        Link::Act(act) => act != Act::Identity,
        Link::GlobalMax => true,
        _ => false,
    }
}

/// Numbers from which on a batch norm's output is made again from its input when the backward pass asks for it, instead of
/// being kept: half of a generator's memory for a hundredth of its time.
const LARGE: usize = 1 << 21;

/// Whether a stage's output of `len` numbers is not kept.
fn made_again(stage: &Stage, len: usize) -> bool {
    matches!(stage.link, Link::BatchNorm { .. }) && len >= LARGE
}

impl Chain {
    /// The output of batch norm `index` once more.
    pub(super) fn norm_again(&self, index: usize, trace: &Trace, theta: &[f32]) -> Option<Buffer> {
        let stage = &self.stages[index];
        let Link::BatchNorm { scale, shift, eps } = stage.link else { return None };
        let (x, c) = (trace.values[index].as_deref()?, stage.input[2]);
        // Norms behind it are done with.
        let found = trace.norms.last()?;
        let scale = scales(found, &theta[scale..scale + c], eps);
        let mut y = Buffer::any(x.len());
        norm::forward(Level::current(), x, &channels(stage, found, &scale, &theta[shift..shift + c]), &mut y);
        Some(y)
    }

    /// x `[n, H, W, C]` -> the output `[n, H', W', C']`, and a trace if anything is kept.
    pub(crate) fn forward(
        &self,
        x: Buffer,
        samples: usize,
        theta: &[f32],
        by: Normalise,
        noise: Vec<Buffer>,
        keep: Keep,
    ) -> Result<(Buffer, Trace)> {
        let (given, ranks) = match by {
            Normalise::Batch(ranks) => (false, ranks.clone()),
            Normalise::Given(_) => (true, None),
        };
        let mut trace = Trace { samples, keep, given, values: vec![], norms: vec![], noise, ranks };
        let (mut value, mut drops) = (x, 0);
        for (index, stage) in self.stages.iter().enumerate() {
            let output = if let Link::Dropout(rate) = stage.link {
                let numbers = (!given).then(|| &trace.noise[drops]);
                drops += 1;
                numbers.map_or_else(|| Buffer::of(&value), |numbers| dropout(&value, numbers, rate))
            } else {
                self.stage(index, &value, samples, theta, by, &mut trace)?
            };
            let before = index > 0 && reads_output(&self.stages[index - 1]);
            let mut needed = keep.anything() && (before || reads_input(stage, keep));
            if index > 0 && made_again(&self.stages[index - 1], value.len()) && !before {
                needed = false;
            }
            trace.values.push(needed.then_some(value));
            value = output;
        }
        let last = keep.anything() && self.stages.last().is_some_and(reads_output);
        trace.values.push(last.then(|| Buffer::of(&value)));
        Ok((value, trace))
    }

    pub(super) fn stage(
        &self,
        index: usize,
        x: &Buffer,
        samples: usize,
        theta: &[f32],
        by: Normalise,
        trace: &mut Trace,
    ) -> Result<Buffer> {
        let (stage, level) = (&self.stages[index], Level::current());
        let ([h, w, c], [oh, ow, o]) = (stage.input, stage.output);
        let mut y = Buffer::any(samples * size(stage.output));
        match &stage.link {
            Link::Conv { weights: Weights { bias, .. }, .. } => {
                let packed = self.packed(index, theta, Direction::Forward, trace.keep.anything());
                kernel::forward(&problem(stage, samples), x, &packed, &mut y);
                let bias = bias.filter(|_| !self.norm_follows(index));
                act::forward(level, stage.act, bias.map(|b| &theta[b..b + o]), &mut y, o);
            }
            Link::ConvTranspose { weights: Weights { bias, .. }, .. } => {
                let packed = self.packed(index, theta, Direction::Backward, trace.keep.anything());
                kernel::input_grad(&problem(stage, samples), x, &packed, &mut y);
                let bias = bias.filter(|_| !self.norm_follows(index));
                act::forward(level, stage.act, bias.map(|b| &theta[b..b + o]), &mut y, o);
            }
            Link::BatchNorm { scale, shift, eps } => {
                let found = match by {
                    Normalise::Given(all) => {
                        let [mean, variance] = &all[trace.norms.len()];
                        Found { mean: mean.clone(), variance: variance.clone(), centre: vec![], count: 0 }
                    }
                    Normalise::Batch(ranks) => {
                        let (mut mean, mut variance) = norm::moments(level, x, c);
                        let count = merged(ranks, samples * h * w, &mut mean, &mut variance);
                        if count < 2 {
                            bail!(
                                "batch norm needs more than one number a channel, got [{samples}, {c}, {h}, {w}]: use a larger batch"
                            );
                        }
                        Found { mean: vec![], variance, centre: mean, count }
                    }
                };
                let found = self.with_bias(index, theta, found);
                let scale = scales(&found, &theta[*scale..*scale + c], *eps);
                let channels = channels(stage, &found, &scale, &theta[*shift..*shift + c]);
                norm::forward(level, x, &channels, &mut y);
                trace.norms.push(found);
            }
            Link::Act(act) => {
                y.copy_from_slice(x);
                act::forward(level, *act, None, &mut y, c);
            }
            Link::Sigmoid => y.iter_mut().zip(x.iter()).for_each(|(y, x)| *y = sigmoid(*x)),
            Link::Leaky(slope) => {
                y.iter_mut().zip(x.iter()).for_each(|(y, x)| *y = if *x > 0.0 { *x } else { x * slope });
            }
            Link::Reshape(_) => {
                let mut flat = Buffer::any(x.len());
                channels_first(x, c, h * w, &mut flat);
                y.copy_from_slice(&channels_last(&flat, o, oh * ow));
            }
            Link::Upsample(by) => {
                move_pixels(samples, stage.output, stage.input, x, &mut y, |[i, j]| Some([i / by[0], j / by[1]]))
            }
            Link::Pad(p) => move_pixels(samples, stage.output, stage.input, x, &mut y, |[i, j]| {
                let at = [i.checked_sub(p.top)?, j.checked_sub(p.left)?];
                (at[0] < h && at[1] < w).then_some(at)
            }),
            Link::AvgPool([kh, kw]) => {
                y.fill(0.0);
                let part = 1.0 / (kh * kw) as f32;
                each_pixel(samples, stage.input, |n, i, j| {
                    let (ti, tj) = (i / kh, j / kw);
                    if ti < oh && tj < ow {
                        let to = ((n * oh + ti) * ow + tj) * c;
                        let from = ((n * h + i) * w + j) * c;
                        y[to..to + c].iter_mut().zip(&x[from..from + c]).for_each(|(y, x)| *y += x * part);
                    }
                });
            }
            Link::GlobalMax => global_max(x, [h * w, c], &mut y),
            Link::Dropout(_) => unreachable!("done by the caller"),
        }
        Ok(y)
    }
}

/// [`ranks::merge`] of single precision.
fn merged(ranks: &Ranks, count: usize, mean: &mut [f32], variance: &mut [f32]) -> usize {
    if ranks.is_none() {
        return count;
    }
    let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
    let mut both = [wide(mean), wide(variance)];
    let [means, variances] = &mut both;
    let count = ranks::merge(ranks, count, means, variances);
    for (to, from) in [mean, variance].into_iter().zip(&both) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from as f32);
    }
    count
}

impl Chain {
    /// Whether a batch norm takes stage `index`'s output as it is. A bias would only move the mean that it subtracts, so it is
    /// not added.
    fn norm_follows(&self, index: usize) -> bool {
        let next = self.stages.get(index + 1).map(|s| &s.link);
        self.stages[index].act == Act::Identity && matches!(next, Some(Link::BatchNorm { .. }))
    }

    /// The mean from the centre or the other way round: they differ by the bias that was not added.
    fn with_bias(&self, index: usize, theta: &[f32], mut found: Found) -> Found {
        let before = index.checked_sub(1).map(|i| &self.stages[i]);
        let bias = match before.map(|s| &s.link) {
            Some(Link::Conv { weights, .. } | Link::ConvTranspose { weights, .. }) if self.norm_follows(index - 1) => {
                weights.bias
            }
            _ => None,
        };
        let bias = |i: usize| bias.map_or(0.0, |b| theta[b + i]);
        if found.mean.is_empty() {
            found.mean = found.centre.iter().enumerate().map(|(i, c)| c + bias(i)).collect();
        } else {
            found.centre = found.mean.iter().enumerate().map(|(i, m)| m - bias(i)).collect();
        }
        found
    }
}

/// γ/√(variance + ε) of each channel.
pub(super) fn scales(found: &Found, gamma: &[f32], eps: f64) -> Vec<f32> {
    let one = |(v, g): (&f32, &f32)| (f64::from(*g) / (f64::from(*v) + eps).sqrt()) as f32;
    found.variance.iter().zip(gamma).map(one).collect()
}

/// A norm stage's channels.
pub(super) fn channels<'a>(stage: &Stage, found: &'a Found, scale: &'a [f32], shift: &'a [f32]) -> Channels<'a> {
    let slope = match stage.act {
        Act::LeakyRelu(slope) => slope,
        _ => 1.0,
    };
    Channels { mean: &found.centre, scale, shift, slope }
}

/// In double precision, so that small probabilities do not become 0.
pub(super) fn sigmoid(x: f32) -> f32 {
    (1.0 / (1.0 + (-f64::from(x)).exp())) as f32
}

pub(super) fn dropout(x: &[f32], numbers: &[f32], rate: f64) -> Buffer {
    let (mut y, scale, rate) = (Buffer::any(x.len()), (1.0 / (1.0 - rate)) as f32, rate as f32);
    y.iter_mut().zip(x).zip(numbers).for_each(|((y, x), u)| *y = if *u >= rate { x * scale } else { 0.0 });
    y
}

pub(super) fn each_pixel(samples: usize, [h, w, _]: Sides, mut f: impl FnMut(usize, usize, usize)) {
    for n in 0..samples {
        for i in 0..h {
            (0..w).for_each(|j| f(n, i, j));
        }
    }
}

/// Every pixel of y from the pixel of x that `from` names, or zeros.
fn move_pixels(
    samples: usize,
    [h, w, c]: Sides,
    [xh, xw, _]: Sides,
    x: &[f32],
    y: &mut Buffer,
    from: impl Fn([usize; 2]) -> Option<[usize; 2]> + Sync + Send,
) {
    assert_eq!(y.len(), samples * h * w * c, "a place for each pixel");
    let to = crate::scratch::Shared::new(y);
    each(samples, |n| {
        // SAFETY: y has a part for each sample, as checked above, which belongs to one task.
        let y = unsafe { std::slice::from_raw_parts_mut(to.ahead(n * h * w * c).get(), h * w * c) };
        for (pixel, y) in y.chunks_exact_mut(c.max(1)).enumerate() {
            match from([pixel / w, pixel % w]) {
                Some([i, j]) => y.copy_from_slice(&x[((n * xh + i) * xw + j) * c..][..c]),
                None => y.fill(0.0),
            }
        }
    });
}

/// The largest of each channel; NaN where there is one.
fn global_max(x: &[f32], [pixels, c]: [usize; 2], y: &mut [f32]) {
    for (x, y) in x.chunks_exact((pixels * c).max(1)).zip(y.chunks_exact_mut(c.max(1))) {
        y.copy_from_slice(&x[..c]);
        for x in x.chunks_exact(c).skip(1) {
            y.iter_mut().zip(x).for_each(|(y, x)| *y = if *x > *y || x.is_nan() { *x } else { *y });
        }
    }
}

//! A chain's derivative in a direction, and its gradient by the parameters: what penalties on a discriminator's gradient are made of.
//!
//! Values x and tangents t go through the chain side by side, as one batch of twice the samples: every convolution is one product for
//! both. Where nothing but jumps bends (leaky ReLU), the values only say on which side of the jumps they are, and the backward pass goes
//! through the tangents alone; behind a batch norm's back it goes through both.
//!
//! With x̂ = (x − μ)·r, r = 1/√(σ² + ε), P(u) = u − E[u] − x̂·E[x̂u] and s = γ·r, batch norm's tangent is τ = s·P(t). For an adjoint τ̄ of it, with
//! a = E[x̂t], b = E[x̂τ̄] and K = E[τ̄t] − E[τ̄]E[t] − ab:
//! t̄ = s·P(τ̄); γ̄ = m·r·K; x̄ = −r·(a·t̄ + b·τ) − s·r·K·x̂. An adjoint of the values adds what it always does.

use super::forward::{Found, Keep, Normalise, Trace, channels, scales};
use super::op::{inward, outward};
use super::packed::{problem, weights};
use super::{Chain, Layout, Link, Sides, Stage};
use crate::conv::kernel;
use crate::conv::winograd::Direction;
use crate::parallel::with_work;
use crate::rows::act::{self, Act};
use crate::rows::norm;
use crate::scratch::Buffer;
use crate::simd::Level;
use crate::storage::{elements, with_elements};
use candle_core::{CpuStorage, CustomOp1, Result, Shape, Tensor, bail};
use std::sync::{Arc, Mutex};

impl Chain {
    /// Whether [`Chain::tangent`] can go through it: no sigmoid, maximum, dropout, hyperbolic tangent or negative slope is in it.
    pub fn has_tangent(&self) -> bool {
        self.stages.iter().all(|stage| {
            let straight = matches!(stage.act, Act::Identity | Act::LeakyRelu(_));
            let known = match &stage.link {
                Link::Act(act) => matches!(act, Act::Identity | Act::LeakyRelu(_)),
                Link::Sigmoid | Link::Leaky(_) | Link::Dropout(_) | Link::GlobalMax => false,
                _ => true,
            };
            straight && known
        })
    }

    /// x and a direction t, `[N, C, H, W]` (or `[N, F]`) each, and all parameters `[P]` -> how the output changes in that direction,
    /// `[N, …]`, batch norms normalising by the batch. The gradient flows to the parameters.
    ///
    /// # Errors
    /// If the chain has none ([`Chain::has_tangent`]), x or t has another shape than it is for, or a batch norm gets fewer than two
    /// numbers a channel.
    pub fn tangent(self: &Arc<Self>, x: &Tensor, t: &Tensor, parameters: &Tensor) -> Result<Tensor> {
        if !self.has_tangent() {
            bail!("this chain has layers that its fused tangent does not know");
        }
        let samples = self.check(x, Layout::ChannelsFirst)?;
        if t.dims() != x.dims() {
            bail!("a direction {:?} for samples {:?}", t.dims(), x.dims());
        }
        let both = Tensor::cat(&[x, t], 0)?;
        let both = with_elements::<f32, _>(&both, |both| inward(both, self.input, Layout::ChannelsFirst))?;
        let op = Tangent { chain: Arc::clone(self), samples, both: Mutex::new(Some(both)), trace: Mutex::new(None) };
        parameters.apply_op1(op)
    }
}

/// What the backward pass needs.
struct Kept {
    /// The input of stage i at i, values and tangents, where it reads it.
    inputs: Vec<Option<Buffer>>,
    /// The output's values of stage i at i, where its activation asks for it.
    outputs: Vec<Option<Buffer>>,
    norms: Vec<Option<Found>>,
}

struct Tangent {
    chain: Arc<Chain>,
    samples: usize,
    both: Mutex<Option<Buffer>>,
    trace: Mutex<Option<Kept>>,
}

fn size(sides: Sides) -> usize {
    sides.iter().product()
}

/// Stages that treat values and tangents alike keep nothing.
fn nothing(samples: usize, stages: usize) -> Trace {
    let keep = Keep { input: true, parameters: false };
    Trace {
        samples,
        keep,
        given: false,
        values: (0..=stages).map(|_| None).collect(),
        norms: vec![],
        noise: vec![],
        ranks: None,
    }
}

/// The activation behind a stage, or that is the stage.
fn act_of(stage: &Stage) -> Act {
    match stage.link {
        Link::Act(act) => act,
        _ => stage.act,
    }
}

impl Tangent {
    fn forward(&self, mut value: Buffer, theta: &[f32]) -> Result<(Buffer, Kept)> {
        let (chain, n, level) = (self.chain.as_ref(), self.samples, Level::current());
        let mut kept = Kept { inputs: vec![], outputs: vec![], norms: vec![] };
        for (index, stage) in chain.stages.iter().enumerate() {
            let half = n * size(stage.output);
            let mut y = Buffer::any(2 * half);
            let mut norm = None;
            match &stage.link {
                Link::Conv { weights, .. } | Link::ConvTranspose { weights, .. } => {
                    through(chain, index, 2 * n, theta, &value, &mut y, Way::Forward);
                    let (values, tangents) = y.split_at_mut(half);
                    let bias = weights.bias.map(|b| &theta[b..b + stage.output[2]]);
                    act::forward(level, stage.act, bias, values, stage.output[2]);
                    act::backward(level, stage.act, values, tangents);
                }
                Link::BatchNorm { scale, shift, eps } => {
                    let c = stage.input[2];
                    if half / c.max(1) < 2 {
                        bail!("batch norm needs more than one number a channel: use a larger batch");
                    }
                    let (x, t) = value.split_at(half);
                    let (mean, variance) = norm::moments(level, x, c);
                    let found = Found { mean: mean.clone(), variance, centre: mean, count: half / c };
                    let (values, tangents) = y.split_at_mut(half);
                    tangents.copy_from_slice(t);
                    let by = Scaled::of(&found, &theta[*scale..*scale + c], *eps);
                    by.project(stage, &found, x, tangents);
                    let channels = channels(stage, &found, &by.scale, &theta[*shift..*shift + c]);
                    norm::forward(level, x, &channels, values);
                    act::backward(level, stage.act, values, tangents);
                    norm = Some(found);
                }
                Link::Act(act) => {
                    y.copy_from_slice(&value);
                    let (values, tangents) = y.split_at_mut(half);
                    act::forward(level, *act, None, values, stage.output[2]);
                    act::backward(level, *act, values, tangents);
                }
                _ => y = chain.stage(index, &value, 2 * n, theta, Normalise::Batch(&None), &mut nothing(2 * n, 0))?,
            }
            let bent = act_of(stage) != Act::Identity;
            kept.outputs.push(bent.then(|| Buffer::of(&y[..half])));
            let reads = matches!(stage.link, Link::Conv { .. } | Link::ConvTranspose { .. } | Link::BatchNorm { .. });
            kept.inputs.push(reads.then_some(value));
            kept.norms.push(norm);
            value = y;
        }
        Ok((Buffer::of(&value[n * size(chain.output())..]), kept))
    }

    /// The parameters' gradient from that of the tangents `[n, H', W', C']`.
    fn backward(&self, mut kept: Kept, theta: &[f32], g: Buffer) -> Vec<f32> {
        let (chain, n, level) = (self.chain.as_ref(), self.samples, Level::current());
        let mut dtheta = vec![0.0; theta.len()];
        // The tangents' adjoint, and in front of it the values' where it is not zero.
        let (mut g, mut values) = (g, false);
        for (index, stage) in chain.stages.iter().enumerate().rev() {
            let parts = if values { 2 } else { 1 };
            let output = n * size(stage.output);
            if let Some(y) = kept.outputs[index].take() {
                g.chunks_exact_mut(output.max(1)).for_each(|g| act::backward(level, act_of(stage), &y, g));
            }
            let goes_on = chain.has_parameters_before(index);
            match &stage.link {
                Link::Conv { weights: at, .. } | Link::ConvTranspose { weights: at, .. } => {
                    let Some(input) = kept.inputs[index].take() else { return dtheta };
                    let from = if values { 0 } else { input.len() / 2 };
                    let len = weights(stage, theta).len();
                    let (p, dw) = (problem(stage, parts * n), &mut dtheta[at.weight..at.weight + len]);
                    match stage.link {
                        Link::Conv { .. } => kernel::weight_grad(level, chain.precision, &p, &input[from..], &g, dw),
                        _ => kernel::weight_grad(level, chain.precision, &p, &g, &input[from..], dw),
                    }
                    if let (Some(bias), true) = (at.bias, values) {
                        let sums = norm::column_sums(level, &g[..output], stage.output[2]);
                        dtheta[bias..bias + stage.output[2]].iter_mut().zip(sums).for_each(|(d, s)| *d = s as f32);
                    }
                    if !goes_on {
                        return dtheta;
                    }
                    let mut dx = Buffer::any(parts * n * size(stage.input));
                    through(chain, index, parts * n, theta, &g, &mut dx, Way::Back);
                    g = dx;
                }
                Link::BatchNorm { scale, shift, eps } => {
                    let (Some(both), Some(found)) = (kept.inputs[index].take(), kept.norms[index].take()) else {
                        return dtheta;
                    };
                    let at = [*scale, *shift];
                    g = norm_back(stage, &found, (theta, at, *eps), &both, g, values, &mut dtheta);
                    values = true;
                }
                Link::Act(_) => {}
                _ => {
                    let mut trace = nothing(parts * n, chain.stages.len());
                    match chain.stage_back(index, stage, &mut trace, theta, g, &mut dtheta, true) {
                        Some(dx) => g = dx,
                        None => return dtheta,
                    }
                }
            }
            if !goes_on {
                return dtheta;
            }
        }
        dtheta
    }
}

/// Which way numbers go through a convolution stage.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Forward,
    Back,
}

/// `samples` through a convolution stage, without bias and activation.
fn through(chain: &Chain, index: usize, samples: usize, theta: &[f32], x: &[f32], y: &mut Buffer, way: Way) {
    let stage = &chain.stages[index];
    let p = problem(stage, samples);
    if matches!(stage.link, Link::Conv { .. }) == (way == Way::Forward) {
        kernel::forward(&p, x, &chain.packed(index, theta, Direction::Forward, true), y);
    } else {
        kernel::input_grad(&p, x, &chain.packed(index, theta, Direction::Backward, true), y);
    }
}

/// A norm's factors by channel.
struct Scaled {
    /// s = γ·r
    scale: Vec<f32>,
    /// r
    inverse: Vec<f64>,
}

impl Scaled {
    fn of(found: &Found, gamma: &[f32], eps: f64) -> Self {
        let inverse = found.variance.iter().map(|v| 1.0 / (f64::from(*v) + eps).sqrt()).collect();
        Self { scale: scales(found, gamma, eps), inverse }
    }

    /// u ← s·P(u), and E[u] and E[x̂u] of each channel.
    fn project(&self, stage: &Stage, found: &Found, x: &[f32], u: &mut [f32]) -> [Vec<f64>; 2] {
        let (level, c, m) = (Level::current(), stage.input[2], found.count as f64);
        let (zeros, ones) = (vec![0.0; c], vec![1.0; c]);
        let plain = norm::Channels { mean: &found.centre, scale: &ones, shift: &zeros, slope: 1.0 };
        let [sums, with_x] = norm::gradient_sums(level, x, u, &plain);
        let means: Vec<f64> = sums.iter().map(|s| s / m).collect();
        let along: Vec<f64> = with_x.iter().zip(&self.inverse).map(|(s, r)| s * r / m).collect();
        let even: Vec<f32> = self.scale.iter().zip(&means).map(|(s, e)| (f64::from(*s) * e) as f32).collect();
        let factor = self.scale.iter().zip(&self.inverse).zip(&along);
        let factor: Vec<f32> = factor.map(|((s, r), a)| (f64::from(*s) * r * a) as f32).collect();
        let by = norm::Channels { mean: &found.centre, scale: &self.scale, shift: &zeros, slope: 1.0 };
        norm::backward(level, x, &by, &even, &factor, u);
        [means, along]
    }
}

/// Adjoints of values and tangents in front of a batch norm, from those behind it, of which the values' may be missing.
fn norm_back(
    stage: &Stage,
    found: &Found,
    (theta, [gamma, beta], eps): (&[f32], [usize; 2], f64),
    both: &[f32],
    g: Buffer,
    values: bool,
    dtheta: &mut [f32],
) -> Buffer {
    let (c, m) = (stage.input[2], found.count as f64);
    let half = both.len() / 2;
    let (x, t) = both.split_at(half);
    let by = Scaled::of(found, &theta[gamma..gamma + c], eps);
    let mut out = Buffer::any(2 * half);
    let (of_values, of_tangents) = out.split_at_mut(half);
    let (g_values, g_tangents) = g.split_at(if values { half } else { 0 });
    // E[τ̄t], before τ̄ is overwritten.
    let products = dots(g_tangents, t, c);
    of_tangents.copy_from_slice(g_tangents);
    let [mean_g, b] = by.project(stage, found, x, of_tangents);
    let mut tau = Buffer::of(t);
    let [mean_t, a] = by.project(stage, found, x, &mut tau);
    let k: Vec<f64> = (0..c).map(|i| products[i] / m - mean_g[i] * mean_t[i] - a[i] * b[i]).collect();
    if values {
        of_values.copy_from_slice(g_values);
        let [mean, along] = by.project(stage, found, x, of_values);
        for i in 0..c {
            dtheta[gamma + i] = (along[i] * m) as f32;
            dtheta[beta + i] = (mean[i] * m) as f32;
        }
    } else {
        of_values.fill(0.0);
    }
    for i in 0..c {
        dtheta[gamma + i] += (m * by.inverse[i] * k[i]) as f32;
    }
    // x̄ −= r·(a·t̄ + b·τ) + s·r²·K·(x − μ)
    let factors: Vec<[f32; 4]> = (0..c)
        .map(|i| {
            let r = by.inverse[i];
            [(r * a[i]) as f32, (r * b[i]) as f32, (f64::from(by.scale[i]) * r * r * k[i]) as f32, found.centre[i]]
        })
        .collect();
    let rows = of_values.chunks_exact_mut(c).zip(of_tangents.chunks_exact(c));
    for ((xbar, tbar), (tau, x)) in rows.zip(tau.chunks_exact(c).zip(x.chunks_exact(c))) {
        for i in 0..c {
            let [of_t, of_tau, of_x, centre] = factors[i];
            xbar[i] -= of_t * tbar[i] + of_tau * tau[i] + of_x * (x[i] - centre);
        }
    }
    out
}

/// Σ a·b of each channel, in double precision row by row of 64, so that no thread count changes a bit.
fn dots(a: &[f32], b: &[f32], c: usize) -> Vec<f64> {
    let mut total = vec![0f64; c];
    let mut part = vec![0f32; c];
    for (a, b) in a.chunks(64 * c).zip(b.chunks(64 * c)) {
        part.fill(0.0);
        for (a, b) in a.chunks_exact(c).zip(b.chunks_exact(c)) {
            part.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
        }
        total.iter_mut().zip(&part).for_each(|(total, part)| *total += f64::from(*part));
    }
    total
}

impl CustomOp1 for Tangent {
    fn name(&self) -> &'static str {
        "tangent"
    }

    fn cpu_fwd(&self, theta: &CpuStorage, layout: &candle_core::Layout) -> Result<(CpuStorage, Shape)> {
        let theta = elements::<f32>(theta, layout)?;
        let Some(both) = self.both.lock().unwrap_or_else(|e| e.into_inner()).take() else {
            bail!("a tangent can be taken once");
        };
        let (t, kept) = with_work(2 * self.samples * self.chain.work(), || self.forward(both, &theta))?;
        *self.trace.lock().unwrap_or_else(|e| e.into_inner()) = Some(kept);
        let ([h, w, c], n) = (self.chain.output(), self.samples);
        let shape = if self.chain.flat { Shape::from((n, c)) } else { Shape::from((n, c, h, w)) };
        Ok((CpuStorage::F32(outward(&t, self.chain.output(), Layout::ChannelsFirst)), shape))
    }

    fn bwd(&self, theta: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let Some(kept) = self.trace.lock().unwrap_or_else(|e| e.into_inner()).take() else {
            bail!("a tangent's backward pass can run once: take it again");
        };
        let g = with_elements::<f32, _>(g, |g| inward(g, self.chain.output(), Layout::ChannelsFirst))?;
        let work = 2 * self.samples * self.chain.work();
        let dtheta = with_elements::<f32, _>(theta, |theta| with_work(work, || self.backward(kept, theta, g)))?;
        Ok(Some(Tensor::from_vec(dtheta, theta.shape(), theta.device())?))
    }
}

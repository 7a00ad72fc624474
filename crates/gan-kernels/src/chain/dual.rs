//! A chain's derivative in a direction, and its gradient by the parameters: what penalties on a discriminator's gradient are made of.
//!
//! Values x and tangents t go through the chain side by side, as one batch of twice the samples: every convolution is one product for
//! both. Where nothing but jumps bends (leaky ReLU), the values only say on which side of the jumps they are, and the backward pass goes
//! through the tangents alone; behind a batch norm's back it goes through both (`norm`).

use super::forward::{Found, Keep, Normalise, Trace, channels};
use super::op::{inward, outward};
use super::packed::{problem, weights};
use super::{Chain, Layout, Link, Sides, Stage};
use crate::conv::kernel;
use crate::conv::winograd::Direction;
use crate::parallel::with_work;
use crate::rows;
use crate::rows::act::{self, Act};
use crate::scratch::Buffer;
use crate::simd::Level;
use crate::storage::{elements, with_elements};
use candle_core::{CpuStorage, CustomOp1, Result, Shape, Tensor, bail};
use norm::{Scaled, norm_back};
use std::sync::{Arc, Mutex};

mod norm;

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
    /// If the chain has none ([`Chain::has_tangent`]), x or t has another shape than it is for, the parameters end before the links'
    /// places do, or a batch norm gets fewer than two
    /// numbers a channel.
    pub fn tangent(self: &Arc<Self>, x: &Tensor, t: &Tensor, parameters: &Tensor) -> Result<Tensor> {
        if !self.has_tangent() {
            bail!("this chain has layers that its fused tangent does not know");
        }
        let samples = self.check(x, Layout::ChannelsFirst)?;
        self.check_parameters(parameters)?;
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
                    let (mean, variance) = rows::norm::moments(level, x, c);
                    let found = Found { mean: mean.clone(), variance, centre: mean, count: half / c };
                    let (values, tangents) = y.split_at_mut(half);
                    tangents.copy_from_slice(t);
                    let by = Scaled::of(&found, &theta[*scale..*scale + c], *eps);
                    by.project(stage, &found, x, tangents);
                    let channels = channels(stage, &found, &by.scale, &theta[*shift..*shift + c]);
                    rows::norm::forward(level, x, &channels, values);
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
                        let sums = rows::norm::column_sums(level, &g[..output], stage.output[2]);
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

impl CustomOp1 for Tangent {
    fn name(&self) -> &'static str {
        "tangent"
    }

    fn cpu_fwd(&self, theta: &CpuStorage, layout: &candle_core::Layout) -> Result<(CpuStorage, Shape)> {
        let theta = elements::<f32>(theta, layout)?;
        let Some(both) = self.both.lock().unwrap_or_else(|e| e.into_inner()).take() else {
            bail!("a tangent can be taken once");
        };
        let (t, kept) = with_work(self.chain.work(2 * self.samples), || self.forward(both, &theta))?;
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
        let work = self.chain.work(2 * self.samples);
        let dtheta = with_elements::<f32, _>(theta, |theta| with_work(work, || self.backward(kept, theta, g)))?;
        Ok(Some(Tensor::from_vec(dtheta, theta.shape(), theta.device())?))
    }
}

//! A chain as a candle operation over its input and its parameters.

use super::forward::{Found, Keep, Normalise, Trace};
use super::{Chain, Link, Sides};
use crate::conv::problem::product;
use crate::layout::{channels_first, channels_last};
use crate::norm::BatchStatistics;
use crate::parallel::with_work;
use crate::ranks::Ranks;
use crate::scratch::Buffer;
use crate::storage::{elements, with_elements};
use candle_core::{CpuStorage, CustomOp2, Device, Result, Shape, Tensor, bail};
use std::sync::{Arc, Mutex};

/// How a tensor's images lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[N, C, H, W]`, or vectors `[N, F]`.
    ChannelsFirst,
    /// `[N, H, W, C]`, or vectors `[N, F]`: between chains, where turning would be work for nothing.
    ChannelsLast,
}

/// What batch norm normalises by.
#[derive(Clone, Copy, Debug)]
pub enum Statistics<'a> {
    /// The batch's own, or those of all ranks' batches together.
    Batch(&'a Ranks),
    /// Mean and variance, `[C]` each, of each batch norm in turn.
    Given(&'a [[Tensor; 2]]),
}

/// Random numbers for dropout: one tensor of U[0, 1) for each, in the shapes of [`Chain::noise_shapes`].
pub type Noise = Vec<Tensor>;

/// How a chain runs once.
#[derive(Debug)]
pub struct Run<'a> {
    /// What batch norm normalises by; with given statistics nothing is dropped.
    pub statistics: Statistics<'a>,
    /// For dropout, with the batch's statistics.
    pub noise: Noise,
    /// How the input lies.
    pub from: Layout,
    /// How the output is to lie.
    pub to: Layout,
}

impl Chain {
    /// x `[N, …]` and all parameters `[P]` (f32, on the CPU) -> the output `[N, …]` and each batch norm's statistics, where they
    /// were the batch's.
    ///
    /// Gradients flow to both arguments; an argument that leads to no variable costs nothing.
    ///
    /// # Errors
    /// If x has another shape than the chain is for, the parameters end before the links' places do, given statistics or noise
    /// are not as many as the chain's batch norms and dropouts need, or a batch norm gets fewer than two numbers a channel.
    pub fn apply(
        self: &Arc<Self>,
        x: &Tensor,
        parameters: &Tensor,
        run: Run,
    ) -> Result<(Tensor, Vec<BatchStatistics>)> {
        let samples = self.check(x, run.from)?;
        self.check_parameters(parameters)?;
        let (given, ranks) = match run.statistics {
            Statistics::Batch(ranks) => (None, ranks.clone()),
            Statistics::Given(all) => (Some(self.given(all)?), None),
        };
        let noise = if given.is_some() { vec![] } else { self.noise(&run.noise, samples)? };
        let keep = Keep { input: x.track_op(), parameters: parameters.track_op() };
        let found = Arc::new(Mutex::new(vec![]));
        let op = Pass {
            chain: Arc::clone(self),
            samples,
            given,
            ranks,
            noise: Mutex::new(noise),
            layouts: [run.from, run.to],
            keep,
            trace: Mutex::new(None),
            found: Arc::clone(&found),
        };
        let y = x.apply_op2(parameters, op)?;
        let found: Vec<Found> = std::mem::take(&mut found.lock().unwrap_or_else(|e| e.into_inner()));
        let statistics = found.into_iter().map(|f| {
            let c = f.mean.len();
            let host = |v| Tensor::from_vec(v, c, &Device::Cpu);
            Ok(BatchStatistics { mean: host(f.mean)?, variance: host(f.variance)?, count: f.count })
        });
        Ok((y, statistics.collect::<Result<_>>()?))
    }

    /// Products of a forward pass of `samples`.
    pub(super) fn work(&self, samples: usize) -> usize {
        let of = |s: &super::Stage| match &s.link {
            Link::Conv { kernel, .. } => product(&[product(&s.output), kernel[0], kernel[1], s.input[2]]),
            Link::ConvTranspose { kernel, .. } => product(&[product(&s.input), kernel[0], kernel[1], s.output[2]]),
            _ => product(&s.output),
        };
        samples.saturating_mul(self.stages.iter().map(of).fold(0, usize::saturating_add))
    }

    /// Each batch norm's mean and variance out of `all`, which must have them.
    fn given(&self, all: &[[Tensor; 2]]) -> Result<Vec<[Vec<f32>; 2]>> {
        let norms = self.stages.iter().filter(|stage| matches!(stage.link, Link::BatchNorm { .. }));
        let channels: Vec<usize> = norms.map(|stage| stage.input[2]).collect();
        if channels.len() != all.len() {
            bail!("statistics of {} batch norms were given, this network has {}", all.len(), channels.len());
        }
        let one = |(c, both): (usize, &[Tensor; 2])| {
            if both.iter().any(|t| t.dims() != [c]) {
                let [mean, variance] = both.each_ref().map(Tensor::dims);
                bail!("a batch norm of {c} channels was given a mean {mean:?} and a variance {variance:?}");
            }
            Ok([both[0].to_vec1()?, both[1].to_vec1()?])
        };
        channels.into_iter().zip(all).map(one).collect()
    }

    /// The numbers for each dropout on `samples` out of `all`, which must have them.
    fn noise(&self, all: &[Tensor], samples: usize) -> Result<Vec<Buffer>> {
        let shapes = self.noise_shapes(samples);
        if shapes.len() != all.len() {
            bail!("random numbers for {} dropouts were given, this network has {}", all.len(), shapes.len());
        }
        let one = |(shape, t): (&[usize; 4], &Tensor)| {
            if t.elem_count() != product(shape) {
                bail!("a dropout needs random numbers {shape:?}, got {:?}", t.dims());
            }
            with_elements::<f32, _>(t, Buffer::of)
        };
        shapes.iter().zip(all).map(one).collect()
    }

    pub(super) fn check_parameters(&self, parameters: &Tensor) -> Result<()> {
        match parameters.dims() {
            [n] if *n >= self.parameters => Ok(()),
            found => bail!("this network needs parameters [{}], got {found:?}", self.parameters),
        }
    }

    pub(super) fn check(&self, x: &Tensor, from: Layout) -> Result<usize> {
        let [h, w, c] = self.input;
        let fits = match (x.dims(), from) {
            ([_, f], _) => [h, w] == [1, 1] && *f == c,
            ([_, xc, xh, xw], Layout::ChannelsFirst) | ([_, xh, xw, xc], Layout::ChannelsLast) => {
                [*xh, *xw, *xc] == [h, w, c]
            }
            _ => false,
        };
        if !fits {
            bail!("this network is for [N, {c}, {h}, {w}], got {:?}", x.dims());
        }
        let samples = x.dim(0)?;
        // Values and tangents go through together.
        if product(&[2, samples, self.largest]) > isize::MAX as usize >> 3 {
            bail!("{samples} samples of {} numbers at once are beyond any memory", self.largest);
        }
        Ok(samples)
    }
}

/// The input's and the parameters' gradients, those that are kept.
type Grads = (Option<Vec<f32>>, Option<Vec<f32>>);

struct Pass {
    chain: Arc<Chain>,
    samples: usize,
    given: Option<Vec<[Vec<f32>; 2]>>,
    ranks: Ranks,
    noise: Mutex<Vec<Buffer>>,
    layouts: [Layout; 2],
    keep: Keep,
    trace: Mutex<Option<Trace>>,
    found: Arc<Mutex<Vec<Found>>>,
}

/// Numbers as the chain works on them.
pub(super) fn inward(x: &[f32], [h, w, c]: Sides, layout: Layout) -> Buffer {
    match layout {
        Layout::ChannelsFirst => channels_last(x, c, h * w),
        Layout::ChannelsLast => Buffer::of(x),
    }
}

/// Numbers as candle is to have them.
pub(super) fn outward(x: &Buffer, [h, w, c]: Sides, layout: Layout) -> Vec<f32> {
    match layout {
        Layout::ChannelsFirst => {
            let mut to = vec![0.0; x.len()];
            channels_first(x, c, h * w, &mut to);
            to
        }
        Layout::ChannelsLast => x.to_vec(),
    }
}

impl Pass {
    fn shape(&self) -> Shape {
        let ([h, w, c], n) = (self.chain.output(), self.samples);
        match self.layouts[1] {
            _ if self.chain.flat => Shape::from((n, c)),
            Layout::ChannelsFirst => Shape::from((n, c, h, w)),
            Layout::ChannelsLast => Shape::from((n, h, w, c)),
        }
    }

    fn forward(&self, x: &[f32], theta: &[f32]) -> Result<Vec<f32>> {
        let by = self.given.as_ref().map_or(Normalise::Batch(&self.ranks), |all| Normalise::Given(all));
        let noise = std::mem::take(&mut *self.noise.lock().unwrap_or_else(|e| e.into_inner()));
        let x = inward(x, self.chain.input, self.layouts[0]);
        let (y, mut trace) = self.chain.forward(x, self.samples, theta, by, noise, self.keep)?;
        if self.given.is_none() {
            *self.found.lock().unwrap_or_else(|e| e.into_inner()) = trace.norms.clone();
        }
        if self.keep == Keep::NOTHING {
            trace.values.clear();
        } else {
            *self.trace.lock().unwrap_or_else(|e| e.into_inner()) = Some(trace);
        }
        Ok(outward(&y, self.chain.output(), self.layouts[1]))
    }

    /// The input's and the parameters' gradients, those that are kept.
    fn backward(&self, g: &[f32], theta: &[f32]) -> Result<Grads> {
        let Some(trace) = self.trace.lock().unwrap_or_else(|e| e.into_inner()).take() else {
            bail!("a network's backward pass can run once for each forward pass: run it forward again");
        };
        let g = inward(g, self.chain.output(), self.layouts[1]);
        let mut dtheta = vec![0.0; if self.keep.parameters { theta.len() } else { 0 }];
        let dx = self.chain.backward(trace, theta, g, &mut dtheta);
        let dx = dx.map(|dx| outward(&dx, self.chain.input, self.layouts[0]));
        Ok((dx, self.keep.parameters.then_some(dtheta)))
    }
}

impl CustomOp2 for Pass {
    fn name(&self) -> &'static str {
        "network"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &candle_core::Layout,
        theta: &CpuStorage,
        tl: &candle_core::Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, theta) = (elements::<f32>(x, xl)?, elements::<f32>(theta, tl)?);
        let y = with_work(self.chain.work(self.samples), || self.forward(&x, &theta))?;
        Ok((CpuStorage::F32(y), self.shape()))
    }

    fn bwd(&self, x: &Tensor, theta: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let work = self.chain.work(self.samples);
        let (dx, dtheta) = with_elements::<f32, _>(g, |g| {
            with_elements::<f32, _>(theta, |theta| with_work(work, || self.backward(g, theta)))
        })???;
        let tensor = |values: Option<Vec<f32>>, like: &Tensor| {
            values.map(|v| Tensor::from_vec(v, like.shape(), like.device())).transpose()
        };
        Ok((tensor(dx, x)?, tensor(dtheta, theta)?))
    }
}

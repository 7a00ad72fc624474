//! A layer list turned into a network: parameters allocated and initialised, ready to run.
//!
//! On the CPU a network runs as one fused operation (`links`); on other devices, and where gradients are to be differentiated
//! again, layer by layer (`layerwise`). All trained parameters stand in a row in one variable, or in two for a network whose
//! features are wanted: one for the layers before its head, one for the head. A [`Param`] is a window into it.

use crate::error::Result;
use crate::init::Init;
use crate::layer::{Layer, RunningVariance};
use crate::params::{self, Param};
use crate::rng::Rng;
use crate::shape::{self, Shape};
use candle_core::{Device, Tensor, Var};
use gan_kernels::chain::{self, Chain, Layout, Reuse, Run, Statistics};
use gan_kernels::{BatchStatistics, Precision};
use std::ops::Range;
use std::sync::Arc;

mod layerwise;
mod links;

/// Whether a network trains or is used; decides batch norm's statistics and dropout.
#[derive(Debug)]
pub enum Mode<'a> {
    /// By the batch's statistics, running averages updated, dropout drawn from this generator.
    Train(&'a mut Rng),
    /// By the running averages, nothing dropped.
    Eval,
}

/// Whether a pass leads to gradients of the network's own weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// They get gradients.
    Trained,
    /// They get none, and none is computed; gradients still flow through to the input.
    Frozen,
}

/// How a network runs once.
#[derive(Debug)]
pub struct Pass<'a> {
    /// Training or use.
    pub mode: Mode<'a>,
    /// Gradients for the weights or not.
    pub weights: Weights,
}

impl<'a> Pass<'a> {
    /// A training pass with gradients for the weights.
    pub fn train(rng: &'a mut Rng) -> Self {
        Self { mode: Mode::Train(rng), weights: Weights::Trained }
    }

    /// A training pass through a network whose weights stay as they are while another one learns from it. Its running averages
    /// follow the batch, as in PyTorch.
    pub fn frozen(rng: &'a mut Rng) -> Self {
        Self { mode: Mode::Train(rng), weights: Weights::Frozen }
    }

    /// Use, without gradients for the weights.
    pub fn eval() -> Self {
        Self { mode: Mode::Eval, weights: Weights::Frozen }
    }
}

/// What is asked of a network beside its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlet {
    /// Nothing.
    Output,
    /// What reaches its last layer with weights, its head.
    Features,
}

/// A network made from a layer list.
#[derive(Clone, Debug)]
pub struct Network {
    layers: Vec<Layer>,
    input: Shape,
    shapes: Vec<Shape>,
    params: Vec<Param>,
    /// Where each layer's parameters start in `params`.
    starts: Vec<usize>,
    parts: Vec<Part>,
    outlet: Outlet,
}

/// Layers that run as one, and their trained parameters in a row.
#[derive(Clone, Debug)]
struct Part {
    layers: Range<usize>,
    theta: Var,
    chain: Arc<Chain>,
}

impl Network {
    /// Allocates and initialises the network called `name` (for messages) for inputs `[N, input…]`.
    ///
    /// # Errors
    /// If the layers do not fit together.
    pub fn new(
        name: &str,
        input: &[usize],
        layers: &[Layer],
        init: Init,
        outlet: Outlet,
        rng: &mut Rng,
        device: &Device,
    ) -> Result<Self> {
        let shapes = shape::infer(name, input, layers)?;
        let mut network = Self {
            layers: layers.to_vec(),
            input: input.to_vec(),
            shapes,
            params: vec![],
            starts: vec![],
            parts: vec![],
            outlet,
        };
        let head = if outlet == Outlet::Features { head(layers) } else { layers.len() };
        for range in [0..head, head..layers.len()] {
            if !range.is_empty() {
                network.add_part(range, init, rng, device)?;
            }
        }
        Ok(network)
    }

    /// The shape that reaches layer `index`.
    fn before(&self, index: usize) -> &[usize] {
        index.checked_sub(1).map_or(&self.input, |i| &self.shapes[i])
    }

    /// Draws the parameters of some layers in the list's order and joins the trained ones.
    fn add_part(&mut self, range: Range<usize>, init: Init, rng: &mut Rng, device: &Device) -> Result<()> {
        let mut drawn = vec![];
        for index in range.clone() {
            let own = params::of_layer(&self.layers[index], self.before(index));
            let kernel = own.first().map(|(_, shape, _)| shape.clone()).unwrap_or_default();
            for (suffix, shape, role) in own {
                let start = init.tensor(role, &shape, &kernel, rng, device)?;
                drawn.push((index, format!("main.{index}.{suffix}"), role, start));
            }
        }
        let trained: Vec<Tensor> =
            drawn.iter().filter(|d| d.2.is_trained()).map(|d| d.3.flatten_all()).collect::<candle_core::Result<_>>()?;
        let theta = match trained.is_empty() {
            // Candle has no empty variables.
            true => Var::zeros(1, candle_core::DType::F32, device)?,
            false => Var::from_tensor(&Tensor::cat(&trained, 0)?)?,
        };
        let (mut at, mut drawn) = (0, drawn.into_iter().peekable());
        for index in range.clone() {
            self.starts.push(self.params.len());
            while let Some((_, name, role, start)) = drawn.next_if(|d| d.0 == index) {
                let param = if role.is_trained() {
                    at += start.elem_count();
                    Param::window(name, &theta, at - start.elem_count(), start.dims(), role)
                } else {
                    Param::whole(name, Var::from_tensor(&start)?, role)
                };
                self.params.push(param);
            }
        }
        let chain = Arc::new(self.chain(range.clone(), Precision::F32)?);
        self.parts.push(Part { layers: range, theta, chain });
        Ok(())
    }

    fn chain(&self, range: Range<usize>, precision: Precision) -> candle_core::Result<Chain> {
        // A network that is asked for its features judges several batches between two updates.
        let reuse = match self.outlet {
            Outlet::Features => Reuse::UntilChanged,
            Outlet::Output => Reuse::Never,
        };
        Chain::new(self.before(range.start), self.links(range), precision, reuse)
    }

    /// The same network (the same variables) with another number format of its products.
    ///
    /// # Errors
    /// From candle.
    pub fn with_precision(mut self, precision: Precision) -> candle_core::Result<Self> {
        for i in 0..self.parts.len() {
            self.parts[i].chain = Arc::new(self.chain(self.parts[i].layers.clone(), precision)?);
        }
        Ok(self)
    }

    /// The layer list.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The shape of one input, without the batch.
    pub fn input(&self) -> &[usize] {
        &self.input
    }

    /// The shape of one output, without the batch.
    pub fn output(&self) -> &[usize] {
        self.shapes.last().unwrap_or(&self.input)
    }

    /// Every parameter and running average, in the list's order.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// x `[N, input…]` -> `[N, output…]`.
    ///
    /// # Errors
    /// If x has another shape than the network is for.
    pub fn forward(&self, x: &Tensor, pass: &mut Pass) -> candle_core::Result<Tensor> {
        if !self.runs_fused(x) {
            return self.layerwise(0..self.layers.len(), x, pass);
        }
        let last = self.parts.len().saturating_sub(1);
        let mut x = x.clone();
        for (i, part) in self.parts.iter().enumerate() {
            let layouts = [i == 0, i == last].map(|end| if end { Layout::ChannelsFirst } else { Layout::ChannelsLast });
            x = self.fused(part, &x, layouts, pass)?;
        }
        Ok(x)
    }

    /// x `[N, input…]` -> (`[N, output…]`, what reaches the last layer with weights).
    ///
    /// # Errors
    /// If x has another shape than the network is for.
    pub fn forward_with_features(&self, x: &Tensor, pass: &mut Pass) -> candle_core::Result<(Tensor, Tensor)> {
        let [body, rest] = match &self.parts[..] {
            [body, rest] if self.runs_fused(x) => [body, rest],
            _ => {
                let head = head(&self.layers);
                let features = self.layerwise(0..head, x, pass)?;
                return Ok((self.layerwise(head..self.layers.len(), &features, pass)?, features));
            }
        };
        let features = self.fused(body, x, [Layout::ChannelsFirst, Layout::ChannelsLast], pass)?;
        let y = self.fused(rest, &features, [Layout::ChannelsLast, Layout::ChannelsFirst], pass)?;
        let features = if features.rank() == 4 { features.permute((0, 3, 1, 2))? } else { features };
        Ok((y, features))
    }

    /// Fused operations are for the CPU, for f32 and for gradients that are not differentiated again.
    fn runs_fused(&self, x: &Tensor) -> bool {
        x.device().is_cpu() && x.dtype() == candle_core::DType::F32 && !gan_kernels::keeps_graph()
    }

    fn fused(&self, part: &Part, x: &Tensor, [from, to]: [Layout; 2], pass: &mut Pass) -> candle_core::Result<Tensor> {
        let theta = match pass.weights {
            Weights::Frozen => part.theta.as_detached_tensor(),
            Weights::Trained => part.theta.as_tensor().clone(),
        };
        let given = self.running(part.layers.clone())?;
        let (statistics, noise) = match &mut pass.mode {
            Mode::Train(rng) => (Statistics::Batch, noise(&part.chain, x.dim(0)?, rng)?),
            Mode::Eval => (Statistics::Given(&given), vec![]),
        };
        let (y, found) = part.chain.apply(x, &theta, Run { statistics, noise, from, to })?;
        let norms = part.layers.clone().filter(|i| matches!(self.layers[*i], Layer::BatchNorm(_)));
        norms.zip(found).try_for_each(|(index, found)| self.follow(index, found))?;
        Ok(y)
    }

    /// Running mean and variance of each batch norm among some layers.
    fn running(&self, range: Range<usize>) -> candle_core::Result<Vec<[Tensor; 2]>> {
        let norms = range.filter(|i| matches!(self.layers[*i], Layer::BatchNorm(_)));
        norms.map(|i| Ok([self.params[self.starts[i] + 2].tensor()?, self.params[self.starts[i] + 3].tensor()?])).collect()
    }

    /// Lets the running averages of batch norm `index` follow a batch.
    fn follow(&self, index: usize, batch: BatchStatistics) -> candle_core::Result<()> {
        let Layer::BatchNorm(layer) = &self.layers[index] else { return Ok(()) };
        let settings = &layer.batch_norm;
        let BatchStatistics { mean, variance, count } = batch;
        let correction = match settings.running_variance {
            RunningVariance::Unbiased => count as f64 / (count as f64 - 1.0),
            RunningVariance::Biased => 1.0,
        };
        let start = self.starts[index];
        blend(&self.params[start + 2], &mean, settings.momentum)?;
        blend(&self.params[start + 3], &(variance * correction)?, settings.momentum)
    }
}

/// The last layer with weights.
fn head(layers: &[Layer]) -> usize {
    let has_weights = |layer: &Layer| matches!(layer, Layer::Dense(_) | Layer::Conv(_) | Layer::ConvTranspose(_));
    layers.iter().rposition(has_weights).unwrap_or(0)
}

/// Random numbers for a chain's dropouts.
fn noise(chain: &Chain, n: usize, rng: &mut Rng) -> candle_core::Result<chain::Noise> {
    let draw = |shape: [usize; 4]| rng.uniform_tensor(0.0, 1.0, shape.to_vec(), &Device::Cpu);
    chain.noise_shapes(n).into_iter().map(draw).collect()
}

/// average ← (1 − weight)·average + weight·new
fn blend(average: &Param, new: &Tensor, weight: f64) -> candle_core::Result<()> {
    average.set(&((average.tensor()? * (1.0 - weight))? + (new * weight)?)?)
}

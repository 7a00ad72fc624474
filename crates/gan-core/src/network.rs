//! A layer list turned into a network: parameters allocated and initialised, ready to run.
//!
//! On the CPU a network runs as one fused operation (`links`); on other devices, and where gradients are to be differentiated
//! again, layer by layer (`layerwise`). `drawn` makes the numbers that parameters start with. `tangent` carries a derivative beside the values. All trained parameters stand in a row in one variable; a [`Param`] is a window into it.

use crate::error::{Error, Result};
use crate::init::Init;
use crate::layer::{Layer, RunningVariance};
use crate::params::Param;
use crate::rng::Rng;
use crate::shape::{self, Shape};
use candle_core::{Device, Tensor, Var};
use gan_kernels::chain::{self, Chain, Layout, Reuse, Run, Statistics};
use gan_kernels::{BatchStatistics, Precision};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

mod drawn;
mod layerwise;
mod links;
mod tangent;

/// Whether a network trains or is used; decides batch norm's statistics and dropout.
#[derive(Debug)]
pub enum Mode<'a> {
    /// By the batch's statistics, running averages updated, dropout drawn from this generator.
    Train(&'a mut Rng),
    /// By the running averages, nothing dropped.
    Eval,
}

impl Mode<'_> {
    /// The same, for a part of the pass.
    fn again(&mut self) -> Mode<'_> {
        match self {
            Self::Train(rng) => Mode::Train(rng),
            Self::Eval => Mode::Eval,
        }
    }
}

/// Whether a pass leads to gradients of the network's own weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// They get gradients.
    Trained,
    /// They get none, and none is computed; gradients still flow through to the input.
    Frozen,
}

/// Whether what reaches a discriminator's head is wanted beside its logits. It costs a copy or two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Features {
    /// It is not.
    #[default]
    Left,
    /// It is.
    Wanted,
}

/// How a network runs once.
#[derive(Debug)]
pub struct Pass<'a> {
    /// Training or use.
    pub mode: Mode<'a>,
    /// Gradients for the weights or not.
    pub weights: Weights,
    /// Whether a discriminator's features are wanted.
    pub features: Features,
}

impl<'a> Pass<'a> {
    /// A training pass with gradients for the weights.
    pub fn train(rng: &'a mut Rng) -> Self {
        Self { mode: Mode::Train(rng), weights: Weights::Trained, features: Features::Left }
    }

    /// A training pass through a network whose weights stay as they are while another one learns from it. Its running averages
    /// follow the batch, as in PyTorch.
    pub fn frozen(rng: &'a mut Rng) -> Self {
        Self { mode: Mode::Train(rng), weights: Weights::Frozen, features: Features::Left }
    }

    /// The same, with features.
    pub fn with_features(self) -> Self {
        Self { features: Features::Wanted, ..self }
    }

    /// Use, without gradients for the weights.
    pub fn eval() -> Self {
        Self { mode: Mode::Eval, weights: Weights::Frozen, features: Features::Left }
    }
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
    /// All trained parameters in a row.
    theta: Var,
    /// The layer whose input is the features.
    head: usize,
    fused: Fused,
}

/// The layers as fused operations over all trained parameters.
#[derive(Clone, Debug)]
struct Fused {
    precision: Precision,
    reuse: Reuse,
    whole: Arc<Chain>,
    /// The layers before the head, and from it on; made when features are first asked for.
    halves: OnceLock<[Arc<Chain>; 2]>,
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
        reuse: Reuse,
        rng: &mut Rng,
        device: &Device,
    ) -> Result<Self> {
        let shapes = shape::infer(name, input, layers)?;
        let drawn = drawn::draw(input, layers, &shapes, init, rng, device)?;
        let trained: Vec<Tensor> = drawn
            .iter()
            .filter(|d| d.role.is_trained())
            .map(|d| d.start.flatten_all())
            .collect::<candle_core::Result<_>>()?;
        let theta = match trained.is_empty() {
            // Candle has no empty variables.
            true => Var::zeros(1, candle_core::DType::F32, device)?,
            false => Var::from_tensor(&Tensor::cat(&trained, 0)?)?,
        };
        let (mut params, mut at) = (vec![], 0);
        let starts = (0..layers.len()).map(|layer| drawn.iter().filter(|d| d.layer < layer).count()).collect();
        for d in drawn {
            params.push(match d.role.is_trained() {
                true => Param::window(d.name, &theta, at, d.start.dims(), d.role),
                false => Param::whole(d.name, Var::from_tensor(&d.start)?, d.role),
            });
            at += if d.role.is_trained() { d.start.elem_count() } else { 0 };
        }
        let empty = Chain::new(&[1], vec![], Precision::F32, reuse)?;
        let fused = Fused { precision: Precision::F32, reuse, whole: Arc::new(empty), halves: OnceLock::new() };
        let (head, layers, input) = (head(layers), layers.to_vec(), input.to_vec());
        let network = Self { layers, input, shapes, params, starts, theta, head, fused };
        Ok(network.with_precision(Precision::F32)?)
    }

    /// The same network (the same variables) with another number format of its products.
    ///
    /// # Errors
    /// From candle.
    pub fn with_precision(mut self, precision: Precision) -> candle_core::Result<Self> {
        (self.fused.precision, self.fused.halves) = (precision, OnceLock::new());
        self.fused.whole = Arc::new(self.chain(0..self.layers.len())?);
        Ok(self)
    }

    /// The same network, whose features are what reaches layer `index`, counted from 0, instead of its last one with weights.
    ///
    /// # Errors
    /// If it has no such layer.
    pub fn with_features_before(mut self, index: usize) -> Result<Self> {
        if index >= self.layers.len() {
            let problem = format!("features before layer {index}: there are {}, counted from 0", self.layers.len());
            return Err(Error::Network { network: "network".into(), problem });
        }
        (self.head, self.fused.halves) = (index, OnceLock::new());
        Ok(self)
    }

    /// The shape of a sample's features, without the batch.
    pub fn features(&self) -> &[usize] {
        self.before(self.head)
    }

    /// Some layers as one operation.
    fn chain(&self, range: Range<usize>) -> candle_core::Result<Chain> {
        Chain::new(self.before(range.start), self.links(range), self.fused.precision, self.fused.reuse)
    }

    /// Parameter `i` of layer `index`, on candle's tape where it is to get gradients.
    fn weight(&self, index: usize, i: usize, weights: Weights) -> candle_core::Result<Tensor> {
        let param = &self.params[self.starts[index] + i];
        if weights == Weights::Frozen { param.tensor() } else { param.tracked() }
    }

    /// The shape that reaches layer `index`.
    fn before(&self, index: usize) -> &[usize] {
        index.checked_sub(1).map_or(&self.input, |i| &self.shapes[i])
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
        self.run(&self.fused.whole, 0..self.layers.len(), x, [Layout::ChannelsFirst; 2], pass)
    }

    /// As [`Network::forward`], layer by layer on candle's tape whatever the device: what the fused operation must equal, and
    /// what gradients of gradients need.
    ///
    /// # Errors
    /// As [`Network::forward`].
    pub fn forward_layer_by_layer(&self, x: &Tensor, pass: &mut Pass) -> candle_core::Result<Tensor> {
        self.layerwise(0..self.layers.len(), x, pass)
    }

    /// x `[N, input…]` -> (`[N, output…]`, features: what reaches the last layer with weights, or the layer chosen).
    ///
    /// # Errors
    /// If x has another shape than the network is for.
    pub fn forward_with_features(&self, x: &Tensor, pass: &mut Pass) -> candle_core::Result<(Tensor, Tensor)> {
        let (head, end) = (self.head, self.layers.len());
        if !self.runs_fused(x) || head == 0 {
            let features = self.layerwise(0..head, x, pass)?;
            return Ok((self.layerwise(head..end, &features, pass)?, features));
        }
        let halves = match self.fused.halves.get() {
            Some(halves) => halves,
            None => {
                let made = [Arc::new(self.chain(0..head)?), Arc::new(self.chain(head..end)?)];
                self.fused.halves.get_or_init(|| made)
            }
        };
        let features = self.run(&halves[0], 0..head, x, [Layout::ChannelsFirst, Layout::ChannelsLast], pass)?;
        let y = self.run(&halves[1], head..end, &features, [Layout::ChannelsLast, Layout::ChannelsFirst], pass)?;
        let features = if features.rank() == 4 { features.permute((0, 3, 1, 2))? } else { features };
        Ok((y, features))
    }

    /// Fused operations are for the CPU, for f32 and for gradients that are not differentiated again.
    fn runs_fused(&self, x: &Tensor) -> bool {
        x.device().is_cpu() && x.dtype() == candle_core::DType::F32 && !gan_kernels::keeps_graph()
    }

    fn run(
        &self,
        chain: &Arc<Chain>,
        layers: Range<usize>,
        x: &Tensor,
        [from, to]: [Layout; 2],
        pass: &mut Pass,
    ) -> candle_core::Result<Tensor> {
        let theta = match pass.weights {
            Weights::Frozen => self.theta.as_detached_tensor(),
            Weights::Trained => self.theta.as_tensor().clone(),
        };
        let given = self.running(layers.clone())?;
        let (statistics, noise) = match &mut pass.mode {
            Mode::Train(rng) => (Statistics::Batch, noise(chain, x.dim(0)?, rng)?),
            Mode::Eval => (Statistics::Given(&given), vec![]),
        };
        let (y, found) = chain.apply(x, &theta, Run { statistics, noise, from, to })?;
        let norms = layers.filter(|i| matches!(self.layers[*i], Layer::BatchNorm(_)));
        norms.zip(found).try_for_each(|(index, found)| self.follow(index, found))?;
        Ok(y)
    }

    /// Running mean and variance of each batch norm among some layers.
    fn running(&self, range: Range<usize>) -> candle_core::Result<Vec<[Tensor; 2]>> {
        let norms = range.filter(|i| matches!(self.layers[*i], Layer::BatchNorm(_)));
        norms
            .map(|i| Ok([self.params[self.starts[i] + 2].tensor()?, self.params[self.starts[i] + 3].tensor()?]))
            .collect()
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

//! A layer list turned into a network: parameters allocated and initialised, ready to run.
//!
//! On the CPU layers run fused (`links`): a whole list of plain layers is one operation; around newer layers (`modern`, `attention`, `classes`) and blocks
//! the list is cut into `parts`. On other devices, and where gradients are to be differentiated again, all run layer by layer
//! (`layerwise`). `drawn` makes the numbers that parameters start with. `tangent` carries a derivative beside the values, `dual` is a
//! value with one. `spectral` divides kernels by their largest singular values. The trained parameters of a part stand in a row in one
//! variable; a [`Param`] is a window into it. `pass` says how a network runs once.

use crate::error::{Error, Result};
use crate::init::Init;
use crate::layer::{Layer, RunningVariance};
use crate::params::Param;
use crate::shape::{self, InferredLayer, Shape};
use candle_core::{Device, Tensor, Var};
use drawn::InitialValues;
use gan_base::Rng;
use gan_base::memory;
use gan_kernels::chain::{Layout, Reuse};
use gan_kernels::{BatchStatistics, Precision};
use parts::Part;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

mod attention;
mod classes;
mod drawn;
mod dual;
mod layerwise;
mod links;
mod modern;
mod parts;
mod pass;
mod spectral;
mod tangent;

pub use pass::{Features, Mode, Pass, Weights};

/// A network made from a layer list.
#[derive(Clone, Debug)]
pub struct Network {
    layers: Vec<Layer>,
    input: Shape,
    shapes: Vec<Shape>,
    params: Vec<Param>,
    /// Where each layer's parameters start in `params`.
    starts: Vec<usize>,
    /// Layers that run together, with all their trained parameters in a row.
    segments: Vec<Segment>,
    /// Both ways of each residual block.
    blocks: BTreeMap<usize, Box<[Self; 2]>>,
    /// The layer whose input is the features.
    head: usize,
    fused: Fused,
}

/// Layers that run together: fused ones, or one that does not fuse.
#[derive(Clone, Debug)]
struct Segment {
    layers: Range<usize>,
    theta: Var,
}

/// How the layers run as fused operations.
#[derive(Clone, Debug)]
struct Fused {
    precision: Precision,
    reuse: Reuse,
    whole: Vec<Part>,
    /// The layers before the head, and from it on; made when features are first asked for.
    halves: OnceLock<[Vec<Part>; 2]>,
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
        let inferred = shape::infer_layers(name, input, layers)?;
        Self::built(name, input, layers, inferred, reuse, &mut InitialValues::Drawn(init, rng), device)
    }

    /// The network called `name` (for messages) with the numbers of `tensors`, by the names of [`Network::params`]. No others are
    /// drawn or allocated before.
    ///
    /// # Errors
    /// If the layers do not fit together, or a tensor is missing or has another shape.
    pub fn from_tensors(
        name: &str,
        input: &[usize],
        layers: &[Layer],
        tensors: &BTreeMap<String, Tensor>,
        reuse: Reuse,
        device: &Device,
    ) -> Result<Self> {
        let inferred = shape::infer_layers(name, input, layers)?;
        Self::built(name, input, layers, inferred, reuse, &mut InitialValues::Given(tensors), device)
    }

    fn built(
        name: &str,
        input: &[usize],
        layers: &[Layer],
        inferred: Vec<InferredLayer>,
        reuse: Reuse,
        values: &mut InitialValues,
        device: &Device,
    ) -> Result<Self> {
        let numbers = shape::parameter_count(&inferred) as u64;
        if let (true, Err(shortage)) = (device.is_cpu(), memory::check(numbers * 4)) {
            let problem = format!("for its {numbers} parameters {shortage}: use fewer or narrower layers");
            return Err(Error::Network { network: name.into(), problem });
        }
        let mut network = Self::filled("main", input, layers, inferred, reuse, values, device)?;
        network.set_precision(Precision::F32)?;
        Ok(network)
    }

    /// With parameters, whose names begin with `name`, but nothing fused yet.
    fn filled(
        name: &str,
        input: &[usize],
        layers: &[Layer],
        inferred: Vec<InferredLayer>,
        reuse: Reuse,
        values: &mut InitialValues,
        device: &Device,
    ) -> Result<Self> {
        let mut network = Self {
            layers: layers.to_vec(),
            input: input.to_vec(),
            shapes: inferred.iter().map(|layer| layer.output.clone()).collect(),
            params: vec![],
            starts: vec![],
            segments: vec![],
            blocks: BTreeMap::new(),
            head: head(layers),
            fused: Fused { precision: Precision::F32, reuse, whole: vec![], halves: OnceLock::new() },
        };
        let mut inferred = inferred.into_iter();
        for range in parts::segments(layers) {
            let mut drawn = vec![];
            for (index, found) in range.clone().zip(&mut inferred) {
                network.starts.push(network.params.len() + drawn.len());
                let (layer, name) = (&layers[index], format!("{name}.{index}"));
                match (layer, found.inside) {
                    (Layer::Residual(l), Some(inside)) => {
                        let mut part = |part: &str, list: &[Layer], inferred: Vec<InferredLayer>| {
                            let name = format!("{name}.{part}");
                            Self::filled(&name, network.before(index), list, inferred, reuse, values, device)
                        };
                        let [body, skip] = *inside;
                        let both = [part("body", &l.residual, body)?, part("skip", &l.skip, skip)?];
                        network.params.extend(both.iter().flat_map(|network| network.params.clone()));
                        network.blocks.insert(index, Box::new(both));
                    }
                    _ => drawn.extend(values.of_layer(&name, layer, &found.params, device)?),
                }
            }
            let theta = network.in_a_row(drawn, device)?;
            network.segments.push(Segment { layers: range, theta });
        }
        Ok(network)
    }

    /// The trained ones among `drawn` in one variable; all join the parameters.
    fn in_a_row(&mut self, drawn: Vec<drawn::Drawn>, device: &Device) -> candle_core::Result<Var> {
        let trained = drawn.iter().filter(|d| d.role.is_trained()).map(|d| d.start.flatten_all());
        let trained = trained.collect::<candle_core::Result<Vec<Tensor>>>()?;
        let theta = match trained.is_empty() {
            // Candle has no empty variables.
            true => Var::zeros(1, candle_core::DType::F32, device)?,
            false => Var::from_tensor(&Tensor::cat(&trained, 0)?)?,
        };
        let mut at = 0;
        for d in drawn {
            let size = d.start.elem_count();
            if d.role.is_trained() {
                self.params.push(Param::window(d.name, &theta, at, d.start.dims(), d.role));
                at += size;
            } else {
                self.params.push(Param::whole(d.name, Var::from_tensor(&d.start)?, d.role));
            }
        }
        Ok(theta)
    }

    /// The same network (the same variables) with another number format of its products.
    ///
    /// # Errors
    /// From candle.
    pub fn with_precision(mut self, precision: Precision) -> candle_core::Result<Self> {
        self.set_precision(precision)?;
        Ok(self)
    }

    fn set_precision(&mut self, precision: Precision) -> candle_core::Result<()> {
        (self.fused.precision, self.fused.halves) = (precision, OnceLock::new());
        self.blocks
            .values_mut()
            .flat_map(|both| both.iter_mut())
            .try_for_each(|inner| inner.set_precision(precision))?;
        self.fused.whole = self.parts(0..self.layers.len())?;
        Ok(())
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

    /// Parameter `i` of layer `index`, on candle's tape where it is to get gradients.
    fn weight(&self, index: usize, i: usize, weights: Weights) -> candle_core::Result<Tensor> {
        self.tensor_of(self.starts[index] + i, weights)
    }

    /// Parameter `i` of all, on candle's tape where it is to get gradients.
    fn tensor_of(&self, i: usize, weights: Weights) -> candle_core::Result<Tensor> {
        let param = &self.params[i];
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
    /// If x has another shape than the network is for, or the pass lacks classes that it needs.
    pub fn forward(&self, x: &Tensor, pass: &mut Pass) -> candle_core::Result<Tensor> {
        if !self.runs_fused(x) {
            return self.layerwise(0..self.layers.len(), x, pass);
        }
        self.run(&self.fused.whole, x, [Layout::ChannelsFirst; 2], pass)
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
                let made = [self.parts(0..head)?, self.parts(head..end)?];
                self.fused.halves.get_or_init(|| made)
            }
        };
        let features = self.run(&halves[0], x, [Layout::ChannelsFirst, Layout::ChannelsLast], pass)?;
        let y = self.run(&halves[1], &features, [Layout::ChannelsLast, Layout::ChannelsFirst], pass)?;
        let features = if features.rank() == 4 { features.permute((0, 3, 1, 2))? } else { features };
        Ok((y, features))
    }

    /// Fused operations are for the CPU, for f32 and for gradients that are not differentiated again.
    fn runs_fused(&self, x: &Tensor) -> bool {
        x.device().is_cpu() && x.dtype() == candle_core::DType::F32 && !gan_kernels::keeps_graph()
    }

    /// Running mean and variance of each batch norm among some layers.
    fn running(&self, range: Range<usize>) -> candle_core::Result<Vec<[Tensor; 2]>> {
        let is_norm = |i: &usize| matches!(self.layers[*i], Layer::BatchNorm(_) | Layer::ConditionalBatchNorm(_));
        range
            .filter(is_norm)
            .map(|i| Ok([self.params[self.starts[i] + 2].tensor()?, self.params[self.starts[i] + 3].tensor()?]))
            .collect()
    }

    /// Lets the running averages of batch norm `index` follow a batch.
    fn follow(&self, index: usize, batch: BatchStatistics) -> candle_core::Result<()> {
        let (momentum, rule) = match &self.layers[index] {
            Layer::BatchNorm(l) => (l.batch_norm.momentum, l.batch_norm.running_variance),
            Layer::ConditionalBatchNorm(l) => (l.momentum, RunningVariance::Unbiased),
            _ => return Ok(()),
        };
        let BatchStatistics { mean, variance, count } = batch;
        let correction = match rule {
            RunningVariance::Unbiased => count as f64 / (count as f64 - 1.0),
            RunningVariance::Biased => 1.0,
        };
        let start = self.starts[index];
        blend(&self.params[start + 2], &mean, momentum)?;
        blend(&self.params[start + 3], &(variance * correction)?, momentum)
    }
}

/// The last layer with weights.
fn head(layers: &[Layer]) -> usize {
    let has_weights = |layer: &Layer| {
        matches!(
            layer,
            Layer::Dense(_) | Layer::Conv(_) | Layer::ConvTranspose(_) | Layer::Projection(_) | Layer::Auxiliary(_)
        )
    };
    layers.iter().rposition(has_weights).unwrap_or(0)
}

/// average ← (1 − weight)·average + weight·new
fn blend(average: &Param, new: &Tensor, weight: f64) -> candle_core::Result<()> {
    average.set(&((average.tensor()? * (1.0 - weight))? + (new * weight)?)?)
}

//! The fused engine: a sequence of layers as one operation, forward and backward over channels-last images without a tape. Each convolution
//! is fused with its bias and activation, and each batch norm with its activation.
//!
//! Candle's own tape adds a tensor of zeros and a sum for every gradient, and transposes images to channels-first between operations; for
//! small networks its bookkeeping costs more than the computation. A sequence saves only what its backward pass needs, and presents candle
//! with one operation over two tensors: the input and all parameters, packed in order.
//!
//! In reading order: this file (the plan), `layers` (their shapes, what they save, their passes), `pass` (the passes over all layers, also of
//! the directional derivative), `op` (a sequence as a candle operation), `collect` (a backward pass that adds gradients in place).

mod collect;
mod layers;
mod linearized;
mod op;
mod pass;

pub use collect::backward;
pub use layers::{
    Activation, Attention, BatchNorm, ConcatClass, Conv, Dropout, Fork, FusedLayer, GlobalMaxPool, Glu,
    InputActivation, Join, LearnedSlope, MinibatchStd, OwnFactors, PixelNorm, Projection, Resample, Reshape,
    SampleNorm, SlopeApplies, Swap, Weights,
};
pub use linearized::Linearized;
pub use op::{Layout, Noise, Run, Statistics};
pub use pass::{NeedsGrad, PassContext, Value};

use crate::backend::{Backend, Sides, size};
use crate::cpu::Cpu;
use crate::spec::{MOST, Precision, product};
use candle_core::{Result, bail};
use layers::Shape;

/// A layer with its sizes and its fused activation.
#[derive(Clone, Debug)]
struct PlannedLayer {
    layer: FusedLayer,
    input: Sides,
    output: Sides,
    /// Activation that follows immediately.
    act: Activation,
}

/// A sequence of layers with the sizes between them.
#[derive(Debug)]
pub struct FusedSequential<B: Backend = Cpu> {
    backend: B,
    layers: Vec<PlannedLayer>,
    input: Sides,
    precision: Precision,
    weights: B::WeightCache,
    /// Whether the output is a vector `[F]`.
    flat: bool,
    /// Number of parameters that the layers' places need.
    parameters: usize,
    /// Number of values of one sample at its largest.
    largest: usize,
}

/// Lifetime of packed weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Until the weights change, for a network that runs several times between two updates.
    UntilChanged,
    /// One pass, for a network that trains once with each state of its weights, so that a cache would only take memory.
    Never,
}

impl FusedSequential {
    /// Plans layers over samples of `input` = `[C, H, W]` or `[F]`, on the CPU.
    ///
    /// # Errors
    /// If a layer does not fit its input, has an empty output, or one that exceeds any memory.
    pub fn new(input: &[usize], layers: Vec<FusedLayer>, precision: Precision, reuse: Reuse) -> Result<Self> {
        Self::on(Cpu, input, layers, precision, reuse)
    }
}

impl<B: Backend> FusedSequential<B> {
    /// Plans layers over samples of `input` = `[C, H, W]` or `[F]`, on a backend.
    ///
    /// # Errors
    /// If a layer does not fit its input, has an empty output, or one that exceeds any memory.
    pub fn on(
        backend: B,
        input: &[usize],
        layers: Vec<FusedLayer>,
        precision: Precision,
        reuse: Reuse,
    ) -> Result<Self> {
        let flat = input.len() == 1;
        let input = sides(input)?;
        let mut largest = check_size(input)?;
        let mut parameters = 0;
        let mut planned = Vec::<PlannedLayer>::new();
        let mut at = Shape { sides: input, flat };
        let mut waiting = vec![];
        for layer in layers {
            if let FusedLayer::Activation(act) = layer
                && let Some(last) = planned.last_mut()
                && last.act == Activation::Identity
                && last.layer.operation::<B>().fuses(act)
            {
                last.act = act;
                continue;
            }
            if !backend.knows(&layer) {
                bail!("this device has no kernels for a layer of the network, run it on the CPU: {layer:?}");
            }
            let operation = layer.operation::<B>();
            let output = operation.plan(at, &mut waiting)?;
            largest = check_size(output.sides)?.max(largest);
            for (start, len) in operation.parameters(at.sides) {
                let end = start.saturating_add(len);
                if end > MOST {
                    bail!("parameters up to place {end} are beyond any memory: {layer:?}");
                }
                parameters = parameters.max(end);
            }
            let [input, sides] = [at.sides, output.sides];
            planned.push(PlannedLayer { layer, input, output: sides, act: Activation::Identity });
            at = output;
        }
        if !waiting.is_empty() {
            bail!("a residual block without its end");
        }
        let flat = at.flat;
        let weights = backend.weight_cache(reuse);
        Ok(Self { backend, layers: planned, input, precision, weights, flat, parameters, largest })
    }

    /// Returns the backend.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// Returns the number of layers after fusion, which is that of a [`PassContext`].
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Returns whether there are no layers.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Returns the number of parameters that the layers' places need.
    pub fn parameter_count(&self) -> usize {
        self.parameters
    }

    /// Returns height, width and channels of the input.
    pub fn input(&self) -> Sides {
        self.input
    }

    /// Returns the indices of the dropouts and the number of values per sample that each of them reads.
    pub fn dropouts(&self) -> Vec<(usize, usize)> {
        let all = self.layers.iter().enumerate();
        let drops = all.filter(|(_, planned)| matches!(planned.layer, FusedLayer::Dropout(_)));
        drops.map(|(index, planned)| (index, size(planned.input))).collect()
    }

    /// Returns the indices of the batch norms.
    pub fn batch_norms(&self) -> Vec<usize> {
        let all = self.layers.iter().enumerate();
        all.filter(|(_, planned)| planned.layer.is_norm()).map(|(index, _)| index).collect()
    }

    /// Returns whether several batches can go through it as one, each with its own statistics of batch norms ([`PassContext::groups`]).
    pub fn joins_batches(&self) -> bool {
        let mixes = |planned: &PlannedLayer| match &planned.layer {
            FusedLayer::MinibatchStd(_) => true,
            FusedLayer::SampleNorm(norm) => matches!(norm.of, OwnFactors::Affine { .. }),
            _ => false,
        };
        let has_norms = self.layers.iter().any(|planned| planned.layer.is_norm());
        (B::HAS_GROUPS || !has_norms) && !self.layers.iter().any(mixes)
    }

    /// Returns the number of channels before layer `index`.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn channels_before(&self, index: usize) -> usize {
        self.layers[index].input[2]
    }

    /// Tells the backend that the parameters have changed. A backend that cannot see it by itself packs its weights at every use until
    /// this is called for the first time, and from then on only after each call.
    pub fn weights_changed(&self) {
        self.backend.weights_changed(&self.weights);
    }

    /// Returns height, width and channels of the output.
    pub fn output(&self) -> Sides {
        self.layers.last().map_or(self.input, |s| s.output)
    }

    /// Returns the multiply-adds of a forward pass of `samples`.
    fn work(&self, samples: usize) -> usize {
        let of = |planned: &PlannedLayer| planned.layer.operation::<B>().work(planned);
        samples.saturating_mul(self.layers.iter().map(of).fold(0, usize::saturating_add))
    }

    /// Returns the shapes `[N, …]` of the random numbers that each dropout needs for a batch of `n`, in the layers' order and in
    /// channels-last order.
    pub fn noise_shapes(&self, n: usize) -> Vec<[usize; 4]> {
        let drops = self.layers.iter().filter(|planned| matches!(planned.layer, FusedLayer::Dropout(_)));
        drops.map(|planned| [n, planned.input[0], planned.input[1], planned.input[2]]).collect()
    }

    /// Returns whether [`FusedSequential::jvp`] supports all layers on this backend.
    pub fn has_jvp(&self) -> bool {
        self.layers.iter().all(|planned| planned.layer.operation::<B>().has_jvp(planned.act))
    }

    fn has_parameters_before(&self, index: usize) -> bool {
        self.layers[..index].iter().any(|s| !s.layer.operation::<B>().parameters(s.input).is_empty())
    }

    /// Returns whether a batch norm directly follows layer `index`. A bias would only shift the mean that it subtracts, so it is not added.
    fn norm_follows(&self, index: usize) -> bool {
        let next = self.layers.get(index + 1);
        self.layers[index].act == Activation::Identity && next.is_some_and(|next| next.layer.is_norm())
    }

    /// Returns the place of the bias that the layer before `index` leaves to the batch norm there.
    fn bias_left_out(&self, index: usize) -> Option<usize> {
        let before = index.checked_sub(1)?;
        self.norm_follows(before).then(|| self.layers[before].layer.bias())?
    }
}

/// Returns the number of values in one sample, or an error if it is zero or exceeds any memory.
fn check_size(sides: Sides) -> Result<usize> {
    match product(&sides) {
        0 => bail!("a fused network cannot work on samples without numbers, got [height, width, channels] {sides:?}"),
        size if size > MOST => {
            bail!("samples of [height, width, channels] {sides:?} are beyond any memory")
        }
        size => Ok(size),
    }
}

fn sides(shape: &[usize]) -> Result<Sides> {
    match shape {
        [c, h, w] => Ok([*h, *w, *c]),
        [f] => Ok([1, 1, *f]),
        _ => bail!("a fused network works on images [C, H, W] and vectors [F], got {shape:?}"),
    }
}

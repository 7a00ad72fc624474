//! Network built from a layer list, with allocated and initialized parameters.
//!
//! On the CPU, consecutive layers that have a fused form run as one operation ([`FusedGroup`]); the others, and everything on other devices
//! and in f64, run layer by layer in candle operations. `build` allocates and initializes, `run` runs,
//! `portable` plans a network for another backend, `stages` cuts one into parts. The trainable parameters of a group
//! are packed into one variable; a [`Param`] is a view of a part of it.

use crate::error::{Error, Result};
use crate::forward_context::{ForwardContext, Mode, Weights};
use crate::layers::{Dual, Layer, ParamSpec};
use crate::params::Param;
use candle_core::{Tensor, Var};
use gan_kernels::Precision;
use gan_kernels::fused::{Layout, Linearized, Reuse};
use run::{Step, noise};
use std::ops::Range;

mod build;
mod portable;
mod run;
mod stages;

pub use portable::{Portable, RunningNorm, SpectralKernel};
pub(crate) use run::Engine;
pub use stages::Stages;

/// Network built from a layer list. Its passes fail if x or t has another shape than the network expects, or if they lack classes that it
/// needs.
#[derive(Clone, Debug)]
pub struct Network {
    layers: Vec<Layer>,
    input: Vec<usize>,
    /// State of each layer.
    placed: Vec<PlacedLayer>,
    params: Vec<Param>,
    groups: Vec<FusedGroup>,
    /// Index of the layer whose input is the features.
    head: usize,
    precision: Precision,
    reuse: Reuse,
    whole: Vec<Step>,
    /// Layers before the head, and from it on.
    halves: [Vec<Step>; 2],
}

/// State of one layer.
#[derive(Clone, Debug)]
struct PlacedLayer {
    /// Output shape.
    output: Vec<usize>,
    /// Indices of its parameters, those of lists inside it first.
    params: Range<usize>,
    /// Descriptions of its parameters, in the same order.
    specs: Vec<ParamSpec>,
    /// Number of its own parameters, which are the last.
    own: usize,
    /// Networks of the lists inside it.
    branches: Vec<Network>,
}

/// Layers that run together, all of them fused or a single one, with their trainable parameters in one variable.
#[derive(Clone, Debug)]
struct FusedGroup {
    layers: Range<usize>,
    flat_params: Var,
}

impl Network {
    /// Returns the same network (the same variables) with another number format of its products.
    pub fn with_precision(mut self, precision: Precision) -> candle_core::Result<Self> {
        self.set_precision(precision)?;
        Ok(self)
    }

    /// Returns the same network with the input of layer `index`, from 0, as its features, instead of that of its last layer with a kernel.
    ///
    /// # Errors
    /// If it has no such layer.
    pub fn with_features_before(mut self, index: usize) -> Result<Self> {
        if index >= self.layers.len() {
            let problem = format!("features before layer {index}: there are {}, counted from 0", self.layers.len());
            return Err(Error::Network { network: "network".into(), problem });
        }
        self.head = index;
        self.plan()?;
        Ok(self)
    }

    /// Returns the shape of a sample's features, without the batch.
    pub fn features(&self) -> &[usize] {
        self.shape_before(self.head)
    }

    /// Returns the layer list.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Returns the shape of one input, without the batch.
    pub fn input(&self) -> &[usize] {
        &self.input
    }

    /// Returns the shape of one output, without the batch.
    pub fn output(&self) -> &[usize] {
        self.shape_before(self.layers.len())
    }

    /// Returns every parameter and running average, in the list's order.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// Returns the input shape of layer `index`.
    pub(crate) fn shape_before(&self, index: usize) -> &[usize] {
        index.checked_sub(1).map_or(&self.input, |i| &self.placed[i].output)
    }

    /// Runs the network: x `[N, input…]` -> `[N, output…]`.
    pub fn forward(&self, x: &Tensor, pass: &mut ForwardContext) -> candle_core::Result<Tensor> {
        if !Self::can_fuse(x) {
            return self.forward_reference(x, pass);
        }
        self.run(&self.whole, x, [Layout::ChannelsFirst; 2], pass)
    }

    /// Like [`Network::forward`], but layer by layer in candle operations on every device. The fused engine must equal it.
    pub fn forward_reference(&self, x: &Tensor, pass: &mut ForwardContext) -> candle_core::Result<Tensor> {
        Ok(self.reference(0..self.layers.len(), &Dual::constant(x.clone()), false, pass)?.value)
    }

    /// Runs the network: x `[N, input…]` -> (`[N, output…]`, features: the input of the last layer with a kernel, or of the layer chosen).
    pub fn forward_with_features(
        &self,
        x: &Tensor,
        pass: &mut ForwardContext,
    ) -> candle_core::Result<(Tensor, Tensor)> {
        let head = self.head;
        let end = self.layers.len();
        if !Self::can_fuse(x) || head == 0 {
            let features = self.reference(0..head, &Dual::constant(x.clone()), false, pass)?;
            return Ok((self.reference(head..end, &features, false, pass)?.value, features.value));
        }
        let [before, after] = &self.halves;
        let features = self.run(before, x, [Layout::ChannelsFirst, Layout::ChannelsLast], pass)?;
        let y = self.run(after, &features, [Layout::ChannelsLast, Layout::ChannelsFirst], pass)?;
        let features = if features.rank() == 4 { features.permute((0, 3, 1, 2))? } else { features };
        Ok((y, features))
    }

    /// Returns the derivative of the output in a direction t at x, both `[N, input…]` -> `[N, output…]`, with gradients for the weights.
    ///
    /// Penalties on a discriminator's gradient need second derivatives by its weights and input. They are computed here without
    /// differentiating a gradient: for a fixed direction t, tᵀ∇ₓf(x; θ) is an ordinary function of θ, whose gradient by θ is computed as
    /// usual (Pearlmutter 1994, "Fast exact multiplication by the Hessian", with both orders swapped).
    pub fn jvp(&self, x: &Tensor, t: &Tensor, pass: &mut ForwardContext) -> candle_core::Result<Tensor> {
        if let [Step::Fused { layers, group, network }] = &self.whole[..]
            && let Mode::Train(rng) = &mut pass.mode
            && Self::can_fuse(x)
            && network.has_jvp()
        {
            let noise = noise(network, x.dim(0)?, rng)?;
            let classes = self.classes(layers.clone(), x.dim(0)?, pass.classes)?;
            return network.jvp(&x.detach(), &t.detach(), &self.flat_params(*group, pass)?, &noise, classes);
        }
        Ok(self.forward_jvp_reference(x, t, pass)?.1)
    }

    /// Runs the network as [`Network::forward`] while training, so that the output's gradient by x and its derivatives in directions share the
    /// pass; no gradient flows to x. `None` if the network does not support it: it must be fused as a whole, with one number per sample as
    /// output, and be linear around each sample.
    pub fn linearize(&self, x: &Tensor, pass: &mut ForwardContext) -> candle_core::Result<Option<Linearized>> {
        let [Step::Fused { layers, group, network }] = &self.whole[..] else { return Ok(None) };
        if !Self::can_fuse(x) || !network.linearizes() {
            return Ok(None);
        }
        let theta = self.flat_params(*group, pass)?;
        let classes = self.classes(layers.clone(), x.dim(0)?, pass.classes)?;
        let Mode::Train(rng) = &mut pass.mode else { return Ok(None) };
        let noise = noise(network, x.dim(0)?, rng)?;
        network.linearize(&x.detach(), &theta, classes, &noise).map(Some)
    }

    /// Returns (y `[N, output…]`, the derivative of y in the direction t `[N, output…]`), layer by layer in candle operations.
    pub fn forward_jvp_reference(
        &self,
        x: &Tensor,
        t: &Tensor,
        pass: &mut ForwardContext,
    ) -> candle_core::Result<(Tensor, Tensor)> {
        // If every slope is constant, no gradient flows through the values.
        let detach = !self.layers.iter().any(Layer::is_nonlinear);
        let dual = Dual { value: x.clone(), change: Some(t.clone()) };
        let Dual { value, change } = self.reference(0..self.layers.len(), &dual, detach, pass)?;
        let change = change.map_or_else(|| value.zeros_like(), Ok)?;
        Ok((value, change))
    }

    /// Returns whether the fused engine can run on x: it needs the CPU and f32.
    fn can_fuse(x: &Tensor) -> bool {
        x.device().is_cpu() && x.dtype() == candle_core::DType::F32
    }

    /// Returns all trainable parameters of a group as they are used in the computation.
    fn flat_params(&self, group: usize, pass: &ForwardContext) -> candle_core::Result<Tensor> {
        let FusedGroup { layers, flat_params } = &self.groups[group];
        let theta = match pass.weights {
            Weights::Frozen => flat_params.as_detached_tensor(),
            Weights::Trained | Weights::Steady => flat_params.as_tensor().clone(),
        };
        self.with_spectral_norm(layers.clone(), theta, pass)
    }
}

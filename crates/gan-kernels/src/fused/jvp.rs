//! Directional derivative of a network (a Jacobian-vector product), and its gradient by the parameters, for penalties on a discriminator's
//! gradient.
//!
//! Values x and tangents t go through the layers side by side, as one batch of twice the samples: every convolution is one product for
//! both. If all layers are piecewise linear (leaky ReLU), the values only determine the piece, and the backward pass goes through the
//! tangents alone; before a batch norm it goes through both.

use super::op::{inward, outward};
use super::pass::{At, BackwardPass};
use super::{Activation, FusedSequential, Layout};
use crate::backend::{Backend, size};
use crate::cpu::Cpu;
use crate::cpu::buffer::Buffer;
use crate::storage::{elements, with_elements};
use candle_core::{CpuStorage, CustomOp1, Result, Shape, Tensor, bail};
use std::sync::{Arc, Mutex};

impl Activation {
    /// Returns whether its slope only changes at jumps.
    pub(super) fn is_piecewise_linear(self) -> bool {
        matches!(self, Self::Identity | Self::LeakyRelu(_))
    }
}

/// What the backward pass needs.
pub(super) struct JvpSaved<B: Backend> {
    /// Input of layer i at i, values and tangents, if the layer reads it.
    pub inputs: Vec<Option<B::Buffer>>,
    /// Values of layer i's output at i, if its activation reads them.
    pub outputs: Vec<Option<B::Buffer>>,
    pub norms: Vec<Option<B::Norm>>,
}

/// Forward pass of values and tangents.
pub(super) struct JvpPass<'a, B: Backend> {
    pub theta: B::Slice<'a>,
    pub saved: JvpSaved<B>,
}

/// Adjoints in the backward pass.
pub(super) struct Adjoint<B: Backend> {
    /// Adjoint of the tangents, preceded by that of the values if it is not zero.
    pub g: B::Buffer,
    pub has_values: bool,
}

impl<B: Backend> Adjoint<B> {
    /// Returns the number of batches that it contains.
    pub fn parts(&self) -> usize {
        if self.has_values { 2 } else { 1 }
    }
}

impl<B: Backend> JvpPass<'_, B> {
    /// Saves the values, which are already the output of an activation, and applies its derivative to the tangents.
    pub fn save_and_differentiate(&mut self, at: &At<B>, act: Activation, y: &mut B::Buffer) {
        if act == Activation::Identity {
            return;
        }
        let backend = &at.network.backend;
        let half = at.samples * size(at.planned().output);
        let values = backend.copy(backend.part(backend.slice(y), 0..half));
        let [_, tangents] = backend.halves_mut(y, half);
        backend.activation_grad(act, backend.slice(&values), tangents);
        self.saved.outputs[at.index] = Some(values);
    }
}

impl FusedSequential {
    /// Returns whether [`FusedSequential::jvp`] supports it: it has no sigmoid, maximum, dropout, hyperbolic tangent or negative slope.
    pub fn has_jvp(&self) -> bool {
        self.layers.iter().all(|planned| planned.layer.operation::<Cpu>().has_jvp(planned.act))
    }

    /// Returns the derivative of the output in a direction t at x, `[N, C, H, W]` (or `[N, F]`) each, from all parameters `[P]` -> `[N,
    /// …]`, with batch norms that use the batch's statistics. The gradient flows to the parameters.
    ///
    /// # Errors
    /// If a layer does not support it ([`FusedSequential::has_jvp`]), x or t has another shape than expected, the parameters end before the
    /// layers' places do, or a batch norm gets fewer than two numbers per channel.
    pub fn jvp(self: &Arc<Self>, x: &Tensor, t: &Tensor, parameters: &Tensor) -> Result<Tensor> {
        if !self.has_jvp() {
            bail!("this network has layers that its fused derivative does not know");
        }
        let samples = self.check(x, Layout::ChannelsFirst)?;
        self.check_parameters(parameters)?;
        if t.dims() != x.dims() {
            bail!("a direction {:?} for samples {:?}", t.dims(), x.dims());
        }
        let both = Tensor::cat(&[x, t], 0)?;
        let both = with_elements::<f32, _>(&both, |both| inward(both, self.input, Layout::ChannelsFirst))?;
        let op = Jvp { network: Arc::clone(self), samples, both: Mutex::new(Some(both)), saved: Mutex::new(None) };
        parameters.apply_op1(op)
    }
}

impl<B: Backend> FusedSequential<B> {
    /// Runs values and tangents `[2n, H, W, C]` forward, and returns the output's tangents and what is saved.
    fn jvp_forward(
        &self,
        mut both: B::Buffer,
        samples: usize,
        theta: B::Slice<'_>,
    ) -> Result<(B::Buffer, JvpSaved<B>)> {
        let layers = self.layers.len();
        let nothing = || (0..layers).map(|_| None).collect();
        let norms = (0..layers).map(|_| None).collect();
        let mut pass = JvpPass { theta, saved: JvpSaved { inputs: nothing(), outputs: nothing(), norms } };
        for (index, planned) in self.layers.iter().enumerate() {
            both = planned.layer.operation::<B>().jvp(&At { network: self, index, samples }, both, &mut pass)?;
        }
        let half = samples * size(self.output());
        let tangents = self.backend.part(self.backend.slice(&both), half..2 * half);
        Ok((self.backend.copy(tangents), pass.saved))
    }

    /// Computes the parameters' gradient from that of the tangents `[n, H', W', C']`.
    fn jvp_backward(
        &self,
        mut saved: JvpSaved<B>,
        samples: usize,
        theta: B::Slice<'_>,
        g: B::Buffer,
        mut dtheta: B::SliceMut<'_>,
    ) {
        let backend = &self.backend;
        let mut adjoint = Adjoint { g, has_values: false };
        for (index, planned) in self.layers.iter().enumerate().rev() {
            let at = At { network: self, index, samples };
            let operation = planned.layer.operation::<B>();
            if let Some(y) = saved.outputs[index].take() {
                let act = planned.layer.activation().unwrap_or(planned.act);
                let output = samples * size(planned.output);
                let [first, second] = backend.halves_mut(&mut adjoint.g, output);
                backend.activation_grad(act, backend.slice(&y), first);
                if adjoint.has_values {
                    backend.activation_grad(act, backend.slice(&y), second);
                }
            }
            match operation.jvp_backward(&at, &mut saved, adjoint, theta, &mut dtheta) {
                Some(before) if self.has_parameters_before(index) => adjoint = before,
                _ => return,
            }
        }
    }

    /// Returns a backward pass through layers that save nothing.
    pub(super) fn plain_backward<'t, 'd>(&self, theta: B::Slice<'t>) -> BackwardPass<'t, 'd, B> {
        BackwardPass::without_saved(self.layers.len(), theta)
    }
}

struct Jvp {
    network: Arc<FusedSequential>,
    samples: usize,
    both: Mutex<Option<Buffer>>,
    saved: Mutex<Option<JvpSaved<Cpu>>>,
}

impl CustomOp1 for Jvp {
    fn name(&self) -> &'static str {
        "jvp"
    }

    fn cpu_fwd(&self, theta: &CpuStorage, layout: &candle_core::Layout) -> Result<(CpuStorage, Shape)> {
        let theta = elements::<f32>(theta, layout)?;
        let Some(both) = self.both.lock().unwrap_or_else(|e| e.into_inner()).take() else {
            bail!("a derivative can be taken once");
        };
        let (network, n) = (&self.network, self.samples);
        let (t, saved) = network.backend.run(network.work(2 * n), || network.jvp_forward(both, n, &theta))?;
        *self.saved.lock().unwrap_or_else(|e| e.into_inner()) = Some(saved);
        let [h, w, c] = network.output();
        let shape = if network.flat { Shape::from((n, c)) } else { Shape::from((n, c, h, w)) };
        Ok((CpuStorage::F32(outward(&t, network.output(), Layout::ChannelsFirst)), shape))
    }

    fn bwd(&self, theta: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let Some(saved) = self.saved.lock().unwrap_or_else(|e| e.into_inner()).take() else {
            bail!("a derivative's backward pass can run once: take it again");
        };
        let network = &self.network;
        let g = with_elements::<f32, _>(g, |g| inward(g, network.output(), Layout::ChannelsFirst))?;
        let work = network.work(2 * self.samples);
        let mut dtheta = vec![0.0; theta.elem_count()];
        with_elements::<f32, _>(theta, |theta| {
            network.backend.run(work, || network.jvp_backward(saved, self.samples, theta, g, &mut dtheta));
        })?;
        Ok(Some(Tensor::from_vec(dtheta, theta.shape(), theta.device())?))
    }
}

//! One pass that a loss and penalties on its gradient share, through a network that is linear around each sample.
//!
//! If all activations are piecewise linear and samples do not influence each other, an output y = f(x) of one number per sample has a gradient
//! g = ∇ₓf that only depends on the pieces. For a fixed direction t, the derivative tᵀg is a function of the weights, and so is y. With the
//! adjoints a of each layer's output (the gradients of Σ y by them), the values x of its input and the tangents t there, a layer with weights W
//! has the gradients
//!
//! ∂(Σᵢ wᵢ·yᵢ + Σᵢ cᵢ·tᵢᵀgᵢ) / ∂W = Σᵢ aᵢ·(wᵢ·xᵢ + cᵢ·tᵢ)ᵀ,
//!
//! one product for both. Four passes give everything: values forward, adjoints backward, tangents forward, and these products. Apart, the loss
//! and the penalty take nine. Reference for the product with a fixed direction: Pearlmutter 1994, "Fast exact multiplication by the Hessian".

use super::FusedSequential;
use super::collect::keep;
use super::op::{Layout, Noise, inward, outward};
use super::pass::{At, NeedsGrad, PassContext, Value};
use crate::backend::{Backend, size};
use crate::cpu::Cpu;
use crate::cpu::buffer::Buffer;
use crate::storage::{elements, lock, with_elements};
use candle_core::{CpuStorage, CustomOp1, Result, Shape, Tensor, bail};
use std::sync::{Arc, Mutex};

impl<B: Backend> FusedSequential<B> {
    /// Returns whether the output is one number per sample that is linear around it, so that [`FusedSequential::linearize`] exists.
    pub fn linearizes(&self) -> bool {
        let linear = |planned: &super::PlannedLayer| planned.layer.operation::<B>().linearizes(planned.act);
        B::LINEARIZES && size(self.output()) == 1 && self.layers.iter().all(linear)
    }

    /// Returns the input's gradient from that of the output, and keeps the adjoints of layers with weights for
    /// [`FusedSequential::linear_grads`]. `cx` is from a forward pass that saved what both gradients need.
    pub fn adjoints<'a>(
        &'a self,
        cx: &mut PassContext<B>,
        samples: usize,
        theta: B::Slice<'a>,
        mut g: B::Buffer,
    ) -> Option<B::Buffer> {
        for (index, planned) in self.layers.iter().enumerate().rev() {
            let at = At { network: self, theta, index, samples };
            g = planned.layer.operation::<B>().adjoint(&at, g, cx)?;
        }
        Some(g)
    }

    /// Writes the gradients of the parameters by the derivatives of the outputs in directions, and by the outputs: `tangents` `[n, H, W, C]` are
    /// the directions, each multiplied by the gradient of its derivative, and `of_output` `[n]` is the gradient of the outputs, if it is not
    /// zero. Other numbers must be zeros before.
    ///
    /// # Errors
    /// If a batch norm gets fewer than two numbers per channel.
    pub fn linear_grads<'a>(
        &'a self,
        mut cx: PassContext<B>,
        samples: usize,
        theta: B::Slice<'a>,
        tangents: B::Buffer,
        of_output: Option<&B::Buffer>,
        mut dtheta: B::SliceMut<'_>,
    ) -> Result<()> {
        let mut tangents = Value::<B>::from(tangents);
        for (index, planned) in self.layers.iter().enumerate() {
            let at = At { network: self, theta, index, samples };
            let operation = planned.layer.operation::<B>();
            operation.linear_grad(&at, &tangents, &mut cx, of_output, &mut dtheta);
            if !self.has_parameters_after(index) {
                break;
            }
            tangents = operation.tangent(&at, tangents, &mut cx)?;
            cx.values[index] = None;
        }
        Ok(())
    }

    fn has_parameters_after(&self, index: usize) -> bool {
        self.layers[index + 1..].iter().any(|s| !s.layer.operation::<B>().parameters(s.input).is_empty())
    }
}

/// A network's pass over samples with its output, its gradient and its derivatives in directions, which share their work.
#[derive(Debug)]
pub struct Linearized {
    output: Tensor,
    pass: Arc<Pass>,
}

#[derive(Debug)]
struct Pass {
    network: Arc<FusedSequential>,
    samples: usize,
    theta: Tensor,
    /// Shape of the input.
    input: Shape,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Input, until the pass has run.
    x: Option<Buffer>,
    /// What the pass saved, until its backward pass has run.
    cx: Option<PassContext<Cpu>>,
    /// Gradient of the sum of outputs by the input.
    gradient: Option<Buffer>,
    /// Sum of all directions, each multiplied by the gradient of its derivative.
    directions: Option<Buffer>,
}

impl FusedSequential {
    /// Runs the network at x `[N, C, H, W]` (or `[N, F]`), for samples of these classes, with all parameters `[P]` and the random numbers of
    /// its dropouts.
    ///
    /// # Errors
    /// If the network is not linear around each sample ([`FusedSequential::linearizes`]), x has another shape than expected, the parameters end
    /// before the layers' places do, or the number of noise tensors differs from that of the dropouts.
    pub fn linearize(
        self: &Arc<Self>,
        x: &Tensor,
        parameters: &Tensor,
        classes: Option<Vec<u32>>,
        noise: &Noise,
    ) -> Result<Linearized> {
        if !self.linearizes() {
            bail!("this network is not linear around each sample");
        }
        let samples = self.check(x, Layout::ChannelsFirst)?;
        self.check_parameters(parameters)?;
        let mut cx = PassContext::new(self.len(), NeedsGrad { input: true, parameters: true });
        cx.classes = self.checked_classes(samples, classes)?;
        self.set_noise(noise, samples, &mut cx)?;
        let buffer = with_elements::<f32, _>(x, |x| inward(x, self.input, Layout::ChannelsFirst))?;
        let state = State { x: Some(buffer), cx: Some(cx), gradient: None, directions: None };
        let pass = Arc::new(Pass {
            network: Arc::clone(self),
            samples,
            theta: parameters.clone(),
            input: x.shape().clone(),
            state: Mutex::new(state),
        });
        let output = parameters.apply_op1(Output(Arc::clone(&pass)))?;
        Ok(Linearized { output, pass })
    }
}

impl Linearized {
    /// Returns the output `[N, 1]`, whose gradient flows to the parameters. The backward pass runs once, for it and all derivatives.
    pub fn output(&self) -> &Tensor {
        &self.output
    }

    /// Returns the gradient of the sum of all outputs by the input, in its shape, without a graph.
    ///
    /// # Errors
    /// If the backward pass has run.
    pub fn gradient(&self) -> Result<Tensor> {
        let Pass { network, input, .. } = &*self.pass;
        let mut state = lock(&self.pass.state);
        self.pass.find_gradient(&mut state)?;
        let Some(gradient) = &state.gradient else { bail!("a gradient that was not computed") };
        let values = outward(gradient, network.input(), Layout::ChannelsFirst);
        Tensor::from_vec(values, input, self.output.device())
    }

    /// Returns the derivative of each output in a direction t at x, in x's shape -> `[N, 1]`. Its gradient flows to the parameters.
    ///
    /// # Errors
    /// If t has another shape than x, or the backward pass has run.
    pub fn jvp(&self, t: &Tensor) -> Result<Tensor> {
        if t.shape() != &self.pass.input {
            bail!("a direction {:?} for samples {:?}", t.dims(), self.pass.input.dims());
        }
        self.pass.find_gradient(&mut lock(&self.pass.state))?;
        let direction = with_elements::<f32, _>(t, |t| inward(t, self.pass.network.input(), Layout::ChannelsFirst))?;
        self.output.apply_op1(Derivative { pass: Arc::clone(&self.pass), direction })
    }
}

fn over() -> candle_core::Error {
    candle_core::Error::Msg("the backward pass of a linearized network can run once: run it forward again".into())
}

impl Pass {
    /// Runs the adjoints backward, if they have not run yet.
    fn find_gradient(&self, state: &mut State) -> Result<()> {
        if state.gradient.is_some() {
            return Ok(());
        }
        let cx = state.cx.as_mut().ok_or_else(over)?;
        let network = &self.network;
        let mut ones = Buffer::any(self.samples);
        ones.fill(1.0);
        let work = network.work(self.samples);
        state.gradient = with_elements::<f32, _>(&self.theta, |theta| {
            network.backend().run(work, || network.adjoints(cx, self.samples, theta, ones))
        })?;
        Ok(())
    }

    fn forward(&self, theta: &[f32]) -> Result<Vec<f32>> {
        let mut state = lock(&self.state);
        let x = state.x.take().ok_or_else(over)?;
        let cx = state.cx.as_mut().ok_or_else(over)?;
        Ok(self.network.forward(x, self.samples, theta, cx)?.to_vec())
    }

    /// Returns the gradient of the parameters from that of the output.
    fn backward(&self, g: &[f32], theta: &[f32]) -> Result<Vec<f32>> {
        let mut state = lock(&self.state);
        let State { cx, gradient, directions, .. } = &mut *state;
        let mut cx = cx.take().ok_or_else(over)?;
        let mut dtheta = vec![0.0; theta.len()];
        let of_output = Buffer::of(g);
        match (gradient, directions.take()) {
            (Some(_), Some(directions)) => {
                let of_output = g.iter().any(|g| *g != 0.0).then_some(&of_output);
                self.network.linear_grads(cx, self.samples, theta, directions, of_output, &mut dtheta)?;
            }
            _ => {
                cx.needs.input = false;
                self.network.backward(cx, self.samples, theta, of_output, Some(&mut dtheta));
            }
        }
        Ok(dtheta)
    }
}

/// The output as a function of the parameters.
struct Output(Arc<Pass>);

impl CustomOp1 for Output {
    fn name(&self) -> &'static str {
        "linearized"
    }

    fn cpu_fwd(&self, theta: &CpuStorage, layout: &candle_core::Layout) -> Result<(CpuStorage, Shape)> {
        let theta = elements::<f32>(theta, layout)?;
        let Pass { network, samples, .. } = &*self.0;
        let y = network.backend().run(network.work(*samples), || self.0.forward(&theta))?;
        Ok((CpuStorage::F32(y), Shape::from((*samples, 1))))
    }

    fn bwd(&self, theta: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let Pass { network, samples, .. } = &*self.0;
        let dtheta = with_elements::<f32, _>(g, |g| {
            with_elements::<f32, _>(theta, |theta| {
                network.backend().run(2 * network.work(*samples), || self.0.backward(g, theta))
            })
        })???;
        keep(theta, dtheta).map(|values| Tensor::from_vec(values, theta.shape(), theta.device())).transpose()
    }
}

/// The derivative in a direction, as a function of the output: it leaves its part of the gradient with the output's backward pass, which runs
/// later.
struct Derivative {
    pass: Arc<Pass>,
    direction: Buffer,
}

impl CustomOp1 for Derivative {
    fn name(&self) -> &'static str {
        "linearized-jvp"
    }

    fn cpu_fwd(&self, _: &CpuStorage, layout: &candle_core::Layout) -> Result<(CpuStorage, Shape)> {
        let state = lock(&self.pass.state);
        let gradient = state.gradient.as_ref().ok_or_else(over)?;
        let one = size(self.pass.network.input());
        let both = self.direction.chunks_exact(one).zip(gradient.chunks_exact(one));
        let dot = |t: &[f32], g: &[f32]| t.iter().zip(g).map(|(t, g)| f64::from(*t) * f64::from(*g)).sum::<f64>();
        let dots = both.map(|(t, g)| dot(t, g) as f32).collect();
        Ok((CpuStorage::F32(dots), layout.shape().clone()))
    }

    fn bwd(&self, output: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let backend = self.pass.network.backend();
        let mut state = lock(&self.pass.state);
        let before = state.directions.take();
        let mut sum = Buffer::of(&self.direction);
        with_elements::<f32, _>(g, |g| backend.scale_samples(g, before.as_deref(), &mut sum))?;
        state.directions = Some(sum);
        output.zeros_like().map(Some)
    }
}

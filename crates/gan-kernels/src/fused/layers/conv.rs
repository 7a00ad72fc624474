//! Convolution and its transpose with bias and activation. A dense layer is a 1×1 convolution of a 1×1 image.

use super::Operation;
use crate::backend::{Activation, Backend, ConvCall, Sides};
use crate::fused::PlannedLayer;
use crate::fused::pass::{Adjoint, At, Dtheta, NeedsGrad, PassContext, Value, owned};
use crate::spec::{ConvSpec, Problem, product};
use candle_core::{Result, bail};

/// Places of a layer's numbers in the parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// Index of the kernel's first number.
    pub weight: usize,
    /// Index of the bias's first number.
    pub bias: Option<usize>,
}

/// A convolution with weights `[O, C, kh, kw]`, or a transposed one with weights `[C, O, kh, kw]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// Places of its parameters.
    pub weights: Weights,
    /// Output channels.
    pub outputs: usize,
    /// Number of groups of input and output channels, each with its own kernels `[O / groups, C / groups, kh, kw]`.
    pub groups: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Geometry of the convolution; that of the opposite direction for a transposed one.
    pub spec: ConvSpec,
    /// Rows and columns that a transposed convolution adds at the bottom and right; `None` for a plain convolution.
    pub transposed: Option<[usize; 2]>,
}

impl Conv {
    /// Returns the sizes as those of a plain convolution; a transposed one is its input gradient.
    fn problem(&self, planned: &PlannedLayer, samples: usize) -> Problem {
        let [h, w, inputs] = planned.input;
        let [oh, ow, outputs] = planned.output;
        let Self { spec, kernel, groups, .. } = *self;
        let [in_channels, out_channels] = [inputs / groups, outputs / groups];
        let p = Problem { spec, samples, groups, in_channels, out_channels, input: [h, w], output: [oh, ow], kernel };
        if self.transposed.is_some() { p.swapped() } else { p }
    }

    fn kernel_len(&self, channels: usize) -> usize {
        product(&[self.outputs, channels / self.groups.max(1), self.kernel[0], self.kernel[1]])
    }

    /// Runs samples through the layer, or with `back` their gradients in the other direction, without bias and activation.
    fn through<B: Backend>(&self, at: &At<B>, trains: bool, back: bool, x: B::Slice<'_>) -> B::Buffer {
        let backend = at.backend();
        let call = ConvCall::<B> {
            problem: self.problem(at.planned(), at.samples),
            precision: at.network.precision,
            weights: at.parameters(self.weights.weight, self.kernel_len(at.planned().input[2])),
            cache: &at.network.weights,
            layer: at.index,
            trains,
        };
        let mut y = backend.uninit(if back { at.input_len() } else { at.output_len() });
        if self.transposed.is_some() == back {
            backend.conv(&call, x, backend.slice_mut(&mut y));
        } else {
            backend.conv_input_grad(&call, x, backend.slice_mut(&mut y));
        }
        y
    }

    fn weight_grad<'s, B: Backend>(&self, at: &At<B>, x: B::Slice<'s>, g: B::Slice<'s>, dtheta: &mut B::SliceMut<'_>) {
        let problem = self.problem(at.planned(), at.samples);
        let start = self.weights.weight;
        let dw = at.backend().part_mut(dtheta, start..start + self.kernel_len(at.planned().input[2]));
        // A transposed convolution's output is the problem's x.
        let [x, g] = if self.transposed.is_some() { [g, x] } else { [x, g] };
        at.backend().conv_weight_grad(&problem, at.network.precision, x, g, dw);
    }

    fn bias_grad<B: Backend>(&self, at: &At<B>, g: B::Slice<'_>, dtheta: &mut B::SliceMut<'_>) {
        // Before a batch norm this is rounding noise, as in the frameworks; Adam still makes steps of it.
        if let Some(bias) = self.weights.bias {
            let sums = at.backend().part_mut(dtheta, bias..bias + self.outputs);
            at.backend().column_sums(g, self.outputs, sums);
        }
    }
}

impl<B: Backend> Operation<B> for Conv {
    fn output(&self, [h, w, c]: Sides) -> Result<Sides> {
        if [c, self.outputs].iter().any(|channels| channels.checked_rem(self.groups) != Some(0)) {
            bail!("{} groups do not divide {c} input and {} output channels", self.groups, self.outputs);
        }
        let [h, w] = match self.transposed {
            Some(output_padding) => self.spec.transposed_size([h, w], self.kernel, output_padding)?,
            None => self.spec.output_size([h, w], self.kernel)?,
        };
        Ok([h, w, self.outputs])
    }

    fn parameters(&self, [_, _, c]: Sides) -> Vec<(usize, usize)> {
        let kernel = (self.weights.weight, self.kernel_len(c));
        std::iter::once(kernel).chain(self.weights.bias.map(|bias| (bias, self.outputs))).collect()
    }

    fn work(&self, planned: &PlannedLayer) -> usize {
        let p = self.problem(planned, 1);
        product(&[p.output[0], p.output[1], p.weights()])
    }

    fn fuses(&self, _: Activation) -> bool {
        true
    }

    fn reads_input(&self, needs: NeedsGrad) -> bool {
        needs.parameters
    }

    fn reads_output(&self, act: Activation) -> bool {
        act != Activation::Identity
    }

    fn forward(&self, at: &At<B>, x: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let mut y = self.through(at, cx.needs.anything(), false, backend.slice(&x));
        let bias = self.weights.bias.filter(|_| !at.network.norm_follows(at.index));
        let bias = bias.map(|bias| at.parameters(bias, self.outputs));
        backend.bias_activation(at.planned().act, bias, backend.slice_mut(&mut y), self.outputs);
        Ok(y.into())
    }

    fn backward(
        &self,
        at: &At<B>,
        mut g: B::Buffer,
        cx: &mut PassContext<B>,
        dtheta: Dtheta<B>,
        goes_on: bool,
    ) -> Option<B::Buffer> {
        let backend = at.backend();
        // Held until the weights' gradient is done, whose smaller buffers would take its place in the pool.
        let output = cx.values[at.index + 1].take();
        if let Some(y) = &output {
            backend.activation_grad(at.planned().act, backend.slice(y), backend.slice_mut(&mut g));
        }
        if let Some(dtheta) = dtheta {
            let x = at.input(cx).expect("a layer's input is saved or can be recomputed");
            self.weight_grad(at, backend.slice(&x), backend.slice(&g), dtheta);
            self.bias_grad(at, backend.slice(&g), dtheta);
        }
        drop(output);
        goes_on.then(|| self.through(at, true, true, backend.slice(&g)))
    }

    fn has_jvp(&self, act: Activation) -> bool {
        act.has_jvp::<B>()
    }

    fn jvp(&self, at: &At<B>, both: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let mut y = self.through(&at.times(2), true, false, backend.slice(&both));
        let act = at.planned().act;
        let bias = self.weights.bias.map(|bias| at.parameters(bias, self.outputs));
        let [values, _] = backend.split_mut(backend.slice_mut(&mut y), at.output_len());
        backend.bias_activation(act, bias, values, self.outputs);
        cx.save_and_differentiate(at, act, &mut y);
        cx.values[at.index] = Some(both);
        Ok(y.into())
    }

    fn jvp_backward(
        &self,
        at: &At<B>,
        cx: &mut PassContext<B>,
        adjoint: Adjoint<B>,
        dtheta: &mut B::SliceMut<'_>,
    ) -> Option<Adjoint<B>> {
        let backend = at.backend();
        let input = cx.values[at.index].take()?;
        let x = backend.slice(&input);
        let len = backend.len(x);
        let x = backend.part(x, if adjoint.has_values { 0 } else { len / 2 }..len);
        let all = at.times(adjoint.batches());
        let g = backend.slice(&adjoint.g);
        self.weight_grad(&all, x, g, dtheta);
        if adjoint.has_values {
            self.bias_grad(at, backend.part(g, 0..at.output_len()), dtheta);
        }
        let goes_on = at.network.has_parameters_before(at.index);
        let g = goes_on.then(|| self.through(&all, true, true, g))?;
        Some(Adjoint { g, has_values: adjoint.has_values })
    }

    fn linearizes(&self, act: Activation) -> bool {
        act.is_piecewise_linear()
    }

    fn adjoint(&self, at: &At<B>, g: B::Buffer, cx: &mut PassContext<B>) -> Option<B::Buffer> {
        let g = cx.after_activation(at, at.planned().act, g);
        let before = self.through(at, true, true, at.backend().slice(&g));
        cx.adjoints[at.index] = Some(g);
        Some(before)
    }

    fn tangent(&self, at: &At<B>, tangents: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        let after = self.through(at, true, false, at.backend().slice(&tangents));
        Ok(cx.after_activation(at, at.planned().act, after).into())
    }

    fn linear_grad(
        &self,
        at: &At<B>,
        tangents: &Value<B>,
        cx: &mut PassContext<B>,
        of_output: Option<&B::Buffer>,
        dtheta: &mut B::SliceMut<'_>,
    ) {
        let backend = at.backend();
        let (Some(mut a), Some(x)) = (cx.adjoints[at.index].take(), cx.values[at.index].take()) else { return };
        let t = backend.slice(tangents);
        let Some(of_output) = of_output else { return self.weight_grad(at, t, backend.slice(&a), dtheta) };
        let of_output = backend.slice(of_output);
        let mut both = owned(backend, x);
        backend.scale_samples(of_output, Some(t), backend.slice_mut(&mut both));
        self.weight_grad(at, backend.slice(&both), backend.slice(&a), dtheta);
        if self.weights.bias.is_some() {
            backend.scale_samples(of_output, None, backend.slice_mut(&mut a));
            self.bias_grad(at, backend.slice(&a), dtheta);
        }
    }
}

//! Convolution and its transpose with bias and activation. A dense layer is a 1×1 convolution of a 1×1 image.

use super::Operation;
use crate::cpu::buffer::Buffer;
use crate::cpu::conv::{self, Direction};
use crate::cpu::rows::activation::{self, Activation};
use crate::cpu::rows::norm::column_sums;
use crate::cpu::simd::Level;
use crate::cpu::weight_cache::ConvCall;
use crate::fused::PlannedLayer;
use crate::fused::pass::{Adjoint, At, NeedsGrad, PassContext};
use crate::spec::{ConvSpec, Problem, Sides, product};
use candle_core::Result;

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
        let [h, w, in_channels] = planned.input;
        let [oh, ow, out_channels] = planned.output;
        let kernel = self.kernel;
        let spec = self.spec;
        let p = Problem { spec, samples, in_channels, out_channels, input: [h, w], output: [oh, ow], kernel };
        if self.transposed.is_some() { p.swapped() } else { p }
    }

    fn kernel_len(&self, channels: usize) -> usize {
        product(&[self.outputs, channels, self.kernel[0], self.kernel[1]])
    }

    /// Runs samples through the layer, or with `back` their gradients in the other direction, without bias and activation.
    fn through(&self, at: &At, trains: bool, back: bool, x: &[f32]) -> Buffer {
        let problem = self.problem(at.planned(), at.samples);
        let call = ConvCall {
            problem,
            precision: at.network.precision,
            weights: at.parameters(self.weights.weight, self.kernel_len(at.planned().input[2])),
            layer: at.index,
            trains,
        };
        let mut y = Buffer::any(if back { at.input_len() } else { at.output_len() });
        if self.transposed.is_some() == back {
            conv::forward(&problem, x, &at.network.weights.packed(&call, Direction::Forward), &mut y);
        } else {
            conv::input_grad(&problem, x, &at.network.weights.packed(&call, Direction::Backward), &mut y);
        }
        y
    }

    fn weight_grad(&self, at: &At, x: &[f32], g: &[f32], dtheta: &mut [f32]) {
        let problem = self.problem(at.planned(), at.samples);
        let start = self.weights.weight;
        let dw = &mut dtheta[start..start + self.kernel_len(at.planned().input[2])];
        // A transposed convolution's output is the problem's x.
        let [x, g] = if self.transposed.is_some() { [g, x] } else { [x, g] };
        conv::weight_grad(Level::current(), at.network.precision, &problem, x, g, dw);
    }

    fn bias_grad(&self, g: &[f32], dtheta: &mut [f32]) {
        // Before a batch norm this is rounding noise, as in the frameworks; Adam still makes steps of it.
        if let Some(bias) = self.weights.bias {
            let sums = column_sums(Level::current(), g, self.outputs);
            dtheta[bias..bias + self.outputs].iter_mut().zip(sums).for_each(|(to, sum)| *to = sum as f32);
        }
    }
}

impl Operation for Conv {
    fn output(&self, [h, w, _]: Sides) -> Result<Sides> {
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
        product(&[p.output[0], p.output[1], p.out_channels, p.kernel[0], p.kernel[1], p.in_channels])
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

    fn forward(&self, at: &At, x: &Buffer, cx: &mut PassContext) -> Result<Buffer> {
        let mut y = self.through(at, cx.needs.anything(), false, x);
        let bias = self.weights.bias.filter(|_| !at.network.norm_follows(at.index));
        let bias = bias.map(|bias| at.parameters(bias, self.outputs));
        activation::forward(Level::current(), at.planned().act, bias, &mut y, self.outputs);
        Ok(y)
    }

    fn backward(
        &self,
        at: &At,
        mut g: Buffer,
        cx: &mut PassContext,
        dtheta: Option<&mut [f32]>,
        goes_on: bool,
    ) -> Option<Buffer> {
        // Held until the weights' gradient is done, whose smaller buffers would take its place in the pool.
        let output = cx.values[at.index + 1].take();
        if let Some(y) = &output {
            activation::backward(Level::current(), at.planned().act, y, &mut g);
        }
        if let Some(dtheta) = dtheta {
            let recomputed = match cx.values[at.index] {
                Some(_) => None,
                None => Some(at.recompute_input(cx)?),
            };
            let x = recomputed.as_ref().or(cx.values[at.index].as_ref())?;
            self.weight_grad(at, x, &g, dtheta);
            self.bias_grad(&g, dtheta);
        }
        drop(output);
        goes_on.then(|| self.through(at, true, true, &g))
    }

    fn has_jvp(&self, act: Activation) -> bool {
        act.is_piecewise_linear()
    }

    fn jvp(&self, at: &At, both: Buffer, cx: &mut PassContext) -> Result<Buffer> {
        let mut y = self.through(&at.times(2), true, false, &both);
        let act = at.planned().act;
        let bias = self.weights.bias.map(|bias| at.parameters(bias, self.outputs));
        activation::forward(Level::current(), act, bias, &mut y[..at.output_len()], self.outputs);
        cx.save_and_differentiate(at, act, &mut y);
        cx.values[at.index] = Some(both);
        Ok(y)
    }

    fn jvp_backward(&self, at: &At, cx: &mut PassContext, adjoint: Adjoint, dtheta: &mut [f32]) -> Option<Adjoint> {
        let input = cx.values[at.index].take()?;
        let x = &input[if adjoint.has_values { 0 } else { input.len() / 2 }..];
        let all = at.times(adjoint.batches());
        let g = &adjoint.g;
        self.weight_grad(&all, x, g, dtheta);
        if adjoint.has_values {
            self.bias_grad(&g[..at.output_len()], dtheta);
        }
        let goes_on = at.network.has_parameters_before(at.index);
        let g = goes_on.then(|| self.through(&all, true, true, g))?;
        Some(Adjoint { g, has_values: adjoint.has_values })
    }
}

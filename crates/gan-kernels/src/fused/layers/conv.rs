//! Convolution and its transpose, each with its bias and activation. A dense layer is a 1×1 convolution of a 1×1 image.

use super::Operation;
use crate::backend::{Activation, Backend, ConvCall, Sides, size};
use crate::fused::PlannedLayer;
use crate::fused::jvp::{Adjoint, JvpPass, JvpSaved};
use crate::fused::pass::{At, BackwardPass, ForwardPass, NeedsGrad};
use crate::problem::{Problem, product};
use crate::spec::ConvSpec;
use candle_core::Result;
use std::ops::Range;

/// Places of a layer's numbers in the parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// Index of the kernel's first number.
    pub weight: usize,
    /// Index of the bias's first number.
    pub bias: Option<usize>,
}

/// A convolution with weights `[O, C, kh, kw]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// Places of its parameters.
    pub weights: Weights,
    /// Output channels.
    pub outputs: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Geometry of the convolution.
    pub spec: ConvSpec,
}

/// A transposed convolution with weights `[C, O, kh, kw]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvTranspose {
    /// Places of its parameters.
    pub weights: Weights,
    /// Output channels.
    pub outputs: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Geometry of the convolution in the other direction.
    pub spec: ConvSpec,
    /// Rows and columns added at the bottom and right.
    pub output_padding: [usize; 2],
}

/// Common part of both.
trait Convolution {
    const TRANSPOSED: bool;
    fn weights(&self) -> Weights;
    fn outputs(&self) -> usize;
    fn kernel(&self) -> [usize; 2];
    fn spec(&self) -> ConvSpec;
    fn size(&self, image: [usize; 2]) -> Result<[usize; 2]>;

    /// Returns the convolution as a problem; a transposed one is the input gradient of the problem.
    fn problem(&self, planned: &PlannedLayer, samples: usize) -> Problem {
        let [h, w, c] = planned.input;
        let [oh, ow, o] = planned.output;
        let (spec, kernel) = (self.spec(), self.kernel());
        match Self::TRANSPOSED {
            false => {
                Problem { spec, samples, in_channels: c, out_channels: o, input: [h, w], output: [oh, ow], kernel }
            }
            true => Problem { spec, samples, in_channels: o, out_channels: c, input: [oh, ow], output: [h, w], kernel },
        }
    }

    fn kernel_range(&self, channels: usize) -> Range<usize> {
        let start = self.weights().weight;
        start..start + self.outputs() * channels * self.kernel()[0] * self.kernel()[1]
    }

    /// Runs `at.samples` samples through the layer, or with `back` their gradients in the other direction, without bias
    /// and activation.
    fn through<B: Backend>(
        &self,
        at: &At<B>,
        theta: B::Slice<'_>,
        trains: bool,
        back: bool,
        x: B::Slice<'_>,
    ) -> B::Buffer {
        let network = at.network;
        let backend = &network.backend;
        let call = ConvCall::<B> {
            problem: self.problem(at.planned(), at.samples),
            precision: network.precision,
            weights: backend.part(theta, self.kernel_range(at.planned().input[2])),
            cache: &network.weights,
            layer: at.index,
            trains,
        };
        let to = if back { at.planned().input } else { at.planned().output };
        let mut y = backend.uninit(at.samples * size(to));
        if Self::TRANSPOSED == back {
            backend.conv(&call, x, backend.slice_mut(&mut y));
        } else {
            backend.conv_input_grad(&call, x, backend.slice_mut(&mut y));
        }
        y
    }

    fn weight_grad<'s, B: Backend>(&self, at: &At<B>, x: B::Slice<'s>, g: B::Slice<'s>, dtheta: &mut B::SliceMut<'_>) {
        let backend = &at.network.backend;
        let problem = self.problem(at.planned(), at.samples);
        let dw = backend.part_mut(dtheta, self.kernel_range(at.planned().input[2]));
        // A transposed convolution's output is the problem's x.
        let (x, g) = if Self::TRANSPOSED { (g, x) } else { (x, g) };
        backend.conv_weight_grad(&problem, at.network.precision, x, g, dw);
    }

    fn bias_grad<B: Backend>(&self, at: &At<B>, g: B::Slice<'_>, dtheta: &mut B::SliceMut<'_>) {
        // Before a batch norm this is rounding noise, as in the frameworks; Adam still makes steps of it.
        if let Some(bias) = self.weights().bias {
            let o = self.outputs();
            let sums = at.network.backend.part_mut(dtheta, bias..bias + o);
            at.network.backend.column_sums(g, o, sums);
        }
    }
}

impl Convolution for Conv {
    const TRANSPOSED: bool = false;
    fn weights(&self) -> Weights {
        self.weights
    }
    fn outputs(&self) -> usize {
        self.outputs
    }
    fn kernel(&self) -> [usize; 2] {
        self.kernel
    }
    fn spec(&self) -> ConvSpec {
        self.spec
    }
    fn size(&self, image: [usize; 2]) -> Result<[usize; 2]> {
        self.spec.output_size(image, self.kernel)
    }
}

impl Convolution for ConvTranspose {
    const TRANSPOSED: bool = true;
    fn weights(&self) -> Weights {
        self.weights
    }
    fn outputs(&self) -> usize {
        self.outputs
    }
    fn kernel(&self) -> [usize; 2] {
        self.kernel
    }
    fn spec(&self) -> ConvSpec {
        self.spec
    }
    fn size(&self, image: [usize; 2]) -> Result<[usize; 2]> {
        self.spec.transposed_size(image, self.kernel, self.output_padding)
    }
}

macro_rules! operation {
    ($type:ty) => {
        impl<B: Backend> Operation<B> for $type {
            fn output(&self, [h, w, _]: Sides) -> Result<Sides> {
                let [h, w] = self.size([h, w])?;
                Ok([h, w, self.outputs])
            }

            fn parameters(&self, [_, _, c]: Sides) -> Vec<(usize, usize)> {
                let kernel = (self.weights.weight, product(&[self.outputs, c, self.kernel[0], self.kernel[1]]));
                let bias = self.weights.bias.map(|bias| (bias, self.outputs));
                std::iter::once(kernel).chain(bias).collect()
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

            fn forward(&self, at: &At<B>, x: &B::Buffer, pass: &mut ForwardPass<B>) -> Result<B::Buffer> {
                let backend = &at.network.backend;
                let trains = pass.needs.anything();
                let mut y = self.through(at, pass.theta, trains, false, backend.slice(x));
                let o = self.outputs;
                let bias = self.weights.bias.filter(|_| !at.network.norm_follows(at.index));
                let bias = bias.map(|bias| backend.part(pass.theta, bias..bias + o));
                backend.bias_activation(at.planned().act, bias, backend.slice_mut(&mut y), o);
                Ok(y)
            }

            fn backward(
                &self,
                at: &At<B>,
                mut g: B::Buffer,
                pass: &mut BackwardPass<B>,
                goes_on: bool,
            ) -> Option<B::Buffer> {
                let backend = &at.network.backend;
                // Held until the weights' gradient is done, whose smaller buffers would take its place in the pool.
                let output = pass.saved.values[at.index + 1].take();
                if let Some(y) = &output {
                    backend.activation_grad(at.planned().act, backend.slice(y), backend.slice_mut(&mut g));
                }
                if let Some(dtheta) = &mut pass.dtheta {
                    let again = match pass.saved.values[at.index] {
                        Some(_) => None,
                        None => Some(at.input_again(pass.theta, &pass.saved)?),
                    };
                    let x = again.as_ref().or(pass.saved.values[at.index].as_ref())?;
                    self.weight_grad(at, backend.slice(x), backend.slice(&g), dtheta);
                    self.bias_grad(at, backend.slice(&g), dtheta);
                }
                drop(output);
                goes_on.then(|| self.through(at, pass.theta, true, true, backend.slice(&g)))
            }

            fn has_jvp(&self, act: Activation) -> bool {
                act.is_piecewise_linear()
            }

            fn jvp(&self, at: &At<B>, both: B::Buffer, pass: &mut JvpPass<B>) -> Result<B::Buffer> {
                let backend = &at.network.backend;
                let doubled = At { samples: 2 * at.samples, ..*at };
                let mut y = self.through(&doubled, pass.theta, true, false, backend.slice(&both));
                let (o, act) = (self.outputs, at.planned().act);
                let bias = self.weights.bias.map(|bias| backend.part(pass.theta, bias..bias + o));
                let [values, _] = backend.halves_mut(&mut y, at.samples * size(at.planned().output));
                backend.bias_activation(act, bias, values, o);
                pass.save_and_differentiate(at, act, &mut y);
                pass.saved.inputs[at.index] = Some(both);
                Ok(y)
            }

            fn jvp_backward(
                &self,
                at: &At<B>,
                saved: &mut JvpSaved<B>,
                adjoint: Adjoint<B>,
                theta: B::Slice<'_>,
                dtheta: &mut B::SliceMut<'_>,
            ) -> Option<Adjoint<B>> {
                let backend = &at.network.backend;
                let input = saved.inputs[at.index].take()?;
                let x = backend.slice(&input);
                let len = backend.len(x);
                let x = backend.part(x, if adjoint.has_values { 0 } else { len / 2 }..len);
                let doubled = At { samples: adjoint.parts() * at.samples, ..*at };
                let g = backend.slice(&adjoint.g);
                self.weight_grad(&doubled, x, g, dtheta);
                if adjoint.has_values {
                    let values = backend.part(g, 0..at.samples * size(at.planned().output));
                    self.bias_grad(at, values, dtheta);
                }
                let goes_on = at.network.has_parameters_before(at.index);
                let g = goes_on.then(|| self.through(&doubled, theta, true, true, g))?;
                Some(Adjoint { g, has_values: adjoint.has_values })
            }
        }
    };
}

operation!(Conv);
operation!(ConvTranspose);

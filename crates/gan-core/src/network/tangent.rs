//! How a network's output changes when its input moves in a direction: the tangent, carried forward beside the values.
//!
//! Penalties on a discriminator's gradient need second derivatives of its weights and input. Here they come without
//! differentiating a gradient: for a fixed direction t, tᵀ∇ₓf(x; θ) is the tangent of f at x, an ordinary function of θ whose gradient by
//! θ candle's tape gives like any other (Pearlmutter 1994, "Fast exact multiplication by the Hessian", with both orders
//! swapped). It is exact for every layer, and needs no flag.

use super::dual::Dual;
use super::layerwise::convolved;
use super::modern::{self, along_channels};
use super::parts::Part;
use super::{Mode, Network, Pass, Weights};
use crate::layer::Layer;
use crate::shape;
use candle_core::{D, DType, Result, Tensor};

/// A value and how it changes.
type Moving = (Tensor, Tensor);

impl Network {
    /// x and a direction t, both `[N, input…]` -> the derivative of the output in that direction, `[N, output…]`, with gradients for the
    /// weights. On the CPU a list of plain layers runs as one operation.
    ///
    /// # Errors
    /// If x or t has another shape than the network is for.
    pub fn tangent(&self, x: &Tensor, t: &Tensor, pass: &mut Pass) -> Result<Tensor> {
        if let ([Part::Fused { segment, chain, .. }], Mode::Train(_)) = (&self.fused.whole[..], &pass.mode)
            && self.runs_fused(x)
            && chain.has_tangent()
        {
            return chain.tangent(&x.detach(), &t.detach(), &self.theta(*segment, pass)?);
        }
        Ok(self.forward_with_tangent(x, t, pass)?.1)
    }

    /// x and a direction t, both `[N, input…]` -> (y `[N, output…]`, the derivative of y in that direction, `[N, output…]`).
    ///
    /// # Errors
    /// If x or t has another shape than the network is for.
    pub fn forward_with_tangent(&self, x: &Tensor, t: &Tensor, pass: &mut Pass) -> Result<Moving> {
        // Where every slope is a constant, the values need no tape.
        let straight = !self.layers.iter().any(|layer| bends(layer, &pass.mode));
        let weights = if straight { Weights::Frozen } else { pass.weights };
        self.moving(x, t, weights, pass)
    }

    /// The same; `weights` is for the values, the pass' own for the tangent. A block takes what the whole network takes: a layer behind it
    /// may bend.
    pub(super) fn moving(&self, x: &Tensor, t: &Tensor, weights: Weights, pass: &mut Pass) -> Result<Moving> {
        let mut moving = (x.clone(), t.clone());
        for index in 0..self.layers.len() {
            moving = self.moved(index, &moving, weights, pass)?;
        }
        Ok(moving)
    }

    /// One layer; `weights` is for the values, the pass' own for the tangent.
    fn moved(&self, index: usize, (x, t): &Moving, weights: Weights, pass: &mut Pass) -> Result<Moving> {
        let layer = &self.layers[index];
        if let (Layer::Dropout(l), Mode::Train(rng)) = (layer, &mut pass.mode) {
            let numbers = super::layerwise::dropout_numbers(x, rng)?;
            let dropped = |x: &Tensor| gan_kernels::dropout(x, &numbers, l.dropout);
            return Ok((dropped(x)?, dropped(t)?));
        }
        if modern::is_modern(layer) {
            let moving = Dual { value: x.clone(), change: Some(t.clone()) };
            let Dual { value, change } = self.modern(index, &moving, weights, pass)?;
            let change = change.map_or_else(|| value.zeros_like(), Ok)?;
            return Ok((value, change));
        }
        let trained = pass.weights;
        let (features, classes) = (pass.features, pass.classes);
        let mut of_values = Pass { mode: pass.mode.again(), weights, features, classes, ranks: None };
        let y = self.layer(index, x, &mut of_values)?;
        let p = |i: usize| self.weight(index, i, trained);
        let size = || -> Result<[usize; 2]> {
            let (_, _, h, w) = x.dims4()?;
            Ok([h, w])
        };
        let change = match layer {
            Layer::Dense(_) => gan_kernels::linear(t, &self.kernel(index, 0, pass)?, None)?,
            Layer::Conv(l) => convolved(l, t, &self.kernel(index, 0, pass)?, None)?,
            Layer::ConvTranspose(l) => {
                let (spec, extra) = shape::transpose_spec(l, size()?);
                gan_kernels::conv_transpose2d(t, &self.kernel(index, 0, pass)?, None, &spec, extra)?
            }
            Layer::BatchNorm(l) => match pass.mode {
                Mode::Train(_) => norm_tangent(x, t, &p(0)?, l.batch_norm.eps)?,
                Mode::Eval => {
                    let [_, variance] = &self.running(index..index + 1)?[0];
                    let scale = (p(0)? / (variance + l.batch_norm.eps)?.sqrt()?)?;
                    t.broadcast_mul(&along_channels(&scale, t)?)?
                }
            },
            Layer::LeakyRelu(l) => (t * slopes(x, l.leaky_relu)?)?,
            Layer::Relu => (t * slopes(x, 0.0)?)?,
            Layer::Tanh => (t * y.sqr()?.affine(-1.0, 1.0)?)?,
            Layer::Sigmoid => (t * (&y * y.affine(-1.0, 1.0)?)?)?,
            Layer::GlobalMaxPool => {
                let (n, c, h, w) = x.dims4()?;
                let place = x.reshape((n, c, h * w))?.argmax_keepdim(D::Minus1)?;
                t.reshape((n, c, h * w))?.contiguous()?.gather(&place, D::Minus1)?.squeeze(D::Minus1)?
            }
            Layer::Dropout(_) => t.clone(),
            // Linear, and without weights: the tangent goes the way of the values.
            Layer::Reshape(_)
            | Layer::Flatten
            | Layer::Upsample(_)
            | Layer::ZeroPad(_)
            | Layer::AvgPool(_)
            | Layer::GlobalAvgPool => self.layer(index, t, &mut Pass::eval())?,
            other => candle_core::bail!("layer \"{}\" has no tangent", other.name()),
        };
        Ok((y, change))
    }
}

/// Whether a layer's slope changes with its input, apart from jumps.
pub(super) fn bends(layer: &Layer, mode: &Mode) -> bool {
    match layer {
        _ if modern::is_modern(layer) => modern::bends(layer, mode),
        Layer::BatchNorm(_) => matches!(mode, Mode::Train(_)),
        Layer::Tanh | Layer::Sigmoid => true,
        _ => false,
    }
}

/// 1 where x > 0, else `slope`.
fn slopes(x: &Tensor, slope: f64) -> Result<Tensor> {
    let x = x.detach();
    x.gt(&x.zeros_like()?)?.to_dtype(DType::F32)?.affine(1.0 - slope, slope)
}

/// The tangent of γ·(x − μ)/σ + β, μ and σ² those of x over everything but channels: γ/σ·(t − E[t] − x̂·E[x̂·t]).
pub(super) fn norm_tangent(x: &Tensor, t: &Tensor, gamma: &Tensor, eps: f64) -> Result<Tensor> {
    let others: Vec<usize> = (0..x.rank()).filter(|axis| *axis != 1).collect();
    let mean = |x: &Tensor| x.mean_keepdim(others.as_slice());
    let centred = x.broadcast_sub(&mean(x)?)?;
    let deviation = (mean(&centred.sqr()?)? + eps)?.sqrt()?;
    let normal = centred.broadcast_div(&deviation)?;
    let along = normal.broadcast_mul(&mean(&(&normal * t)?)?)?;
    let rest = (t.broadcast_sub(&mean(t)?)? - along)?;
    rest.broadcast_mul(&along_channels(gamma, x)?.broadcast_div(&deviation)?)
}

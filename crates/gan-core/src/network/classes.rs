//! Layers that know a sample's class.

use super::dual::Dual;
use super::tangent::norm_tangent;
use super::{Mode, Network, Pass};
use crate::layer::{ConcatClass, ConditionalBatchNorm, Projection};
use candle_core::{DType, Result, Tensor};

impl Network {
    /// γ(class)·x̂ + β(class), x̂ as in batch norm.
    pub(super) fn conditional_batch_norm(
        &self,
        index: usize,
        l: &ConditionalBatchNorm,
        x: &Dual,
        pass: &mut Pass,
    ) -> Result<Dual> {
        let classes = classes_of(x, l.conditional_batch_norm, pass)?;
        let channels = x.value.dim(1)?;
        let ones = Tensor::ones(channels, DType::F32, x.value.device())?;
        let zeros = ones.zeros_like()?;
        let normal = match &pass.mode {
            Mode::Train(_) => {
                let (value, batch) = gan_kernels::batch_norm_train(&x.value, &ones, &zeros, l.eps, &pass.ranks)?;
                self.follow(index, batch)?;
                let change = x.change.as_ref().map(|t| norm_tangent(&x.value, t, &ones, l.eps)).transpose()?;
                Dual { value, change }
            }
            Mode::Eval => {
                let [mean, variance] = &self.running(index..index + 1)?[0];
                let value = gan_kernels::batch_norm_eval(&x.value, &ones, &zeros, mean, variance, l.eps)?;
                let scale = (variance + l.eps)?.sqrt()?.recip()?;
                let scaled = |t: &Tensor| t.broadcast_mul(&super::modern::along_channels(&scale, t)?);
                Dual { value, change: x.change.as_ref().map(scaled).transpose()? }
            }
        };
        let of_sample = |i: usize| -> Result<Dual> {
            let rows = self.weight(index, i, pass.weights)?.index_select(&classes, 0)?;
            let mut shape = rows.dims().to_vec();
            shape.resize(x.value.rank(), 1);
            Ok(Dual::constant(rows.reshape(shape)?))
        };
        normal.mul(&of_sample(0)?)?.add(&of_sample(1)?)
    }

    /// x and its class, as numbers or as planes.
    pub(super) fn concat_class(&self, index: usize, l: &ConcatClass, x: &Dual, pass: &Pass) -> Result<Dual> {
        let classes = classes_of(x, l.concat_class, pass)?;
        let rows = match l.embedding {
            Some(_) => self.weight(index, 0, pass.weights)?.index_select(&classes, 0)?,
            None => one_hot(&classes, l.concat_class)?,
        };
        let joined = match *x.value.dims() {
            [n, _, h, w] => {
                let more = rows.dim(1)?;
                rows.reshape((n, more, 1, 1))?.broadcast_as((n, more, h, w))?.contiguous()?
            }
            _ => rows,
        };
        x.join(&Dual::constant(joined), 1)
    }

    /// ψ(h) + ⟨e(class), h⟩.
    pub(super) fn projection(&self, index: usize, l: &Projection, x: &Dual, pass: &Pass) -> Result<Dual> {
        let classes = classes_of(x, l.projection, pass)?;
        let (psi, embed) = (self.kernel(index, 0, pass)?, self.kernel(index, 2, pass)?);
        let bias = self.weight(index, 1, pass.weights)?;
        let direction = Dual::constant(embed.index_select(&classes, 0)?.broadcast_add(&psi)?);
        x.mul(&direction)?.linear(|y| y.sum_keepdim(1))?.add(&Dual::constant(bias.reshape((1, 1))?))
    }

    /// One dense layer to the logit and the classes' logits.
    pub(super) fn auxiliary(&self, index: usize, x: &Dual, pass: &Pass) -> Result<Dual> {
        let (kernel, bias) = (self.kernel(index, 0, pass)?, self.weight(index, 1, pass.weights)?);
        let y = x.linear(|x| gan_kernels::linear(x, &kernel, None))?;
        y.add(&Dual::constant(bias.unsqueeze(0)?))
    }
}

/// Each class `[N]` as `[N, known]`: 1 at its own place, 0 elsewhere.
fn one_hot(classes: &Tensor, known: usize) -> Result<Tensor> {
    let places = Tensor::arange(0, known as u32, classes.device())?.unsqueeze(0)?;
    classes.unsqueeze(1)?.broadcast_eq(&places)?.to_dtype(DType::F32)
}

/// The samples' classes `[N]`, which a layer for `known` classes asks for.
fn classes_of(x: &Dual, known: usize, pass: &Pass) -> Result<Tensor> {
    let Some(classes) = pass.classes else {
        candle_core::bail!("this network makes or judges samples of {known} classes: give each sample's class")
    };
    if classes.dims() != [x.value.dim(0)?] {
        candle_core::bail!("{:?} classes for {} samples", classes.dims(), x.value.dim(0)?)
    }
    let classes = classes.to_dtype(DType::U32)?;
    // Elsewhere looking would wait for the device.
    if classes.device().is_cpu() && classes.elem_count() > 0 {
        let largest = classes.max(0)?.to_scalar::<u32>()?;
        if largest as usize >= known {
            candle_core::bail!(
                "class {largest} of a sample is not among the {known} classes of this network, which are counted from 0"
            )
        }
    }
    Ok(classes)
}

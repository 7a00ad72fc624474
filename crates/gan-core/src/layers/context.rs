//! Context of a layer's forward pass: its parameters, the mode, classes, random numbers, and the networks inside it.
//!
//! Spectral norm divides kernels by their largest singular values (Miyato et al. 2018, arXiv:1802.05957), computed by power iteration. W is
//! treated as a matrix `[O, everything else]`. Each training pass with gradients for the weights does one iteration v = Wᵀu/‖Wᵀu‖, u =
//! Wv/‖Wv‖, as PyTorch does; other passes use u unchanged. σ = uᵀWv with u and v held fixed, so that gradients reach W through it.

use super::{Dual, ParamSpec};
use crate::forward_context::{ForwardContext, Mode, Weights};
use crate::network::{Engine, Network};
use crate::params::Param;
use crate::random::RandomTensors;
use candle_core::{DType, Result, Tensor, bail};

/// Context of one layer in one forward pass.
pub struct LayerContext<'a, 'p> {
    /// Parameters of the layer, those of lists inside it first.
    pub(crate) params: &'a [Param],
    /// Descriptions of its own parameters.
    pub(crate) specs: &'a [ParamSpec],
    /// Networks of the lists inside the layer.
    pub(crate) branches: &'a [Network],
    pub(crate) engine: Engine,
    /// Whether only tangents need gradients by the weights.
    pub(crate) detach_values: bool,
    pub(crate) pass: &'a mut ForwardContext<'p>,
}

impl LayerContext<'_, '_> {
    /// Returns whether this is a training pass.
    pub fn is_training(&self) -> bool {
        matches!(self.pass.mode, Mode::Train(_))
    }

    /// Returns the layer's parameter `name`, on candle's tape if it is to have gradients.
    ///
    /// # Errors
    /// If the layer has no such parameter.
    pub fn param(&self, name: &str) -> Result<Tensor> {
        let (param, _) = self.named(name)?;
        if self.pass.weights == Weights::Frozen { param.tensor() } else { param.tracked() }
    }

    /// Returns the layer's kernel `name`, divided by its largest singular value if the layer has spectral norm.
    ///
    /// # Errors
    /// If the layer has no such kernel.
    pub fn kernel(&self, name: &str) -> Result<Tensor> {
        let kernel = self.param(name)?;
        match self.named(&format!("{name}_u")) {
            Ok((direction, _)) => spectrally_normalized(&kernel, direction, self.named(name)?.1.output_axis, self.pass),
            Err(_) => Ok(kernel),
        }
    }

    fn named(&self, name: &str) -> Result<(&Param, &ParamSpec)> {
        let own = &self.params[self.params.len() - self.specs.len()..];
        let found = own.iter().zip(self.specs).find(|(_, spec)| spec.name == name);
        found.ok_or_else(|| candle_core::Error::Msg(format!("the layer has no parameter \"{name}\"")))
    }

    /// Returns the samples' classes `[N]` u32 for a layer with `known` classes.
    ///
    /// # Errors
    /// If classes are missing, their number differs from the samples', or one is out of range.
    pub fn classes(&self, known: usize, samples: usize) -> Result<Tensor> {
        checked_classes(self.pass.classes, known, samples)
    }

    /// Returns numbers from U[0, 1) in the shape of x in a training pass, drawn in channels-last order as the fused engine draws them.
    pub fn uniform_like(&mut self, x: &Tensor) -> Result<Option<Tensor>> {
        let Mode::Train(rng) = &mut self.pass.mode else { return Ok(None) };
        let numbers = match *x.dims() {
            [n, c, h, w] => rng.uniform_tensor(0.0, 1.0, (n, h, w, c), x.device())?.permute((0, 3, 1, 2))?,
            _ => rng.uniform_tensor(0.0, 1.0, x.shape(), x.device())?,
        };
        numbers.to_dtype(x.dtype())?.contiguous().map(Some)
    }

    /// Runs the network of the layer's list number `index`.
    pub fn branch(&mut self, index: usize, x: &Dual) -> Result<Dual> {
        self.branches[index].run_branch(x, self.engine, self.detach_values, self.pass)
    }
}

/// Returns the samples' classes `[N]` u32 for a layer with `known` classes.
///
/// # Errors
/// If classes are missing, their number differs from the samples', or one is out of range.
pub(crate) fn checked_classes(classes: Option<&Tensor>, known: usize, samples: usize) -> Result<Tensor> {
    let Some(classes) = classes else {
        bail!("this network makes or judges samples of {known} classes: give each sample's class")
    };
    if classes.dims() != [samples] {
        bail!("{:?} classes for {samples} samples", classes.dims())
    }
    let classes = classes.to_dtype(DType::U32)?;
    // On other devices, reading them would wait for the device.
    if classes.device().is_cpu() && classes.elem_count() > 0 {
        let largest = classes.max(0)?.to_scalar::<u32>()?;
        if largest as usize >= known {
            bail!(
                "class {largest} of a sample is not among the {known} classes of this network, which are counted from 0"
            )
        }
    }
    Ok(classes)
}

/// Returns `weight` divided by its largest singular value; its outputs are along `axis`, and `direction` is u.
fn spectrally_normalized(weight: &Tensor, direction: &Param, axis: usize, pass: &ForwardContext) -> Result<Tensor> {
    let matrix = if axis == 0 { weight.clone() } else { weight.transpose(0, axis)?.contiguous()? };
    let matrix = matrix.flatten_from(1)?;
    let fixed = matrix.detach();
    let mut u = unit(&direction.tensor()?.unsqueeze(1)?)?;
    let v = unit(&fixed.t()?.contiguous()?.matmul(&u)?)?;
    if pass.weights == Weights::Trained && matches!(pass.mode, Mode::Train(_)) {
        u = unit(&fixed.matmul(&v)?)?;
        direction.set(&u.squeeze(1)?)?;
    }
    let sigma = (u * matrix.matmul(&v)?)?.sum_all()?;
    // A kernel of zeros does not change until it is updated.
    let none = sigma.detach().eq(0.0)?.to_dtype(sigma.dtype())?;
    weight.broadcast_div(&(sigma + none)?)
}

fn unit(x: &Tensor) -> Result<Tensor> {
    // A kernel of zeros has no direction.
    let norm = (x.sqr()?.sum_all()?.sqrt()? + 1e-12)?;
    x.broadcast_div(&norm)
}

//! A network for another backend of the fused engine, which keeps its parameters in memory of its own.

use super::Network;
use crate::error::{Error, Result};
use crate::layers::{BatchNormSettings, RunningVariance};
use crate::params::{Param, Role};
use candle_core::Var;
use gan_kernels::backend::Backend;
use gan_kernels::fused::FusedSequential;

/// A network whose layers all run as one operation, planned for a backend.
#[derive(Debug)]
pub struct Portable<B: Backend> {
    /// The plan.
    pub plan: FusedSequential<B>,
    /// All trainable parameters on the host, `[P]`, in the order in which the plan reads them.
    pub parameters: Var,
    /// Running averages on the host of each batch norm, in the order in which they run.
    pub norms: Vec<RunningNorm>,
    /// Kernels with spectral norm. A pass reads them divided by their largest singular values.
    pub spectral_kernels: Vec<SpectralKernel>,
}

/// Kernel with spectral norm.
#[derive(Clone, Debug)]
pub struct SpectralKernel {
    /// Index of its first number among the parameters.
    pub start: usize,
    /// The kernel as `[before, outputs, after]`, as [`SpectralNorm::of`](gan_kernels::ops::SpectralNorm::of) expects it.
    pub sides: [usize; 3],
    /// Left singular vector `[outputs]` from which the next power iteration starts, on the host.
    pub direction: Param,
}

/// Running averages of a batch norm.
#[derive(Clone, Debug)]
pub struct RunningNorm {
    /// Running mean `[C]` and running variance `[C]`.
    pub averages: [Param; 2],
    /// Weight of the new batch in the averages.
    pub momentum: f64,
    /// Whether the variance in the average is the unbiased one.
    pub is_unbiased: bool,
}

impl Network {
    /// Plans the network for a backend, for passes from all trainable parameters in one array.
    ///
    /// # Errors
    /// If a layer has no fused form, or is one that the backend lacks.
    pub fn on_backend<B: Backend>(&self, backend: B) -> Result<Portable<B>> {
        let fail = |problem: String| Error::Network { network: "network".into(), problem };
        let [group] = &self.groups[..] else {
            let alone = self.layers.iter().enumerate().find(|(index, _)| !self.is_fusible(*index));
            let named =
                alone.map(|(index, layer)| format!("layer {index}, \"{}\", ", layer.name())).unwrap_or_default();
            return Err(fail(format!("{named}has no fused form, which other devices need")));
        };
        let place = |index: usize| move |i: usize| self.params[self.placed[index].params.start + i].start();
        let layers = self.layers.iter().enumerate();
        let fused = layers.filter_map(|(i, layer)| layer.fused(self.shape_before(i), &place(i))).flatten().collect();
        let plan = FusedSequential::on(backend, &self.input, fused, self.precision, self.reuse);
        Ok(Portable {
            plan: plan.map_err(|e| fail(e.to_string()))?,
            parameters: group.flat_params.clone(),
            norms: self.norms(0..self.layers.len()).into_iter().filter_map(running_norm).collect(),
            spectral_kernels: self.spectral_kernels(0..self.layers.len()),
        })
    }
}

/// Returns the running averages among a layer's parameters.
fn running_norm((params, settings): (&[Param], BatchNormSettings)) -> Option<RunningNorm> {
    let of = |role: Role| params.iter().find(|param| param.role == role).cloned();
    Some(RunningNorm {
        averages: [of(Role::RunningMean)?, of(Role::RunningVariance)?],
        momentum: settings.momentum,
        is_unbiased: settings.running_variance == RunningVariance::Unbiased,
    })
}

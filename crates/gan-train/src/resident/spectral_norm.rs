//! Spectral norm of a network on a device: the divided kernels of each pass, and the gradients by those that are trained.
//!
//! As on the CPU, a training pass through a network that is being trained does a power iteration, so each pass of an update has kernels of its
//! own. The pass owns them, because its gradients need them. The memory of recorded work stays where it was, and so do they.

use super::network::ResidentNetwork;
use gan_core::SpectralKernel;
use gan_cuda::step::{StepBackend, spectral_values};
use gan_kernels::backend::size;

/// The parameters of a pass, if they are not those of the network.
pub(super) struct PassWeights<B: StepBackend>(Option<Normalized<B>>);

/// All parameters, with kernels divided by their largest singular values, and what was found of each kernel.
struct Normalized<B: StepBackend> {
    theta: B::Buffer,
    values: Vec<B::Buffer>,
}

/// Kernels with spectral norm of a network.
#[derive(Debug)]
pub(super) struct SpectralNorms<B: StepBackend> {
    pub kernels: Vec<SpectralKernel>,
    /// The direction of each.
    pub directions: Vec<B::Buffer>,
}

impl<B: StepBackend> SpectralNorms<B> {
    pub fn new(backend: &B, kernels: Vec<SpectralKernel>) -> Self {
        let directions = kernels.iter().map(|kernel| backend.f32_zeros(kernel.sides[1])).collect();
        Self { kernels, directions }
    }

    /// Returns what a pass runs with, after a power iteration if it `iterates`.
    pub fn weights(&mut self, backend: &B, theta: &B::Buffer, iterates: bool) -> PassWeights<B> {
        if self.kernels.is_empty() {
            return PassWeights(None);
        }
        let mut normalized = backend.copy(backend.slice(theta));
        let one = |(kernel, direction): (&SpectralKernel, &mut B::Buffer)| {
            let range = kernel.start..kernel.start + size(kernel.sides);
            let mut values = backend.f32_zeros(spectral_values(kernel.sides));
            let mut to = backend.slice_mut(&mut normalized);
            backend.spectral_norm(
                kernel.sides,
                backend.part(backend.slice(theta), range.clone()),
                backend.slice_mut(direction),
                iterates,
                backend.part_mut(&mut to, range),
                backend.slice_mut(&mut values),
            );
            values
        };
        let values = self.kernels.iter().zip(&mut self.directions).map(one).collect();
        PassWeights(Some(Normalized { theta: normalized, values }))
    }

    /// Replaces the gradient by what a pass ran with by that by the parameters.
    pub fn grad(&self, backend: &B, weights: &PassWeights<B>, theta: &B::Buffer, gradient: &mut B::Buffer) {
        let Some(Normalized { values, .. }) = &weights.0 else { return };
        backend.join();
        for (kernel, values) in self.kernels.iter().zip(values) {
            let range = kernel.start..kernel.start + size(kernel.sides);
            let mut gradient = backend.slice_mut(gradient);
            backend.spectral_norm_grad(
                kernel.sides,
                backend.part(backend.slice(theta), range.clone()),
                backend.slice(values),
                backend.part_mut(&mut gradient, range),
            );
        }
    }
}

impl<B: StepBackend> PassWeights<B> {
    /// Returns the parameters of the pass, where `theta` are those of the network.
    pub fn theta<'a>(&'a self, theta: &'a B::Buffer) -> &'a B::Buffer {
        self.0.as_ref().map_or(theta, |normalized| &normalized.theta)
    }
}

impl<B: StepBackend> ResidentNetwork<B> {
    /// Returns whether each pass of a training step has kernels of its own, so that two batches cannot share one.
    pub fn has_spectral_norm(&self) -> bool {
        !self.spectral_norms.kernels.is_empty()
    }
}

//! Passes over one network on a device.

use super::network::ResidentNetwork;
use super::spectral_norm::PassWeights;
use crate::error::Result;
use candle_core::Device;
use gan_base::Rng;
use gan_core::{RandomTensors, Weights};
use gan_cuda::step::StepBackend;
use gan_kernels::fused::{NeedsGrad, PassContext, Value};
use std::sync::Arc;

/// A pass over a network, and the parameters that it runs with.
pub(super) struct Pass<B: StepBackend> {
    cx: PassContext<B>,
    weights: PassWeights<B>,
}

/// Where the random numbers of dropouts come from.
pub(super) enum Draw<'a, B: StepBackend> {
    /// The host's stream.
    Host(&'a mut Rng),
    /// The device, from a seed, the number of the pass in its update, and a number of the update there.
    There { seed: u32, pass: u32, clock: &'a B::Buffer },
}

/// Most layers of a network whose random numbers differ.
const SITES: u32 = 1 << 10;

impl<B: StepBackend> ResidentNetwork<B> {
    /// Returns a training pass over `groups` batches of `samples`, with random numbers for its dropouts: of the host, or drawn there. If the
    /// `weights` are being trained, spectral norm iterates.
    pub fn context(
        &mut self,
        needs: NeedsGrad,
        weights: Weights,
        [groups, samples]: [usize; 2],
        classes: Option<&Arc<Vec<u32>>>,
        draw: &mut Draw<B>,
    ) -> Result<Pass<B>> {
        let weights = self.weights(weights == Weights::Trained);
        let backend = &self.backend;
        let mut cx = PassContext::new(self.plan.len(), needs);
        cx.classes = classes.cloned();
        cx.groups = groups;
        let dropouts = self.plan.dropouts();
        let mut noise: Vec<B::Buffer> =
            dropouts.iter().map(|(_, len)| backend.uninit(groups * samples * len)).collect();
        for group in 0..groups {
            for ((index, len), noise) in dropouts.iter().zip(&mut noise) {
                let len = samples * len;
                let mut all = backend.slice_mut(noise);
                let part = backend.part_mut(&mut all, group * len..(group + 1) * len);
                match draw {
                    Draw::Host(rng) => {
                        let uniform = rng.uniform_tensor(0.0, 1.0, len, &Device::Cpu)?;
                        backend.copy_to(backend.slice(&self.wide(&uniform.to_vec1::<f32>()?)), part);
                    }
                    Draw::There { seed, pass, clock } => {
                        let site = (*pass + group as u32) * SITES + *index as u32;
                        backend.uniform(part, *seed, site, backend.slice(clock));
                    }
                }
            }
        }
        if let Draw::There { pass, .. } = draw {
            *pass += groups as u32;
        }
        for ((index, _), noise) in dropouts.into_iter().zip(noise) {
            cx.noise[index] = Some(noise);
        }
        Ok(Pass { cx, weights })
    }

    /// Returns the parameters of a pass.
    fn weights(&mut self, iterates: bool) -> PassWeights<B> {
        let weights = self.spectral_norms.weights(&self.backend, &self.theta, iterates);
        if self.has_spectral_norm() {
            // They may lie where those of an earlier pass were.
            self.plan.weights_changed();
        }
        weights
    }

    /// Returns an evaluation pass, with the running averages.
    pub fn evaluation(&mut self, classes: Option<&Arc<Vec<u32>>>) -> Pass<B> {
        let mut cx = PassContext::new(self.plan.len(), NeedsGrad { input: false, parameters: false });
        cx.classes = classes.cloned();
        for (index, running) in self.plan.batch_norms().into_iter().zip(&self.running) {
            cx.given[index] = Some(running.each_ref().map(|of| self.backend.get(self.backend.slice(of))));
        }
        Pass { cx, weights: self.weights(false) }
    }

    /// Runs a training pass forward, whose statistics the running averages follow.
    pub fn forward(&mut self, x: impl Into<Value<B>>, samples: usize, pass: &mut Pass<B>) -> Result<Value<B>> {
        let backend = self.backend.clone();
        let Pass { cx, weights } = pass;
        let y = self.plan.forward(x, samples, backend.slice(weights.theta(&self.theta)), cx)?;
        let found = cx.norms.iter().flatten().zip(&self.norms).zip(&mut self.running);
        for ((norm, settings), [mean, variance]) in found {
            let Some(count) = backend.norm_count(norm) else { continue };
            let unbias = if settings.is_unbiased { count as f32 / (count as f32 - 1.0) } else { 1.0 };
            let [mean, variance] = [mean, variance].map(|average| backend.slice_mut(average));
            backend.follow_norm(norm, mean, variance, settings.momentum as f32, unbias);
        }
        Ok(y)
    }

    /// Returns the input's gradient from that of the output, if the pass needs it, and keeps that of the parameters.
    pub fn backward(&mut self, pass: Pass<B>, samples: usize, g: B::Buffer) -> Option<B::Buffer> {
        let Pass { cx, weights } = pass;
        let place = cx.needs.parameters.then(|| self.place());
        let backend = &self.backend;
        let to = place.map(|place| backend.slice_mut(&mut self.gradients[place]));
        let by_input = self.plan.backward(cx, samples, backend.slice(weights.theta(&self.theta)), g, to);
        if let Some(place) = place {
            self.spectral_norms.grad(backend, &weights, &self.theta, &mut self.gradients[place]);
        }
        by_input
    }

    /// Keeps the parameters' gradient of derivatives in directions, each multiplied by the gradient of its derivative, and of the outputs, for
    /// a pass whose [`FusedSequential::adjoints`] have run.
    pub fn linear_grads(
        &mut self,
        pass: Pass<B>,
        samples: usize,
        directions: B::Buffer,
        of_output: Option<&B::Buffer>,
    ) -> Result<()> {
        let Pass { cx, weights } = pass;
        let place = self.place();
        let backend = &self.backend;
        let theta = backend.slice(weights.theta(&self.theta));
        let to = backend.slice_mut(&mut self.gradients[place]);
        self.plan.linear_grads(cx, samples, theta, directions, of_output, to)?;
        self.spectral_norms.grad(backend, &weights, &self.theta, &mut self.gradients[place]);
        Ok(())
    }

    /// Returns the gradient of the sum of all outputs by the input, for a pass that saved what both gradients need.
    pub fn adjoints(&self, pass: &mut Pass<B>, samples: usize) -> Option<B::Buffer> {
        let Pass { cx, weights } = pass;
        self.plan.adjoints(cx, samples, self.backend.slice(weights.theta(&self.theta)), self.ones(samples))
    }

    /// Keeps the parameters' gradient of the outputs' derivatives, at points and in directions that are both in `both`, from the gradient of
    /// each derivative.
    pub fn jvp(&mut self, both: B::Buffer, samples: usize, pass: Pass<B>, g: B::Buffer) -> Result<()> {
        let Pass { cx, weights } = pass;
        let place = self.place();
        let backend = &self.backend;
        let theta = backend.slice(weights.theta(&self.theta));
        let (_, cx) = self.plan.jvp_forward(both, samples, theta, cx)?;
        let to = backend.slice_mut(&mut self.gradients[place]);
        self.plan.jvp_backward(cx, samples, theta, g, to);
        self.spectral_norms.grad(backend, &weights, &self.theta, &mut self.gradients[place]);
        Ok(())
    }
}

//! Samples of a generator that lives on a device, in evaluation mode.

use super::network::ResidentNetwork;
use crate::error::{Error, Result};
use candle_core::{Device, Tensor};
use gan_core::{ForwardContext, Generator, Layer, LayeredGenerator, Mode, Param};
use gan_cuda::caught;
use gan_cuda::step::StepBackend;
use gan_kernels::backend::size;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

impl<B: StepBackend> ResidentNetwork<B> {
    /// Generates samples `[N, …]` from latents `[N, latent]` with running averages, and with the moving averages of the weights if there are any.
    pub fn sample(&mut self, z: &Tensor, classes: Option<&Tensor>) -> Result<Tensor> {
        let n = z.dim(0)?;
        let wanted = size(self.plan.input());
        if z.elem_count() != n * wanted {
            let problem = format!("latents {:?}, expected [N, {wanted}]", z.dims());
            return Err(candle_core::Error::Msg(problem).into());
        }
        self.exchange_averages();
        let made = self.evaluated(z, n, classes);
        self.exchange_averages();
        made
    }

    fn evaluated(&mut self, z: &Tensor, n: usize, classes: Option<&Tensor>) -> Result<Tensor> {
        let backend = self.backend.clone();
        self.plan.weights_changed();
        let classes = classes.map(Tensor::to_vec1::<u32>).transpose()?.map(Arc::new);
        let mut pass = self.evaluation(classes.as_ref());
        let z = self.samples_of_host(&z.flatten_all()?.to_vec1::<f32>()?);
        let y = self.forward(z, n, &mut pass)?;
        let [h, w, c] = self.plan.output();
        let mut samples = backend.f32_zeros(n * h * w * c);
        backend.channels_first(backend.slice(&y), c, h * w, backend.slice_mut(&mut samples));
        let values = backend.get(backend.slice(&samples));
        Ok(Tensor::from_vec(values, [&[n], &self.sample_shape[..]].concat(), &Device::Cpu)?)
    }

    /// Exchanges all weights with their moving averages, if there are any, and the plan of training with that of inference, which packs weights of
    /// its own: what a training pass has packed stays valid for its gradients.
    fn exchange_averages(&mut self) {
        std::mem::swap(&mut self.plan, &mut self.inference);
        let running = self.running.iter_mut().flatten();
        let all = std::iter::once(&mut self.theta).chain(running).chain(&mut self.spectral_norms.directions);
        all.zip(&mut self.ema).for_each(|(own, average)| std::mem::swap(own, average));
    }
}

/// Returns samples from latents `[N, latent]`, of classes `[N]`.
type Sample<'a> = Box<dyn Fn(&Tensor, Option<&Tensor>) -> Result<Tensor> + Send + Sync + 'a>;

/// A generator whose passes for inference run on a device. What else it is asked for comes from the host's.
pub(crate) struct Sampler<'a, G> {
    generator: G,
    sample: Sample<'a>,
}

impl<'a, G: Deref<Target = dyn Generator>> Sampler<'a, G> {
    /// Returns `generator` with the passes that `sample` runs.
    pub fn new(generator: G, sample: impl Fn(&Tensor, Option<&Tensor>) -> Result<Tensor> + Send + Sync + 'a) -> Self {
        Self { generator, sample: Box::new(sample) }
    }
}

/// Returns a generator whose weights are sent to a device once.
///
/// # Errors
/// If it has a layer that the device lacks, or the device fails.
pub(crate) fn on_device<B: StepBackend>(backend: &B, generator: LayeredGenerator) -> Result<Box<dyn Generator>> {
    let failed =
        |failure: gan_cuda::Failure| Error::Device { problem: format!("the GPU failed ({failure}); add --device cpu") };
    let own = || Error::config("--device", "this generator is not made of a layer list: add --device cpu");
    let network = generator.layered().ok_or_else(own)?;
    let made = caught(|| -> Result<_> {
        let mut network = ResidentNetwork::new(backend, network, None, None)?;
        network.send(None, None)?;
        Ok(network)
    });
    let network = Mutex::new(made.map_err(failed)??);
    let sample = move |z: &Tensor, classes: Option<&Tensor>| {
        let mut network = network.lock().unwrap_or_else(PoisonError::into_inner);
        caught(|| network.sample(z, classes)).map_err(failed)?
    };
    let generator: Box<dyn Generator> = Box::new(generator);
    Ok(Box::new(Sampler::new(generator, sample)))
}

impl<G: Deref<Target = dyn Generator> + Send + Sync> Generator for Sampler<'_, G> {
    fn forward(&self, z: &Tensor, pass: &mut ForwardContext) -> candle_core::Result<Tensor> {
        match pass.mode {
            Mode::Eval => (self.sample)(z, pass.classes).map_err(candle_core::Error::wrap),
            Mode::Train(_) => candle_core::bail!("a generator for inference on a device does not train"),
        }
    }

    fn params(&self) -> Vec<Param> {
        self.generator.params()
    }

    fn classes(&self) -> Option<usize> {
        self.generator.classes()
    }

    fn architecture(&self) -> Option<(&[usize], &[Layer])> {
        self.generator.architecture()
    }
}

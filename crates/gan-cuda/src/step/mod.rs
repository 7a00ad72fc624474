//! A whole training step of a plain GAN on one backend, so that it can be captured and replayed.
//!
//! Plain means: fused layers only, the non-saturating loss, Adam, and no penalties. The discriminator learns from a real and a generated batch
//! with batch norms of their own, if possible in one pass, which keeps a large device busier; the generator then learns from the same generated
//! batch. What changes from step to step lies in one array
//! on the device, which the host sends before each step: the optimizers' coefficients and the latents.

mod backend;

pub(crate) use backend::whole;
pub use backend::{Recordings, StepBackend, spectral_values};

use candle_core::{Result, bail};
use gan_kernels::Precision;
use gan_kernels::backend::size;
use gan_kernels::fused::{FusedLayer, FusedSequential, NeedsGrad, PassContext, Reuse};
use gan_kernels::update::{Epsilon, Step};
use std::fmt::Debug;

/// Settings of Adam.
#[derive(Clone, Copy, Debug)]
pub struct Adam {
    /// Learning rate.
    pub lr: f64,
    /// Decays of both averages.
    pub betas: [f64; 2],
    /// Keeps the denominator from zero.
    pub epsilon: f64,
}

impl Adam {
    fn step(&self) -> Step {
        let [b1, b2] = self.betas;
        let placement = Epsilon::OutsideRoot;
        Step { first_decay: Some(b1), second_decay: b2, scale: 0.0, root_scale: 0.0, epsilon: self.epsilon, placement }
    }

    fn coefficients(&self, step: u64) -> [f32; 2] {
        let [c1, c2] = self.betas.map(|beta| 1.0 - beta.powf(step as f64));
        [(self.lr / c1) as f32, (1.0 / c2) as f32]
    }
}

/// Networks and settings of a plain GAN.
#[derive(Clone, Debug)]
pub struct Plain {
    /// Number of latent values.
    pub latent: usize,
    /// Shape of the generator's input, `[C, H, W]` or `[F]`.
    pub latent_shape: Vec<usize>,
    /// Shape of an image, `[C, H, W]`.
    pub image: [usize; 3],
    /// Layers of the generator.
    pub generator: Vec<FusedLayer>,
    /// Layers of the discriminator.
    pub discriminator: Vec<FusedLayer>,
    /// Number of samples in a batch.
    pub batch: usize,
    /// Labels of real and generated samples for the discriminator.
    pub labels: [f32; 2],
    /// Optimizers of the generator and the discriminator.
    pub adam: [Adam; 2],
    /// Momentum of the batch norms' running averages.
    pub momentum: f32,
    /// Seed of the dropouts' random numbers.
    pub seed: u32,
    /// Whether real and generated samples go through the discriminator as one batch, with batch norms of their own, where a backend can.
    pub joint: bool,
}

/// Numbers at the beginning of the inputs: coefficients of both optimizers, and the number of the step.
const HEAD: usize = 8;

/// A network with its parameters and the averages of its optimizer.
#[derive(Debug)]
struct Trained<B: StepBackend> {
    network: FusedSequential<B>,
    parameters: B::Buffer,
    averages: [B::Buffer; 2],
    gradients: Vec<B::Buffer>,
    /// Running mean and variance of each batch norm, by layer.
    running: Vec<Option<[B::Buffer; 2]>>,
}

/// A plain GAN in training.
#[derive(Debug)]
pub struct PlainGan<B: StepBackend> {
    backend: B,
    settings: Plain,
    generator: Trained<B>,
    discriminator: Trained<B>,
    inputs: B::Buffer,
    stages: [B::Stage; 2],
    images: B::Buffer,
    losses: B::Buffer,
    steps: u64,
    /// Whether the discriminator's batches are one.
    joint: bool,
}

impl<B: StepBackend> Trained<B> {
    fn new(
        backend: &B,
        input: &[usize],
        layers: &[FusedLayer],
        precision: Precision,
        parameters: &[f32],
        gradients: usize,
    ) -> Result<Self> {
        let network = FusedSequential::on(backend.clone(), input, layers.to_vec(), precision, Reuse::UntilChanged)?;
        let len = network.parameter_count();
        if parameters.len() != len {
            bail!("{} initial values for {len} parameters", parameters.len());
        }
        let mut values = backend.f32_zeros(len);
        backend.set(parameters, backend.slice_mut(&mut values));
        Ok(Self {
            running: (0..network.len()).map(|_| None).collect(),
            averages: [backend.f32_zeros(len), backend.f32_zeros(len)],
            gradients: (0..gradients).map(|_| backend.f32_zeros(len)).collect(),
            parameters: values,
            network,
        })
    }

    fn follow(&mut self, cx: &PassContext<B>, momentum: f32) {
        let backend = self.network.backend().clone();
        for (index, (norm, running)) in cx.norms.iter().zip(&mut self.running).enumerate() {
            let Some(norm) = norm else { continue };
            let channels = self.network.channels_before(index);
            let [mean, variance] = running.get_or_insert_with(|| {
                let ones = vec![1.0; channels];
                let mut variance = backend.f32_zeros(channels);
                backend.set(&ones, backend.slice_mut(&mut variance));
                [backend.f32_zeros(channels), variance]
            });
            let count = backend.norm_count(norm).unwrap_or(2) as f32;
            let unbias = count / (count - 1.0);
            backend.follow_norm(norm, backend.slice_mut(mean), backend.slice_mut(variance), momentum, unbias);
        }
    }

    fn update(&mut self, adam: &Adam, coefficients: B::Slice<'_>) {
        let backend = self.network.backend().clone();
        backend.join();
        let gradients = [0, 1].map(|i| self.gradients.get(i).map(|g| backend.slice(g)));
        let averages = self.averages.each_mut().map(|average| backend.slice_mut(average));
        let values = backend.slice_mut(&mut self.parameters);
        backend.adam(&adam.step(), values, gradients, averages, coefficients);
        self.network.weights_changed();
    }
}

impl<B: StepBackend> PlainGan<B> {
    /// Returns a GAN with initial parameters of the generator and the discriminator.
    ///
    /// # Errors
    /// If layers do not fit together, or the initial values do not fit the layers.
    pub fn new(backend: B, settings: Plain, precision: Precision, initial: [&[f32]; 2]) -> Result<Self> {
        let of = |input: &[usize], layers: &[FusedLayer], values: &[f32], gradients: usize| {
            Trained::new(&backend, input, layers, precision, values, gradients)
        };
        let generator = of(&settings.latent_shape, &settings.generator, initial[0], 1)?;
        let joint = settings.joint && B::HAS_GROUPS;
        let discriminator = of(&settings.image, &settings.discriminator, initial[1], if joint { 1 } else { 2 })?;
        let [c, h, w] = settings.image;
        if generator.network.output() != [h, w, c] || size(discriminator.network.output()) != 1 {
            bail!(
                "the generator makes {:?}, the discriminator {:?}",
                generator.network.output(),
                discriminator.network.output()
            );
        }
        let inputs = HEAD + settings.batch * settings.latent;
        Ok(Self {
            inputs: backend.f32_zeros(inputs),
            stages: [backend.stage(inputs)?, backend.stage(inputs)?],
            images: backend.f32_zeros(settings.batch * c * h * w),
            losses: backend.f32_zeros(3),
            steps: 0,
            joint,
            backend,
            settings,
            generator,
            discriminator,
        })
    }

    /// Sets the real images of the next steps, `[N, C, H, W]`.
    pub fn set_images(&mut self, images: &[f32]) {
        self.backend.set(images, self.backend.slice_mut(&mut self.images));
    }

    /// Returns the array of real images `[N, C, H, W]`, to send others without waiting.
    pub fn images_mut(&mut self) -> B::SliceMut<'_> {
        self.backend.slice_mut(&mut self.images)
    }

    /// Sends the latents `[N, L]` of the next step, and the optimizers' coefficients.
    pub fn send_latents(&mut self, latents: &[f32]) {
        self.steps += 1;
        let stage = &mut self.stages[(self.steps % 2) as usize];
        let values = self.backend.staged(stage);
        let [g, d] = self.settings.adam.map(|adam| adam.coefficients(self.steps));
        values[..HEAD].copy_from_slice(&[g[0], g[1], d[0], d[1], self.steps as f32, 0.0, 0.0, 0.0]);
        values[HEAD..].copy_from_slice(latents);
        self.backend.send(stage, self.backend.slice_mut(&mut self.inputs));
    }

    /// Returns the losses of the last step: of the discriminator for real and for generated samples, and of the generator.
    pub fn losses(&self) -> Vec<f32> {
        self.backend.get(self.backend.slice(&self.losses))
    }

    /// Returns the parameters of the generator and the discriminator.
    pub fn parameters(&self) -> [Vec<f32>; 2] {
        [&self.generator, &self.discriminator].map(|of| self.backend.get(self.backend.slice(&of.parameters)))
    }

    /// Returns the gradients of the last step of the generator and of the discriminator.
    pub fn gradients(&self) -> Vec<Vec<f32>> {
        let sum = |of: &Trained<B>| {
            let mut all = of.gradients.iter().map(|g| self.backend.get(self.backend.slice(g)));
            let mut sum = all.next().unwrap_or_default();
            all.for_each(|more| sum.iter_mut().zip(more).for_each(|(a, b)| *a += b));
            sum
        };
        vec![sum(&self.generator), sum(&self.discriminator)]
    }

    /// Returns a pass over `groups` batches, with random numbers for its dropouts. Each group has its own, from `site` on.
    fn context(&self, network: &FusedSequential<B>, needs: NeedsGrad, site: u32, groups: usize) -> PassContext<B> {
        let backend = &self.backend;
        let mut cx = PassContext::new(network.len(), needs);
        cx.groups = groups;
        for (index, len) in network.dropouts() {
            let len = self.settings.batch * len;
            let mut noise = backend.uninit(groups * len);
            let step = backend.part(backend.slice(&self.inputs), 4..5);
            for group in 0..groups {
                let mut all = backend.slice_mut(&mut noise);
                let part = backend.part_mut(&mut all, group * len..(group + 1) * len);
                let site = (site + group as u32) * 256 + index as u32;
                backend.uniform(part, self.settings.seed, site, step);
            }
            cx.noise[index] = Some(noise);
        }
        cx
    }

    /// Runs one step. All its inputs lie on the device.
    ///
    /// # Errors
    /// If a batch norm gets fewer than two numbers per channel.
    pub fn run(&mut self) -> Result<()> {
        let backend = self.backend.clone();
        let n = self.settings.batch;
        let momentum = self.settings.momentum;
        let [c, h, w] = self.settings.image;
        let latents = backend.part(backend.slice(&self.inputs), HEAD..HEAD + n * self.settings.latent);
        let z = backend.channels_last(latents, self.settings.latent, 1);

        let parameters_only = NeedsGrad { input: false, parameters: true };
        let mut of_generator = self.context(&self.generator.network, parameters_only, 0, 1);
        let g = &self.generator;
        let fake = g.network.forward(z, n, backend.slice(&g.parameters), &mut of_generator)?;
        self.generator.follow(&of_generator, momentum);

        let images = backend.slice(&self.images);
        let batches = if self.joint {
            let mut both = backend.uninit(2 * n * c * h * w);
            let [first, second] = backend.split_mut(backend.slice_mut(&mut both), n * c * h * w);
            backend.channels_last_to(images, c, h * w, first);
            backend.copy_to(backend.slice(&fake), second);
            vec![both]
        } else {
            vec![backend.channels_last(images, c, h * w), backend.copy(backend.slice(&fake))]
        };
        let groups = if self.joint { 2 } else { 1 };
        for (i, batch) in batches.into_iter().enumerate() {
            let mut cx = self.context(&self.discriminator.network, parameters_only, 1 + i as u32, groups);
            let d = &self.discriminator;
            let logits = d.network.forward(batch, groups * n, backend.slice(&d.parameters), &mut cx)?;
            self.discriminator.follow(&cx, momentum);
            let gradient = self.loss(&logits, i, groups);
            let d = &mut self.discriminator;
            let to = backend.slice_mut(&mut d.gradients[i]);
            d.network.backward(cx, groups * n, backend.slice(&d.parameters), gradient, Some(to));
        }
        let inputs = backend.slice(&self.inputs);
        self.discriminator.update(&self.settings.adam[1], backend.part(inputs, 2..4));

        let input_only = NeedsGrad { input: true, parameters: false };
        let mut cx = self.context(&self.discriminator.network, input_only, 3, 1);
        let d = &self.discriminator;
        let logits = d.network.forward(fake, n, backend.slice(&d.parameters), &mut cx)?;
        self.discriminator.follow(&cx, momentum);
        let gradient = self.loss(&logits, 2, 1);
        let d = &self.discriminator;
        let gradient = d.network.backward(cx, n, backend.slice(&d.parameters), gradient, None);
        let Some(gradient) = gradient else { bail!("the discriminator has no gradient by its images") };
        let g = &mut self.generator;
        let to = backend.slice_mut(&mut g.gradients[0]);
        g.network.backward(of_generator, n, backend.slice(&g.parameters), gradient, Some(to));
        let inputs = backend.slice(&self.inputs);
        self.generator.update(&self.settings.adam[0], backend.part(inputs, 0..2));
        Ok(())
    }

    /// Computes the losses of logits of `groups` batches, from number `slot` on, and returns their gradient.
    fn loss(&mut self, logits: &B::Buffer, slot: usize, groups: usize) -> B::Buffer {
        let backend = &self.backend;
        let n = self.settings.batch;
        let mut gradient = backend.uninit(groups * n);
        for group in 0..groups {
            let slot = slot + group;
            // The generator's samples shall be called real.
            let label = if slot < 2 { self.settings.labels[slot] } else { 1.0 };
            let part = group * n..(group + 1) * n;
            let mut losses = backend.slice_mut(&mut self.losses);
            let loss = backend.part_mut(&mut losses, slot..slot + 1);
            let mut to = backend.slice_mut(&mut gradient);
            let of = backend.part(backend.slice(logits), part.clone());
            backend.cross_entropy(of, label, backend.part_mut(&mut to, part), loss);
        }
        gradient
    }
}

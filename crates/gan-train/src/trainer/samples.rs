//! Samples of a trainer: G's for the updates, and views that do not change it, which are G's for inference, its weight file, and the data.

use super::{Parts, Trainer};
use crate::config::FakesMode;
use crate::data;
use crate::error::{Error, Result};
use crate::resident::Sampler;
use crate::step::{Batch, MicroBatches};
use candle_core::Tensor;
use gan_base::Rng;
use gan_core::weights::{DataDescription, Description, FORMAT};
use gan_core::{ForwardContext, Generator, classes_in_turn, draw_classes, samples};
use gan_data::Units;
use std::collections::HashSet;
use std::time::Instant;

/// Last input of D in a step, and the logit that it counts as zero.
#[derive(Default)]
pub(super) struct Last {
    /// Number of samples of the batch over all processes.
    pub whole: usize,
    /// All of it, where G may learn from the same samples.
    pub seen: Option<MicroBatches>,
    /// Whether a device holds samples that G may learn from.
    pub is_seen_there: bool,
    pub real: Option<Tensor>,
    pub classes: Option<Tensor>,
    pub zero: f64,
}

impl Trainer {
    /// Returns classes for new samples: those of the last real ones, or uniformly random ones if there are none.
    pub(super) fn classes(&mut self, last: &Last) -> Result<Option<Tensor>> {
        match &last.classes {
            Some(classes) => Ok(Some(classes.clone())),
            None => {
                let drawn = draw_classes(self.generator.as_ref(), last.whole, &mut self.noise, &self.device)?;
                Ok(drawn.map(|all| self.own(&all)).transpose()?)
            }
        }
    }

    /// Draws the real samples with which G is compared, if they are not D's.
    pub(super) fn draw_reals(&mut self, last: &mut Last, report: &mut super::StepReport) -> Result<()> {
        let start = Instant::now();
        let batch = self.loader.next_batch()?;
        last.real = Some(batch.images.to_device(&self.device)?);
        if last.classes.is_some() {
            last.classes = batch.labels.map(|labels| labels.to_device(&self.device)).transpose()?;
        }
        last.whole = batch.whole;
        (last.seen, last.is_seen_there) = (None, false);
        report.parts.data += start.elapsed().as_secs_f64();
        Ok(())
    }

    /// Returns this process's real samples, and as many of G's of the same classes, in micro-batches. If G is to learn from them, its graph
    /// is kept.
    pub(super) fn make_fakes(
        &mut self,
        keeps_graph: bool,
        real: Option<&Tensor>,
        classes: Option<&Tensor>,
        whole: usize,
        mode: FakesMode,
        parts: &mut Parts,
    ) -> Result<MicroBatches> {
        let z = self.latents(whole)?;
        let size = z.dim(0)?;
        let train = &self.plan.config().train;
        let pack = train.pacgan;
        // Micro-batches differ by at most one pack, so that none is too small for batch norm alone.
        let units = size / pack;
        let count = train.accumulate.clamp(1, units.max(1));
        let bounds: Vec<usize> = (0..count).map(|i| i * units / count * pack).chain([size]).collect();
        let mut batches = vec![];
        for bounds in bounds.windows(2) {
            let from = bounds[0];
            let n = bounds[1] - from;
            let part = |all: Option<&Tensor>| all.map(|all| all.narrow(0, from, n)).transpose();
            let real = part(real)?;
            let classes = part(classes)?;
            let start = Instant::now();
            let fake = self.samples(&z.narrow(0, from, n)?, classes.as_ref(), mode)?;
            parts.generate += start.elapsed().as_secs_f64();
            // D's update does not need the memory of G's graph.
            let fake = if keeps_graph { fake } else { fake.detach() };
            batches.push(Batch { real, fake, classes });
        }
        Ok(MicroBatches { batches, whole })
    }

    /// Returns this process's rows of fresh noise for a whole batch of `whole`.
    pub(super) fn latents(&mut self, whole: usize) -> Result<Tensor> {
        let z = match self.queued.pop_front() {
            Some(z) if z.dim(0)? != whole => {
                let problem = format!("{} latent vectors were queued where {whole} samples are made", z.dim(0)?);
                return Err(candle_core::Error::Msg(problem).into());
            }
            Some(z) => z.to_device(&self.device)?,
            None => self.plan.config().latent.sample(whole, &mut self.noise, &self.device)?,
        };
        Ok(self.own(&z)?)
    }

    /// Generates samples from latent vectors.
    fn samples(&mut self, z: &Tensor, classes: Option<&Tensor>, mode: FakesMode) -> Result<Tensor> {
        let pass = match mode {
            FakesMode::Train => ForwardContext::train(&mut self.dropout).over(&self.group.norms),
            FakesMode::Eval => ForwardContext::eval(),
        };
        Ok(self.generator.forward(z, &mut pass.of_classes(classes))?)
    }

    /// Runs `f` with the generator for inference: with the moving average of G's weights, if there is one.
    ///
    /// # Errors
    /// What `f` returns, and from candle.
    pub fn with_ema_weights<T, E: From<Error>>(&self, f: impl FnOnce(&dyn Generator) -> Result<T, E>) -> Result<T, E> {
        self.settle()?;
        match &self.ema {
            Some(ema) => ema.in_place(|| f(self.generator.as_ref())),
            None => f(self.generator.as_ref()),
        }
    }

    /// Runs `f` with the generator for inference, as [`Trainer::with_ema_weights`] does, to generate samples: where the networks are, so that
    /// its parameters may be old ones.
    ///
    /// # Errors
    /// What `f` returns, and from candle or the device.
    pub fn with_sampler<T, E: From<Error>>(&self, f: impl FnOnce(&dyn Generator) -> Result<T, E>) -> Result<T, E> {
        let Some(residence) = &self.residence else { return self.with_ema_weights(f) };
        self.send()?;
        f(&Sampler::new(self.generator.as_ref(), |z, classes| residence.sample(z, classes)))
    }

    /// Returns the weight file of G in use ([`Trainer::with_ema_weights`]). A generator that no layer list describes is marked as
    /// [`Description::custom`]; [`gan_core::weights::load_params`] reads its weights.
    ///
    /// # Errors
    /// If the tensors cannot be serialized.
    pub fn generator_file(&self) -> Result<Vec<u8>> {
        let config = self.plan.config();
        let architecture = self.generator.architecture();
        let latent = [config.latent.dim];
        let (input, layers) = architecture.unwrap_or((&latent, &[]));
        let description = Description {
            format: FORMAT,
            network: "generator".into(),
            input: input.to_vec(),
            layers: layers.to_vec(),
            custom: architecture.is_none(),
            latent: config.latent,
            data: DataDescription {
                name: config.data.name().into(),
                shape: self.plan.sample(),
                range: [-1.0, 1.0],
                classes: self.loader.dataset().classes().to_vec(),
                units: self.units().map(|units| units.ranges().to_vec()).unwrap_or_default(),
            },
            preset: config.preset.clone(),
            step: self.step,
            seed: config.train.seed,
            library: env!("CARGO_PKG_VERSION").into(),
        };
        self.with_ema_weights(|generator| Ok(gan_core::weights::to_bytes(&generator.params(), &description)?))
    }

    /// Generates `n` samples `[n, C, H, W]` for the display of progress, from the same noise every time and with each class in turn.
    pub fn progress_samples(&self, n: usize) -> Result<Tensor> {
        let z = self.progress_noise(n)?;
        let classes = classes_in_turn(self.generator.as_ref(), n, &self.device)?;
        self.with_sampler(|generator| Ok(samples(generator, &z, classes.as_ref())?))
    }

    /// Returns the noise of [`Trainer::progress_samples`], `[n, latent]`.
    pub fn progress_noise(&self, n: usize) -> Result<Tensor> {
        let mut rng = Rng::stream(self.plan.config().train.seed, "progress samples");
        Ok(self.plan.config().latent.sample(n, &mut rng, &self.device)?)
    }

    /// Returns the real samples of the run's first batch, `[N, C, H, W]` or `[N, D]`, without advancing the loader.
    ///
    /// # Errors
    /// If the data cannot be read.
    pub fn first_batch(&self) -> Result<Tensor> {
        Ok(self.loader.first_batch()?.images)
    }

    /// Returns the values that −1 and 1 stand for, for points.
    pub fn units(&self) -> Option<&Units> {
        self.loader.dataset().units()
    }

    /// Returns `n` distinct real samples, `[n, C, H, W]` or `[n, D]`, the same every time. They repeat only if there are fewer than `n`.
    ///
    /// # Errors
    /// If the data cannot be read.
    pub fn different_reals(&self, n: usize) -> Result<Tensor> {
        self.reals(|all, rng| different(all, n, rng))
    }

    /// Returns `n` random real samples, `[n, C, H, W]` or `[n, D]`. The seed determines them, so they are the same every time.
    ///
    /// # Errors
    /// If the data cannot be read.
    pub fn progress_reals(&self, n: usize) -> Result<Tensor> {
        self.reals(|all, rng| (0..n).map(|_| rng.below(all)).collect())
    }

    /// Returns the real samples whose numbers `draw` draws from all.
    fn reals(&self, draw: impl Fn(usize, &mut Rng) -> Vec<usize>) -> Result<Tensor> {
        let mut rng = Rng::stream(self.plan.config().train.seed, "progress reals");
        let data = self.loader.dataset();
        Ok(data::samples(data.as_ref(), &draw(data.len(), &mut rng))?.to_device(&self.device)?)
    }
}

/// Returns `n` numbers below `all`, without repeating one before all have occurred.
fn different(all: usize, n: usize, rng: &mut Rng) -> Vec<usize> {
    if n >= all {
        let mut order: Vec<usize> = (0..all).collect();
        rng.shuffle(&mut order);
        return order.into_iter().cycle().take(n).collect();
    }
    let mut met = HashSet::new();
    let mut chosen = Vec::with_capacity(n);
    while chosen.len() < n {
        let index = rng.below(all);
        if met.insert(index) {
            chosen.push(index);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_image_is_shown_twice_if_there_are_enough() {
        for (all, n) in [(65, 64), (64, 64), (60_000, 64)] {
            let chosen = different(all, n, &mut Rng::new(3));
            let met: HashSet<&usize> = chosen.iter().collect();
            assert!(
                chosen.len() == n && met.len() == n && chosen.iter().all(|index| *index < all),
                "{all}: {chosen:?}"
            );
        }
        let few = different(3, 8, &mut Rng::new(3));
        assert_eq!((few.len(), few[..3].iter().collect::<HashSet<_>>().len()), (8, 3));
        assert_eq!(few[..3], few[3..6]);
    }
}

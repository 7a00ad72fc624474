//! Views of a trainer that do not change it: the generator for inference, its samples, and the data.

use super::Trainer;
use crate::error::{Error, Result};
use candle_core::Tensor;
use gan_base::Rng;
use gan_core::Generator;
use gan_core::weights::{DataDescription, Description, FORMAT};
use gan_core::{classes_in_turn, samples};
use gan_data::Units;
use std::collections::HashSet;

impl Trainer {
    /// Runs `f` with the generator for inference: with the moving average of G's weights, if there is one.
    ///
    /// # Errors
    /// What `f` returns, and from candle.
    pub fn with_ema_weights<T, E: From<Error>>(&self, f: impl FnOnce(&dyn Generator) -> Result<T, E>) -> Result<T, E> {
        match &self.ema {
            Some(ema) => ema.in_place(|| f(self.generator.as_ref())),
            None => f(self.generator.as_ref()),
        }
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
    ///
    /// # Errors
    /// From candle.
    pub fn progress_samples(&self, n: usize) -> Result<Tensor> {
        let z = self.progress_noise(n)?;
        let classes = classes_in_turn(self.generator.as_ref(), n, &self.device)?;
        self.with_ema_weights(|generator| Ok(samples(generator, &z, classes.as_ref())?))
    }

    /// Returns the noise of [`Trainer::progress_samples`], `[n, latent]`.
    ///
    /// # Errors
    /// From candle.
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
        let mut rng = Rng::stream(self.plan.config().train.seed, "progress reals");
        let data = self.loader.dataset();
        let indices = different(data.len(), n, &mut rng);
        Ok(crate::data::samples(data.as_ref(), &indices)?.to_device(&self.device)?)
    }

    /// Returns `n` random real samples, `[n, C, H, W]` or `[n, D]`. The seed determines them, so they are the same
    /// every time.
    ///
    /// # Errors
    /// If the data cannot be read.
    pub fn progress_reals(&self, n: usize) -> Result<Tensor> {
        let mut rng = Rng::stream(self.plan.config().train.seed, "progress reals");
        let data = self.loader.dataset();
        let (shape, size) = (data.shape(), data.pixels());
        let mut values = vec![0.0; n * size];
        values.chunks_exact_mut(size).try_for_each(|out| data.write(rng.below(data.len()), out))?;
        Ok(Tensor::from_vec(values, [&[n], &shape[..]].concat(), &self.device)?)
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
    fn no_image_is_shown_twice_where_there_are_enough() {
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

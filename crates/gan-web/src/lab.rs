//! The laboratory: a GAN of points in the plane whose updates a page runs one at a time, with everything that can be seen between them.
//!
//! Networks, losses, optimizers, the training step and the distributions are those of `gan train`.

use candle_core::{Device, Tensor};
use gan_base::Rng;
use gan_core::family::Mlp;
use gan_core::{
    Augment, Discriminator, ForwardContext, Generator, Labels, Latent, LayeredDiscriminator, LayeredGenerator, samples,
};
use gan_data::Units;
use gan_step::optimizers::Optimizer;
use gan_step::step::{
    Batch, DiscriminatorInput, MicroBatches, Objective, ProcessGroup, StandardStep, TrainingStep, UpdateContext,
};
use serde_json::json;
use setup::{Dense, POOL, Setup};

mod setup;

/// Number of points of each kind that are followed over the training.
const FOLLOWED: usize = 512;

/// Number of real points with which generated ones are compared.
const COMPARED: usize = 2048;

/// Distance of the ends of the plane that is shown from 0; data are scaled to [−1, 1].
const REACH: f32 = 1.25;

/// Results of the last round of updates, NaN for a network that was not updated.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// Losses of D and G.
    pub losses: [f64; 2],
    /// Mean probability that D assigns to real samples, and to generated ones before and after its update.
    pub judged: [f64; 3],
    /// Norms of the gradients of D and G.
    pub norms: [f64; 2],
}

/// A GAN in training.
pub struct Lab {
    latent: Latent,
    batch: usize,
    generator: LayeredGenerator,
    discriminator: LayeredDiscriminator,
    optimizer_g: Optimizer,
    optimizer_d: Optimizer,
    objective: Objective,
    group: ProcessGroup,
    units: Units,
    /// Real points in [−1, 1], `[POOL, 2]`.
    pool: Vec<f32>,
    /// Followed real points and latent vectors.
    followed: [Tensor; 2],
    noise: Rng,
    order: Rng,
    dropout: Rng,
    /// The logit that counts as zero for generated samples.
    zero: f64,
    rounds: u64,
}

impl Lab {
    /// Builds both networks and draws the data, from settings in JSON.
    ///
    /// # Errors
    /// If a setting cannot be used, naming it.
    pub fn new(setup: &str) -> Result<Self, String> {
        let setup: Setup = serde_json::from_str(setup).map_err(|e| e.to_string())?;
        setup.check()?;
        let Setup { latent, batch, seed, .. } = setup;
        let (pool, units) = setup.data.draw(seed)?;
        let text = |e: &dyn std::fmt::Display| e.to_string();
        let device = Device::Cpu;
        let family = |dense: &Dense| Mlp { hidden: dense.hidden.clone(), activation: dense.activation.clone() };
        let layers = family(&setup.generator).generator(&[2]);
        let mut rng = Rng::stream(seed, "generator");
        let generator = LayeredGenerator::new(&latent, &[latent.dim], &layers, setup.generator.init, &mut rng, &device)
            .map_err(|e| text(&e))?;
        let layers = family(&setup.discriminator).discriminator(setup.discriminator.features, &[2]);
        let mut rng = Rng::stream(seed, "discriminator");
        let discriminator = LayeredDiscriminator::new(&[2], &layers, setup.discriminator.init, &mut rng, &device)
            .map_err(|e| text(&e))?;
        let mut rng = Rng::stream(seed, "lab");
        let real = Tensor::from_slice(&pool[..2 * FOLLOWED], (FOLLOWED, 2), &device).map_err(|e| text(&e))?;
        let z = latent.sample(FOLLOWED, &mut rng, &device).map_err(|e| text(&e))?;
        Ok(Self {
            optimizer_g: Optimizer::new(setup.optimizer_g, &generator.params()).map_err(|e| text(&e))?,
            optimizer_d: Optimizer::new(setup.optimizer_d, &discriminator.params()).map_err(|e| text(&e))?,
            objective: Objective {
                loss: setup.loss.function(),
                labels: Labels::HARD,
                flip: 0.0,
                joint_batch: false,
                view: DiscriminatorInput { augment: Augment::default(), noise: 0.0, pack: 1 },
                penalties: setup.penalties,
                auxiliary: 0.0,
                clip_norm: None,
            },
            group: ProcessGroup::single(),
            followed: [real, z],
            noise: Rng::stream(seed, "noise"),
            order: Rng::stream(seed, "order"),
            dropout: rng,
            zero: 0.0,
            rounds: 0,
            latent,
            batch,
            generator,
            discriminator,
            units,
            pool,
        })
    }

    /// Returns what the page has to know, as JSON: the ranges of both coordinates, the number of parameters of both networks, the width of
    /// D's features, and how far the shown plane reaches.
    pub fn about(&self) -> String {
        let count = |params: Vec<gan_core::Param>| {
            params.iter().filter(|p| p.role.is_trained()).map(|p| p.elem_count()).sum::<usize>()
        };
        let about = json!({
            "units": self.units.ranges(),
            "parameters": [count(self.generator.params()), count(self.discriminator.params())],
            "features": self.discriminator.network().features(),
            "latent": self.latent.dim,
            "reach": REACH,
        });
        about.to_string()
    }

    /// Does `rounds` rounds of `d` updates of D and then `g` updates of G, and returns the results of the last one.
    ///
    /// # Errors
    /// If a loss or a gradient is not finite.
    pub fn train(&mut self, rounds: usize, d: usize, g: usize) -> Result<Round, String> {
        let mut last = Round { losses: [f64::NAN; 2], judged: [f64::NAN; 3], norms: [f64::NAN; 2] };
        for _ in 0..rounds {
            self.rounds += 1;
            self.round(d, g, &mut last).map_err(|e| e.to_string())?;
        }
        Ok(last)
    }

    fn round(&mut self, d: usize, g: usize, last: &mut Round) -> gan_step::Result<()> {
        for _ in 0..d {
            let samples = self.samples()?;
            let found = StandardStep.update_discriminator(UpdateContext {
                discriminator: &self.discriminator,
                optimizer: &mut self.optimizer_d,
                samples: &samples,
                objective: &self.objective,
                group: &self.group,
                rng: &mut self.dropout,
                step: self.rounds,
            })?;
            self.zero = found.zero;
            last.losses[0] = found.loss;
            last.judged[0] = found.real;
            last.judged[1] = found.fake;
            last.norms[0] = found.grad_norm;
        }
        for _ in 0..g {
            let samples = self.samples()?;
            let cx = UpdateContext {
                discriminator: &self.discriminator,
                optimizer: &mut self.optimizer_g,
                samples: &samples,
                objective: &self.objective,
                group: &self.group,
                rng: &mut self.dropout,
                step: self.rounds,
            };
            let found = StandardStep.update_generator(cx, self.zero)?;
            last.losses[1] = found.loss;
            last.judged[2] = found.fake;
            last.norms[1] = found.grad_norm;
        }
        Ok(())
    }

    /// Draws a batch of real points and generates as many.
    fn samples(&mut self) -> gan_step::Result<MicroBatches> {
        let mut real = Vec::with_capacity(2 * self.batch);
        for _ in 0..self.batch {
            let at = self.order.below(POOL);
            real.extend_from_slice(&self.pool[2 * at..2 * at + 2]);
        }
        let real = Tensor::from_vec(real, (self.batch, 2), &Device::Cpu)?;
        let z = self.latent.sample(self.batch, &mut self.noise, &Device::Cpu)?;
        let fake = self.generator.forward(&z, &mut ForwardContext::train(&mut self.dropout))?;
        let batch = Batch { real: Some(real), fake, classes: None };
        Ok(MicroBatches { batches: vec![batch], whole: self.batch })
    }

    /// Returns the followed points in [−1, 1]: the real ones, then the generated ones, `[2 · FOLLOWED, 2]`.
    ///
    /// # Errors
    /// From candle.
    pub fn points(&self) -> candle_core::Result<Vec<f32>> {
        let [real, z] = &self.followed;
        Tensor::cat(&[real, &samples(&self.generator, z, None)?], 0)?.flatten_all()?.to_vec1()
    }

    /// Returns D's features of the followed points, `[2 · FOLLOWED, width]`.
    ///
    /// # Errors
    /// From candle.
    pub fn features(&self) -> candle_core::Result<Vec<f32>> {
        let [real, z] = &self.followed;
        let points = Tensor::cat(&[real, &samples(&self.generator, z, None)?], 0)?;
        let output = self.discriminator.forward(&points, &mut ForwardContext::eval().with_features())?;
        match output.features {
            Some(features) => features.detach().flatten_all()?.to_vec1(),
            None => Ok(vec![]),
        }
    }

    /// Returns D(x) on a grid of `side`×`side` cells over the plane, row by row from the top. For losses that only compare logits, 0.5 lies in the
    /// middle between the means of real and generated points.
    ///
    /// # Errors
    /// From candle.
    pub fn surface(&self, side: usize) -> candle_core::Result<Vec<f32>> {
        let at = |i: usize| REACH * (2.0 * (i as f32 + 0.5) / side as f32 - 1.0);
        let cells = (0..side).flat_map(|row| (0..side).flat_map(move |column| [at(column), -at(row)]));
        let x = Tensor::from_iter(cells, &Device::Cpu)?.reshape((side * side, 2))?;
        let logits = |x: &Tensor| -> candle_core::Result<Tensor> {
            Ok(self.discriminator.forward(x, &mut ForwardContext::eval())?.logits.detach())
        };
        let mut found = logits(&x)?;
        if !self.objective.loss.properties().has_threshold {
            let [real, z] = &self.followed;
            let middle = (logits(real)?.mean_all()? + logits(&samples(&self.generator, z, None)?)?.mean_all()?)?;
            found = found.broadcast_sub(&(middle * 0.5)?)?;
        }
        // σ(l) = (1 + tanh(l/2))/2.
        ((found * 0.5)?.tanh()? * 0.5)?.affine(1.0, 0.5)?.to_vec1()
    }

    /// Returns G's image of a square grid of `side`×`side` latent vectors, row by row: in the first two numbers, with the others at 0.
    ///
    /// # Errors
    /// From candle.
    pub fn mesh(&self, side: usize) -> candle_core::Result<Vec<f32>> {
        let reach = match self.latent.distribution {
            gan_core::Distribution::Uniform => 1.0,
            gan_core::Distribution::Normal => 2.0,
        };
        let at = |i: usize| reach * (2.0 * i as f32 / (side - 1) as f32 - 1.0);
        let mut z = vec![0f32; side * side * self.latent.dim];
        for (i, z) in z.chunks_exact_mut(self.latent.dim).enumerate() {
            let place = [at(i % side), at(i / side)];
            z.iter_mut().zip(place).for_each(|(z, at)| *z = at);
        }
        let z = Tensor::from_vec(z, (side * side, self.latent.dim), &Device::Cpu)?;
        samples(&self.generator, &z, None)?.flatten_all()?.to_vec1()
    }

    /// Returns the mean distance of a generated point to the nearest real one, and of a real point to the nearest generated one, in units of half
    /// the range of the data.
    ///
    /// # Errors
    /// From candle.
    pub fn distances(&self) -> candle_core::Result<[f64; 2]> {
        let made: Vec<f32> = samples(&self.generator, &self.followed[1], None)?.flatten_all()?.to_vec1()?;
        let real = &self.pool[..2 * COMPARED];
        Ok([mean_distance(&made, real), mean_distance(real, &made)])
    }
}

/// Returns the mean distance of the points of `from` to the nearest point of `to`.
fn mean_distance(from: &[f32], to: &[f32]) -> f64 {
    let nearest = |a: &[f32]| {
        let squares = to.chunks_exact(2).map(|b| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2));
        f64::from(squares.fold(f32::INFINITY, f32::min)).sqrt()
    };
    from.chunks_exact(2).map(nearest).sum::<f64>() / (from.len() / 2) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn setup(data: &str) -> String {
        format!(
            r#"{{"data": {data}, "latent": {{"dim": 2, "distribution": "uniform"}}, "batch": 256, "seed": 1,
               "generator": {{"hidden": [16, 16], "activation": {{"leaky_relu": 0.2}}, "init": "glorot"}},
               "discriminator": {{"hidden": [16, 16], "activation": {{"leaky_relu": 0.2}}, "features": 2, "init": "glorot"}},
               "loss": "non_saturating",
               "optimizer_g": {{"kind": "rmsprop", "lr": 1e-3}}, "optimizer_d": {{"kind": "rmsprop", "lr": 1e-3}}}}"#
        )
    }

    #[test]
    fn an_update_changes_its_network_only() {
        let mut lab = Lab::new(&setup(r#"{"name": "curve"}"#)).unwrap();
        let points = lab.points().unwrap();
        let features = lab.features().unwrap();
        assert_eq!((points.len(), features.len()), (4 * FOLLOWED, 4 * FOLLOWED));
        let round = lab.train(1, 1, 0).unwrap();
        assert!(round.losses[0].is_finite() && round.losses[1].is_nan());
        assert_eq!(lab.points().unwrap(), points);
        let after_d = lab.features().unwrap();
        assert_ne!(after_d, features);
        lab.train(1, 0, 1).unwrap();
        let after_g = lab.features().unwrap();
        assert_eq!(after_g[..2 * FOLLOWED], after_d[..2 * FOLLOWED], "real features stay");
        assert_ne!(after_g[2 * FOLLOWED..], after_d[2 * FOLLOWED..]);
        assert_ne!(lab.points().unwrap(), points);
    }

    #[test]
    fn training_approaches_the_curve() {
        let mut lab = Lab::new(&setup(r#"{"name": "curve"}"#)).unwrap();
        let before = lab.distances().unwrap();
        lab.train(2000, 1, 1).unwrap();
        let after = lab.distances().unwrap();
        assert!(after[0] < 0.5 * before[0] && after[1] < before[1], "{before:?} {after:?}");
    }

    #[test]
    fn views_have_their_sizes_and_ranges() {
        let lab = Lab::new(&setup(r#"{"drawn": [[0.5, -0.5], [0.1, 0.2]], "spread": 0.01}"#)).unwrap();
        let surface = lab.surface(16).unwrap();
        assert!(surface.len() == 256 && surface.iter().all(|p| (0.0..=1.0).contains(p)));
        assert_eq!(lab.mesh(5).unwrap().len(), 50);
        let about: Value = serde_json::from_str(&lab.about()).unwrap();
        assert_eq!(about["parameters"], json!([354, 357]));
        assert_eq!(about["features"], json!([2]));
    }

    #[test]
    fn unusable_settings_are_named() {
        let curve = setup(r#"{"name": "curve"}"#);
        for (text, words) in [
            (setup(r#"{"name": "mnist"}"#), "has no points"),
            (setup(r#"{"drawn": [], "spread": 0.1}"#), "draw some points"),
            (curve.replace("[16, 16]", "[16, 0]"), "generator.hidden: expected up to 16 layers"),
            (curve.replace("256", "1"), "batch: expected"),
            (
                curve.replace("\"kind\": \"rmsprop\", \"lr\": 1e-3", "\"kind\": \"rmsprop\", \"lr\": -1"),
                "optimizer_g.lr",
            ),
        ] {
            let error = Lab::new(&text).err().unwrap();
            assert!(error.contains(words), "{error}");
        }
    }
}

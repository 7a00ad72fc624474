//! Checked settings: only a [`Plan`] trains.

use crate::config::{Alternate, Extended, NetworkConfig, Policy, RunConfig, TrainConfig};
use crate::error::Result;
use crate::step::{DiscriminatorInput, Objective};
use crate::{layering, presets};
use gan_core::{Augment, Init, Labels, Layer, LossFunction};
use std::sync::Arc;

mod checks;
mod memory;
mod networks;

/// A run whose settings were checked against each other, with its networks as layer lists.
#[derive(Clone, Debug)]
pub struct Plan {
    config: RunConfig,
    /// G's layers.
    pub generator: Architecture,
    /// D's layers.
    pub discriminator: Architecture,
}

/// A network as a layer list.
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    /// Shape of one input, without the batch.
    pub input: Vec<usize>,
    /// The layers.
    pub layers: Vec<Layer>,
    /// Initialization of the parameters.
    pub init: Init,
}

/// Length of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// A number of steps.
    Steps(u64),
    /// A number of passes over the data.
    Epochs(u64),
}

impl RunConfig {
    /// Checks everything that can be checked without opening the data.
    ///
    /// # Errors
    /// The first invalid setting.
    pub fn check(self) -> Result<Plan> {
        let mut plan = self.check_without_layers()?;
        (plan.generator, plan.discriminator) = networks::architectures(&plan.config)?;
        Ok(plan)
    }

    /// As [`RunConfig::check`], for networks that no layer list describes ([`crate::Gan`]).
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn check_without_layers(mut self) -> Result<Plan> {
        self.data.locate();
        self.train.from = self.train.from.take().map(|from| std::path::absolute(&from).unwrap_or(from));
        checks::check(&self)?;
        let none = |input: Vec<usize>| Architecture { input, layers: vec![], init: Init::default() };
        let generator = none(vec![self.latent.dim]);
        let discriminator = none(sample(&self));
        Ok(Plan { config: self, generator, discriminator })
    }
}

impl Plan {
    /// Returns one of the presets that are built in (`gan preset list`).
    ///
    /// # Errors
    /// If there is no preset of that name.
    pub fn preset(name: &str) -> Result<Self> {
        layering::read(layering::from_preset(presets::get(name)?)?)?.check()
    }

    /// The settings.
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// Returns the shape of one sample: `[C, H, W]` for images, `[D]` for points.
    pub fn sample(&self) -> Vec<usize> {
        sample(&self.config)
    }

    /// Returns the settings with the layers of both networks written out: families, blocks, repetitions and a network's spectral norm.
    pub fn full_config(&self) -> RunConfig {
        let full = |Architecture { input, layers, init }: &Architecture| NetworkConfig {
            init: *init,
            input: Some(input.clone()),
            ..NetworkConfig::layers(layers.clone())
        };
        let [generator, discriminator] = [&self.generator, &self.discriminator].map(full);
        RunConfig { generator, discriminator, ..self.config.clone() }
    }

    /// Returns the length of the training.
    pub fn length(&self) -> Length {
        match (self.config.train.steps, self.config.train.epochs) {
            (Some(steps), _) => Length::Steps(steps),
            (None, epochs) => Length::Epochs(epochs.unwrap_or(1)),
        }
    }

    pub(crate) fn set_extended(&mut self, extended: Vec<Extended>) {
        self.config.train.extended = extended;
    }

    /// Returns whether an alarm may roll the run back, which needs states to return to.
    pub fn may_roll_back(&self) -> bool {
        self.config.alarms.policies().any(|(_, policy)| policy == Policy::Rollback)
    }

    /// Returns what both networks minimize, `loss` and the rest of the settings, in update number `update` of D, counted from 0, at this
    /// point of the run.
    pub(crate) fn objective(&self, loss: &Arc<dyn LossFunction>, update: u64, now: RunProgress) -> Objective {
        let config = self.config();
        let train = &config.train;
        Objective {
            loss: Arc::clone(loss),
            labels: Labels { real: config.loss.real_label, fake: config.loss.fake_label },
            flip: config.loss.flip,
            joint_batch: train.joint_batch,
            view: DiscriminatorInput {
                augment: Augment { probability: now.augment, ..config.augment },
                noise: train.instance_noise.map_or(0.0, |noise| noise.at(now.run)),
                pack: train.pacgan,
            },
            penalties: config.penalties.iter().filter_map(|penalty| penalty.scheduled(update, now.schedule)).collect(),
            auxiliary: config.loss.auxiliary,
            clip_norm: train.clip_norm,
        }
    }
}

/// Progress of a run, which determines the values of its schedules.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RunProgress {
    /// Fraction of the run, from 0 to 1.
    pub run: f64,
    /// Position on the curve of `[schedule]`, from 0 to 1.
    pub schedule: f64,
    /// Probability of augmentations.
    pub augment: f64,
}

fn sample(config: &RunConfig) -> Vec<usize> {
    let sides = config.data.size.map(|size| size.get());
    std::iter::once(config.data.channels).chain(sides.into_iter().flatten()).collect()
}

/// How many updates of each network a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub d: u64,
    pub g: u64,
}

impl Turn {
    /// Returns the updates of the step after `step`, where an epoch has `batches` batches.
    pub fn of(train: &TrainConfig, step: u64, batches: u64) -> Self {
        let (d, g) = (train.d_steps, train.g_steps);
        match train.alternate {
            Alternate::Steps => Self { d, g },
            Alternate::Epochs if step % ((d + g) * batches) < d * batches => Self { d: 1, g: 0 },
            Alternate::Epochs => Self { d: 0, g: 1 },
        }
    }
}

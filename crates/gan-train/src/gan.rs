//! A GAN put together in Rust: networks, loss, penalties and data, without settings files.

use crate::config::{DataConfig, NetworkConfig, RunConfig};
use crate::data;
use crate::error::{Error, Result};
use crate::optimizers::OptimizerConfig;
use crate::trainer::Trainer;
use candle_core::Device;
use gan_core::layers::Pair;
use gan_core::penalties::Penalty;
use gan_core::{Discriminator, Generator, Latent, Layer, Loss};
use gan_data::{Dataset, Synthetic};
use std::sync::Arc;

/// Builds a [`Trainer`] from parts.
///
/// ```
/// use candle_core::Device;
/// use gan_core::Loss;
/// use gan_core::layers::{Dense, LeakyRelu};
/// use gan_core::penalties::{Penalty, PenaltyKind};
/// use gan_data::{DatasetSpec, OpenOptions, Ring};
/// use gan_train::Gan;
///
/// let hidden = || vec![Dense::new(64).into(), LeakyRelu { leaky_relu: 0.2 }.into()];
/// let list = |outputs| [hidden(), vec![Dense::new(outputs).into()]].concat();
/// let gan = Gan::from_layers(list(2), list(1)).latent(8).loss(Loss::Hinge);
/// let gan = gan.penalty(Penalty::new(PenaltyKind::R1, 0.1)).batch(64).steps(1000);
/// let mut trainer = gan.build(Ring::default().open(&OpenOptions::default())?, &Device::Cpu)?;
/// assert!(trainer.advance()?.loss_d.is_some());
/// # Ok::<(), gan_train::Error>(())
/// ```
pub struct Gan {
    config: RunConfig,
    /// Networks that no layer list describes.
    networks: Option<(Box<dyn Generator>, Box<dyn Discriminator>)>,
}

impl Gan {
    /// A GAN of networks of your own, with the defaults of [`RunConfig::new`]: the non-saturating loss, Adam 2e-4 with β₁ 0.5, batches of 64.
    pub fn new(generator: impl Generator + 'static, discriminator: impl Discriminator + 'static) -> Self {
        let networks =
            Some((Box::new(generator) as Box<dyn Generator>, Box::new(discriminator) as Box<dyn Discriminator>));
        Self { networks, ..Self::from_layers(vec![], vec![]) }
    }

    /// A GAN of two layer lists.
    pub fn from_layers(generator: Vec<Layer>, discriminator: Vec<Layer>) -> Self {
        // The data that `build` is given say what the settings leave open.
        let data = DataConfig::new(Synthetic::default(), 1);
        let [generator, discriminator] = [generator, discriminator].map(NetworkConfig::layers);
        Self { config: RunConfig::new(data, generator, discriminator), networks: None }
    }

    /// Sets how many numbers a latent vector has.
    #[must_use]
    pub fn latent(mut self, dim: usize) -> Self {
        self.config.latent = Latent { dim, ..self.config.latent };
        self
    }

    /// Sets the loss.
    #[must_use]
    pub fn loss(mut self, loss: Loss) -> Self {
        self.config.loss.kind = loss;
        self
    }

    /// Adds a penalty.
    #[must_use]
    pub fn penalty(mut self, penalty: Penalty) -> Self {
        self.config.penalties.push(penalty);
        self
    }

    /// Sets the optimizer of both networks.
    #[must_use]
    pub fn optimizer(mut self, optimizer: impl Into<OptimizerConfig>) -> Self {
        let optimizer = optimizer.into();
        self.config.optimizer.generator = optimizer;
        self.config.optimizer.discriminator = optimizer;
        self
    }

    /// Sets the number of real samples in a batch.
    #[must_use]
    pub fn batch(mut self, batch: usize) -> Self {
        self.config.train.batch = batch;
        self
    }

    /// Sets the number of training steps.
    #[must_use]
    pub fn steps(mut self, steps: u64) -> Self {
        self.config.train.steps = Some(steps);
        self
    }

    /// Changes any other setting.
    #[must_use]
    pub fn settings(mut self, change: impl FnOnce(&mut RunConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// Builds the trainer on `device`, with these data.
    ///
    /// # Errors
    /// If a setting cannot be used, or networks and data do not fit each other.
    pub fn build(mut self, dataset: Arc<dyn Dataset>, device: &Device) -> Result<Trainer> {
        let shape = dataset.shape();
        let (channels, size) = match shape[..] {
            [c, h, w] => (c, Some(Pair::Each([h, w]))),
            [c] => (c, None),
            _ => {
                return Err(Error::config("data", format!("samples of shape {shape:?} are neither images nor points")));
            }
        };
        self.config.data.channels = channels;
        self.config.data.size = size;
        let Some((generator, discriminator)) = self.networks else {
            let plan = self.config.check()?;
            let loader = data::loader(&plan, dataset)?;
            return Trainer::with_data(plan, loader, device);
        };
        let plan = self.config.check_without_layers()?;
        let loader = data::loader(&plan, dataset)?;
        Trainer::with_networks(plan, generator, discriminator, loader, device)
    }
}

//! Checked settings: only a [`Plan`] trains.

use crate::config::{Alternate, Extended, FakesMode, Family, NetworkConfig, OptimizerConfig, Policy, RunConfig};
use crate::error::{Error, Result};
use crate::{layering, presets};
use gan_base::messages::counted;
use gan_core::layers::LeakyRelu;
use gan_core::{Init, Labels, Layer, family, shape};

mod data;
mod judging;
mod loss;
mod memory;
mod objective;
mod seen;

pub(crate) use objective::Turn;

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
    pub fn check(mut self) -> Result<Plan> {
        self.check_settings()?;
        let (generator, discriminator) = architectures(&self)?;
        Ok(Plan { config: self, generator, discriminator })
    }

    /// As [`RunConfig::check`], for networks that no layer list describes ([`crate::Gan`]).
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn check_without_layers(mut self) -> Result<Plan> {
        self.check_settings()?;
        let none = |input: Vec<usize>| Architecture { input, layers: vec![], init: Init::default() };
        let (generator, discriminator) = (none(vec![self.latent.dim]), none(sample(&self)));
        Ok(Plan { config: self, generator, discriminator })
    }

    fn check_settings(&mut self) -> Result<()> {
        self.data.locate();
        check_train(self)?;
        data::check(&self.data)?;
        loss::check(self)?;
        seen::check(self)?;
        check_optimizer("optimizer.generator", &self.optimizer.generator)?;
        check_optimizer("optimizer.discriminator", &self.optimizer.discriminator)?;
        at_least_one("checkpoint.every", self.checkpoint.every)?;
        at_least_one("checkpoint.keep", self.checkpoint.keep as u64)?;
        at_least_one("samples.every", self.samples.every)?;
        within("samples.rows", self.samples.rows, 1, 100)?;
        within("samples.columns", self.samples.columns, 1, 100)?;
        judging::check(self)?;
        within("latent.dim", self.latent.dim, 1, 1 << 20)?;
        if let Some(most) = self.latent.truncation.filter(|most| !(0.01..=1000.0).contains(most)) {
            let problem = format!("{most} cannot be used: expected a number from 0.01 to 1000, e.g. 0.7");
            return Err(Error::config("latent.truncation", problem));
        }
        Ok(())
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

    /// Returns D's targets.
    pub fn labels(&self) -> Labels {
        Labels { real: self.config.loss.real_label, fake: self.config.loss.fake_label }
    }
}

fn sample(config: &RunConfig) -> Vec<usize> {
    let sides = config.data.size.map(|size| size.get());
    std::iter::once(config.data.channels).chain(sides.into_iter().flatten()).collect()
}

fn check_train(config: &RunConfig) -> Result<()> {
    let t = &config.train;
    match (t.steps, t.epochs) {
        (Some(_), Some(_)) => {
            return Err(Error::config("train.steps", "train.epochs is given as well: give one of them"));
        }
        (None, None) => return Err(Error::config("train.steps", "is missing; give train.steps or train.epochs")),
        (Some(n), None) => at_least_one("train.steps", n)?,
        (None, Some(n)) => at_least_one("train.epochs", n)?,
    }
    within("train.batch", t.batch, 1, 1 << 20)?;
    at_least_one("train.log_every", t.log_every)?;
    for (key, n) in [("train.d_steps", t.d_steps), ("train.g_steps", t.g_steps)] {
        within(key, usize::try_from(n).unwrap_or(usize::MAX), 1, 1_000_000)?;
    }
    within("train.threads", t.threads, 0, 1024)?;
    if let Some(decay) = t.ema.filter(|decay| !(0.0..1.0).contains(decay)) {
        let problem = format!("{decay} cannot be used: expected a number from 0 to less than 1, e.g. 0.999");
        return Err(Error::config("train.ema", problem));
    }
    if t.warmup == Some(0) {
        return Err(Error::config("train.warmup", "0 cannot be used: expected at least 1 step, or no warmup"));
    }
    if let Some(most) = t.clip_norm.filter(|most| !(*most > 0.0 && most.is_finite())) {
        return Err(Error::config("train.clip_norm", format!("{most} cannot be used: expected a number above 0")));
    }
    if let Some(part) = t.decay.filter(|part| !(*part > 0.0 && *part <= 1.0)) {
        let problem =
            format!("{part} cannot be used: expected a number above 0, at most 1, e.g. 0.5 for the second half");
        return Err(Error::config("train.decay", problem));
    }
    let ascends = t.extended.windows(2).all(|pair| pair[0].until < pair[1].until);
    if !ascends || t.extended.iter().any(|part| part.until == 0 || part.until > part.steps) {
        let problem =
            "cannot be used: expected parts of the run in their order, each with `until` from 1 to its `steps`";
        return Err(Error::config("train.extended", problem));
    }
    if t.seed > i64::MAX as u64 {
        return Err(Error::config("train.seed", format!("{} is too large, the largest is {}", t.seed, i64::MAX)));
    }
    if t.reuse_fakes && t.fakes_mode == FakesMode::Eval {
        let problem = "samples made as in use (\"eval\") carry no gradients for G: set train.reuse_fakes=false";
        return Err(Error::config("train.fakes_mode", problem));
    }
    if t.reuse_fakes && t.alternate == Alternate::Epochs {
        let problem =
            "where the players alternate by epochs there are no samples to reuse: set train.reuse_fakes=false";
        return Err(Error::config("train.alternate", problem));
    }
    Ok(())
}

fn check_optimizer(key: &str, config: &OptimizerConfig) -> Result<()> {
    let (lr, epsilon, decays) = match *config {
        OptimizerConfig::Adam { lr, epsilon, betas, .. } => {
            (lr, epsilon, vec![("betas", betas[0]), ("betas", betas[1])])
        }
        OptimizerConfig::Rmsprop { lr, epsilon, alpha, .. } => (lr, epsilon, vec![("alpha", alpha)]),
    };
    for (name, value) in [("lr", lr), ("epsilon", epsilon)] {
        // Smaller or larger numbers become 0 or infinite in single precision.
        if !(f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX)).contains(&value) {
            let problem = format!("{value} cannot be used: expected a number above 0 that single precision can hold");
            return Err(Error::config(format!("{key}.{name}"), problem));
        }
    }
    for (name, value) in decays {
        if !(0.0..1.0).contains(&value) {
            let problem = format!("{value} cannot be used: expected a number from 0 to less than 1");
            return Err(Error::config(format!("{key}.{name}"), problem));
        }
    }
    Ok(())
}

fn at_least_one(key: &str, n: u64) -> Result<()> {
    if n == 0 { Err(Error::config(key, "0 cannot be used: expected at least 1")) } else { Ok(()) }
}

fn within(key: &str, n: usize, low: usize, high: usize) -> Result<()> {
    if (low..=high).contains(&n) {
        return Ok(());
    }
    Err(Error::config(key, format!("{n} cannot be used: expected {low} to {high}")))
}

/// Returns both networks' layers, checked against the latent space and the data.
fn architectures(config: &RunConfig) -> Result<(Architecture, Architecture)> {
    let sample = sample(config);
    let generator = architecture("generator", &config.generator, config, &[config.latent.dim])?;
    // D sees several samples together, concatenated along the channels.
    let seen = [&[sample[0] * config.train.pacgan], &sample[1..]].concat();
    let discriminator = architecture("discriminator", &config.discriminator, config, &seen)?;
    let made = shape::infer("generator", &generator.input, &generator.layers)?;
    let end = made.last().map_or(&generator.input, |last| &last.output);
    if *end != sample {
        let problem = format!(
            "the last layer makes {end:?}, expected the data's shape {sample:?}: change the layers, data.size or data.channels"
        );
        return Err(Error::config("generator.layers", problem));
    }
    if generator.input.iter().product::<usize>() != config.latent.dim {
        let problem = format!(
            "{:?} does not take latent vectors of {} (latent.dim)",
            generator.input,
            counted(config.latent.dim, "number")
        );
        return Err(Error::config("generator.input", problem));
    }
    if discriminator.input != seen {
        let packed = if config.train.pacgan > 1 {
            format!(", {} together (train.pacgan)", config.train.pacgan)
        } else {
            String::new()
        };
        let problem =
            format!("{:?} is not the data's shape {seen:?} (data.channels, data.size{packed})", discriminator.input);
        return Err(Error::config("discriminator.input", problem));
    }
    let judged = shape::infer("discriminator", &discriminator.input, &discriminator.layers)?;
    check_verdict(judged.last().map_or(&discriminator.input, |last| &last.output), &discriminator.layers)?;
    Ok((generator, discriminator))
}

/// Checks that D ends in one logit per sample.
fn check_verdict(end: &[usize], layers: &[Layer]) -> Result<()> {
    let key = "discriminator.layers";
    if gan_core::LayeredDiscriminator::ends_in_sigmoid(layers) {
        return Err(Error::config(key, "the list ends in \"sigmoid\", but the losses work on logits: remove it"));
    }
    let wanted = 1 + gan_core::LayeredDiscriminator::auxiliary_classes(layers).unwrap_or(0);
    if end.iter().product::<usize>() != wanted {
        let problem = format!(
            "the last layer makes {end:?}, expected one number a sample: end with \"flatten\", {{ dense = 1 }}, for example"
        );
        return Err(Error::config(key, problem));
    }
    Ok(())
}

fn architecture(name: &str, network: &NetworkConfig, config: &RunConfig, input: &[usize]) -> Result<Architecture> {
    let mut made = listed(name, network, config, input)?;
    if network.spectral_norm {
        made.layers = made.layers.iter().map(Layer::with_spectral_norm).collect();
    }
    let known: Vec<usize> = made.layers.iter().filter_map(Layer::classes).collect();
    if let Some([a, b]) = known.windows(2).find(|pair| pair[0] != pair[1]) {
        let problem = format!("one layer is for {}, another for {b}: give all the data's number", counted(a, "class"));
        return Err(Error::config(format!("{name}.layers"), problem));
    }
    Ok(made)
}

/// Returns the given layers, or those that a family generates.
fn listed(name: &str, network: &NetworkConfig, config: &RunConfig, input: &[usize]) -> Result<Architecture> {
    let init = network.init;
    if network.family.is_some() && network.input.is_some() {
        return Err(Error::config(format!("{name}.input"), "a family makes its own: remove it"));
    }
    only_of_its_family(name, network)?;
    match (&network.family, &network.layers) {
        (Some(Family::Dcgan), None) => {
            let (g, d) = dcgan(name, network, config)?;
            if name == "generator" {
                return Ok(Architecture { input: vec![config.latent.dim, 1, 1], layers: g, init });
            }
            Ok(Architecture { input: input.to_vec(), layers: d, init })
        }
        (Some(Family::Mlp), None) => {
            let mlp = mlp(name, network)?;
            let layers = match name {
                "generator" => mlp.generator(&sample(config)),
                _ => mlp.discriminator(network.features, input),
            };
            Ok(Architecture { input: input.to_vec(), layers, init })
        }
        (None, Some(layers)) => {
            let input = network.input.clone().unwrap_or_else(|| input.to_vec());
            Ok(Architecture { input, layers: layers.clone(), init })
        }
        _ => Err(Error::config(name, "needs either a family (with its settings) or layers, and not both")),
    }
}

/// Refuses settings of a family beside layers, or with another family.
fn only_of_its_family(name: &str, network: &NetworkConfig) -> Result<()> {
    let given = [
        ("width", network.width.is_some(), Family::Dcgan),
        ("hidden", network.hidden.is_some(), Family::Mlp),
        ("activation", network.activation.is_some(), Family::Mlp),
        ("features", network.features.is_some(), Family::Mlp),
    ];
    let misplaced = |(_, given, family): &&(&str, bool, Family)| *given && network.family != Some(*family);
    if let Some((key, _, family)) = given.iter().find(misplaced) {
        let family = if *family == Family::Dcgan { "dcgan" } else { "mlp" };
        let problem = format!("is for family = \"{family}\": remove it, or set {name}.family");
        return Err(Error::config(format!("{name}.{key}"), problem));
    }
    if name == "generator" && network.features.is_some() {
        return Err(Error::config("generator.features", "is for the discriminator: remove it"));
    }
    Ok(())
}

/// Returns both lists of the DCGAN.
fn dcgan(name: &str, network: &NetworkConfig, config: &RunConfig) -> Result<(Vec<Layer>, Vec<Layer>)> {
    let Some(width) = network.width else {
        let problem = "is missing; the family \"dcgan\" needs its narrowest width, e.g. 64";
        return Err(Error::config(format!("{name}.width"), problem));
    };
    within(&format!("{name}.width"), width, 1, 1 << 16)?;
    let Some(size) = config.data.size else {
        return Err(Error::config("data.size", "is missing; the family \"dcgan\" makes images, e.g. 64"));
    };
    let made = family::dcgan(size.get(), config.data.channels, config.latent.dim, width);
    made.map_err(|problem| Error::config("data.size", problem))
}

fn mlp(name: &str, network: &NetworkConfig) -> Result<family::Mlp> {
    let Some(hidden) = network.hidden.clone() else {
        let problem = "is missing; the family \"mlp\" needs the units of its hidden layers, e.g. [16, 16]";
        return Err(Error::config(format!("{name}.hidden"), problem));
    };
    hidden.iter().try_for_each(|units| within(&format!("{name}.hidden"), *units, 1, 1 << 16))?;
    within(&format!("{name}.features"), network.features.unwrap_or(1), 1, 1 << 16)?;
    Ok(family::Mlp {
        hidden,
        activation: network.activation.clone().unwrap_or_else(|| LeakyRelu { leaky_relu: 0.2 }.into()),
    })
}

//! Trains two steps with external settings.

use super::small;
use crate::target::Outcome;
use candle_core::Device;
use gan_data::{DatasetConfig, SampleSizes, Synthetic};
use gan_train::config::RunConfig;
use gan_train::{Plan, Trainer};

/// Maximum number of samples in a batch.
const BATCH: usize = 32;
/// Maximum number of updates in a step.
const UPDATES: u64 = 4;

/// Small settings, from which targets start.
pub const TINY: &str = r#"preset = "tiny"
description = "A small run"
[data]
name = "synthetic"
size = 8
channels = 1
[latent]
dim = 4
[generator]
input = [4]
layers = [{ dense = 32 }, { reshape = [2, 4, 4] }, { batch_norm = {} }, "relu", { conv_transpose = 1, kernel = 4, stride = 2, padding = 1 }, "tanh"]
[discriminator]
layers = [{ conv = 2, kernel = 4, stride = 2, padding = 1 }, { leaky_relu = 0.2 }, { dropout = 0.25 }, "flatten", { dense = 1 }]
[loss]
kind = "non_saturating"
real_label = 0.9
[[penalties]]
kind = "r1"
weight = 0.1
[augment]
translation = 0.125
[optimizer.generator]
kind = "adam"
lr = 2e-4
betas = [0.5, 0.999]
epsilon = 1e-8
[optimizer.discriminator]
kind = "rmsprop"
lr = 2e-4
alpha = 0.99
epsilon = 1e-8
[train]
batch = 4
steps = 2
seed = 1
ema = 0.9
decay = 0.5
warmup = 2
clip_norm = 1.0
instance_noise = { sigma = 0.1 }
[checkpoint]
every = 1
keep = 2
[samples]
every = 1
rows = 2
columns = 2
[evaluate]
every = 0
"#;

/// Trains two steps of a plan on data without files, if the plan is small.
///
/// # Errors
/// If the plan cannot be trained, for example because a loss is not finite.
pub fn two_steps(plan: &Plan) -> Outcome {
    let config = plan.config();
    let updates = config.train.d_steps.saturating_add(config.train.g_steps);
    if config.train.batch > BATCH || updates > UPDATES || config.latent.dim > 4096 {
        return Ok(());
    }
    let samples = config.train.batch * 4;
    for (name, network) in [("generator", &plan.generator), ("discriminator", &plan.discriminator)] {
        if !small::is_small(name, &network.input, &network.layers, samples)? {
            return Ok(());
        }
    }
    let mut trainer = Trainer::new(without_files(config).check()?, &Device::Cpu)?;
    trainer.advance()?;
    trainer.advance()?;
    Ok(())
}

/// Returns the settings with synthetic data instead of files.
fn without_files(config: &RunConfig) -> RunConfig {
    let mut config = config.clone();
    let data = &mut config.data;
    if data.set.info().sizes != SampleSizes::Points {
        let count = if let DatasetConfig::Synthetic(set) = &data.set { set.count.min(256) } else { 64 };
        data.set = Synthetic { count }.into();
    }
    data.dir = None;
    data.workers = 0;
    config
}

//! Checks of D's input: `[augment]`, instance noise, PacGAN, accumulation; and of `train.until`.

use super::within;
use crate::config::RunConfig;
use crate::error::{Error, Result};
use gan_core::Layer;
use gan_data::LastBatch;
use gan_metrics::Metric;

pub(super) fn check(config: &RunConfig) -> Result<()> {
    let (augment, train) = (&config.augment, &config.train);
    if let Some((key, problem)) = augment.problem() {
        return Err(Error::config(format!("augment.{key}"), problem));
    }
    if !augment.is_none() && config.data.size.is_none() {
        let problem = "changes images, and the data are points: remove it, or use train.instance_noise";
        return Err(Error::config("augment", problem));
    }
    if let Some(noise) = &train.instance_noise {
        if !(noise.sigma >= 0.0 && noise.sigma.is_finite()) {
            let problem = format!("{} cannot be used: expected a number of at least 0", noise.sigma);
            return Err(Error::config("train.instance_noise.sigma", problem));
        }
        if !(noise.until > 0.0 && noise.until <= 1.0) {
            let problem = format!("{} cannot be used: expected a part of the run, above 0, at most 1", noise.until);
            return Err(Error::config("train.instance_noise.until", problem));
        }
    }
    within("train.accumulate", train.accumulate, 1, train.batch.max(1))?;
    check_pack(config)?;
    for (name, value) in &train.until {
        let key = format!("train.until.{name}");
        if let Err(problem) = Metric::from_setting(name) {
            return Err(Error::config(key, problem));
        }
        if !value.is_finite() {
            return Err(Error::config(key, format!("{value} cannot be reached: expected a number")));
        }
        if config.evaluate.every == 0 {
            let problem = "nothing is measured in this run: set evaluate.every, e.g. 500";
            return Err(Error::config(key, problem));
        }
    }
    Ok(())
}

fn check_pack(config: &RunConfig) -> Result<()> {
    let (pack, batch) = (config.train.pacgan, config.train.batch);
    within("train.pacgan", pack, 1, batch.max(1))?;
    if pack == 1 {
        return Ok(());
    }
    if !batch.is_multiple_of(pack) {
        let problem = format!("{pack} does not divide train.batch = {batch}: choose one that does");
        return Err(Error::config("train.pacgan", problem));
    }
    if !config.data.replacement && config.data.last_batch == LastBatch::Keep {
        let problem = format!("an epoch's last batch may have fewer samples than {pack}: set data.last_batch=drop");
        return Err(Error::config("train.pacgan", problem));
    }
    let lists = [&config.generator.layers, &config.discriminator.layers];
    if lists.into_iter().flatten().flatten().any(|layer| Layer::classes(layer).is_some()) {
        return Err(Error::config("train.pacgan", "samples of several classes cannot be packed: set it to 1"));
    }
    Ok(())
}

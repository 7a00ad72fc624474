//! Checks of `[loss]` and `[[penalties]]`.

use super::at_least_one;
use crate::config::{Alternate, RunConfig};
use crate::error::{Error, Result};
use gan_core::penalties::{Effect, Penalty};

pub(super) fn check(config: &RunConfig) -> Result<()> {
    for (key, label) in [("loss.real_label", config.loss.real_label), ("loss.fake_label", config.loss.fake_label)] {
        if !(0.0..=1.0).contains(&label) {
            return Err(Error::config(key, format!("{label} is not a probability: expected a number from 0 to 1")));
        }
    }
    let (kind, labels) = (config.loss.kind, [config.loss.real_label, config.loss.fake_label]);
    if !kind.properties().takes_labels && labels != [1.0, 0.0] {
        let problem = "this loss has no labels to smooth: set loss.real_label=1 and loss.fake_label=0";
        return Err(Error::config("loss.real_label", problem));
    }
    if !(0.0..0.5).contains(&config.loss.flip) {
        let problem =
            format!("{} cannot be used: expected a share from 0 to less than 0.5, e.g. 0.05", config.loss.flip);
        return Err(Error::config("loss.flip", problem));
    }
    if !(0.0..=f64::from(f32::MAX)).contains(&config.loss.auxiliary) {
        let problem = format!("{} cannot be used: expected a number of at least 0", config.loss.auxiliary);
        return Err(Error::config("loss.auxiliary", problem));
    }
    let compares = config.penalties.iter().find(|penalty| matches!(penalty.kind.effect(), Effect::Features(_)));
    if (!kind.properties().has_threshold || compares.is_some()) && config.train.alternate == Alternate::Epochs {
        let (key, what) = match compares {
            Some(penalty) => (format!("penalties.{}", penalty.kind.name()), "it"),
            None => ("loss.kind".into(), "this loss"),
        };
        let problem =
            format!("{what} compares samples with real ones, which G's epochs have none of: set train.alternate=steps");
        return Err(Error::config(key, problem));
    }
    config.penalties.iter().try_for_each(check_penalty)
}

fn check_penalty(penalty: &Penalty) -> Result<()> {
    let key = |name: &str| format!("penalties.{}.{name}", penalty.kind.name());
    if !(penalty.share > 0.0 && penalty.share <= 1.0) {
        let problem = format!("{} cannot be used: expected a number above 0, at most 1", penalty.share);
        return Err(Error::config(key("share"), problem));
    }
    at_least_one(&key("every"), penalty.every)?;
    let lowest = match penalty.kind.effect() {
        Effect::Weights(_) => f64::from(f32::MIN_POSITIVE),
        Effect::Gradient(_) | Effect::Features(_) => 0.0,
    };
    let is_on_gradient = matches!(penalty.kind.effect(), Effect::Gradient(_));
    if !is_on_gradient && (penalty.every, penalty.share) != (1, 1.0) {
        let problem = "is for penalties on D's gradient, this one holds in every update: remove it";
        return Err(Error::config(key(if penalty.every == 1 { "share" } else { "every" }), problem));
    }
    for (name, weight) in [("weight", Some(penalty.weight)), ("end", penalty.end)] {
        if let Some(weight) = weight.filter(|weight| !(lowest..=f64::from(f32::MAX)).contains(weight)) {
            let least = if lowest > 0.0 { "above 0" } else { "of at least 0" };
            return Err(Error::config(key(name), format!("{weight} cannot be used: expected a number {least}")));
        }
    }
    Ok(())
}

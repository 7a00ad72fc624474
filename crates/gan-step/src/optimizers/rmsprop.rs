//! RMSProp (Hinton's lecture 6e, 2012; PyTorch's form by default): v ← α·v + (1 − α)·g², θ ← θ − lr·g / (√v + ε).

use super::{Problem, Rates, RuleUpdate, UpdateRule, default_epsilon, is_decay, is_positive, placement};
use crate::error::Result;
use gan_kernels::update::{self, Step};
use serde::{Deserialize, Serialize};

/// RMSProp's settings; the defaults are PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rmsprop {
    /// Learning rate.
    pub lr: f64,
    /// α, the decay rate of the average of the squared gradient. TensorFlow's default is 0.9.
    #[serde(default = "alpha")]
    pub alpha: f64,
    /// ε, which keeps the denominator from zero. TensorFlow's default is 1e-10.
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
    /// √(v + ε), as TensorFlow does, instead of √v + ε.
    #[serde(default)]
    pub epsilon_inside_root: bool,
}

fn alpha() -> f64 {
    0.99
}

impl Rmsprop {
    /// Returns the coefficients of a step.
    fn step(&self, rates: Rates) -> Step {
        Step {
            first_decay: None,
            second_decay: rates.beta2.unwrap_or(self.alpha),
            scale: self.lr * rates.lr_factor,
            root_scale: 1.0,
            epsilon: self.epsilon,
            placement: placement(self.epsilon_inside_root),
        }
    }
}

impl UpdateRule for Rmsprop {
    fn averages(&self) -> &'static [&'static str] {
        &["second"]
    }

    fn check(&self) -> std::result::Result<(), Problem> {
        is_positive("lr", self.lr)?;
        is_positive("epsilon", self.epsilon)?;
        is_decay("alpha", self.alpha)
    }

    fn update(&self, update: &RuleUpdate) -> Result<()> {
        let [second] = update.averages else { return Err(update.lacks_averages()) };
        Ok(update::step(update.var, update.gradient, None, second, self.step(update.rates))?)
    }

    fn coefficients(&self, _: u64, rates: Rates) -> Option<Step> {
        Some(self.step(rates))
    }

    fn beta2(&self) -> Option<f64> {
        Some(self.alpha)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimizers::tests::follow;

    #[test]
    fn rmsprop_follows_pytorch_and_tensorflow() {
        for inside in [false, true] {
            let (lr, alpha, epsilon) = (1e-3, 0.9, 1e-6);
            follow(Rmsprop { lr, alpha, epsilon, epsilon_inside_root: inside }, |g, [_, v], _| {
                *v = 0.9 * *v + 0.1 * g * g;
                lr * g / if inside { (*v + epsilon).sqrt() } else { v.sqrt() + epsilon }
            });
        }
    }
}

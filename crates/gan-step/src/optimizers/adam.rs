//! Adam (Kingma & Ba 2014, arXiv:1412.6980): m ← β₁·m + (1 − β₁)·g, v ← β₂·v + (1 − β₂)·g², θ ← θ − lr·m̂ / (√v̂ + ε).

use super::{Problem, Rates, RuleUpdate, UpdateRule, default_epsilon, is_decay, is_positive, placement};
use crate::error::Result;
use gan_kernels::update::{self, Step};
use serde::{Deserialize, Serialize};

/// Adam's settings; the defaults are PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adam {
    /// Learning rate.
    pub lr: f64,
    /// β₁ and β₂, the decay rates of the averages of the gradient and of its square.
    #[serde(default = "betas")]
    pub betas: [f64; 2],
    /// ε, which keeps the denominator from zero.
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
    /// √(v̂ + ε) instead of √v̂ + ε.
    #[serde(default)]
    pub epsilon_inside_root: bool,
    /// Correction of the averages' bias towards zero.
    #[serde(default)]
    pub bias_correction: BiasCorrection,
}

/// How Adam makes up for averages that start at zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BiasCorrection {
    /// Corrects both averages, then adds ε (the paper's algorithm 1; PyTorch).
    #[default]
    Separate,
    /// Puts the correction into the learning rate and adds ε to the uncorrected root (the paper's end of section 2; Keras, TensorFlow).
    Folded,
}

fn betas() -> [f64; 2] {
    [0.9, 0.999]
}

impl Adam {
    /// Returns Adam in PyTorch's form.
    pub fn new(lr: f64, betas: [f64; 2]) -> Self {
        let bias_correction = BiasCorrection::Separate;
        Self { lr, betas, epsilon: default_epsilon(), epsilon_inside_root: false, bias_correction }
    }

    /// Returns the coefficients of a step, counted from 1.
    fn step(&self, step: u64, rates: Rates) -> Step {
        let betas = [self.betas[0], rates.beta2.unwrap_or(self.betas[1])];
        let [b1, b2] = betas;
        let lr = self.lr * rates.lr_factor;
        let [c1, c2] = betas.map(|beta| 1.0 - beta.powf(step as f64));
        let (scale, root_scale) = match self.bias_correction {
            BiasCorrection::Separate => (lr / c1, 1.0 / c2),
            BiasCorrection::Folded => (lr * c2.sqrt() / c1, 1.0),
        };
        let placement = placement(self.epsilon_inside_root);
        Step { first_decay: Some(b1), second_decay: b2, scale, root_scale, epsilon: self.epsilon, placement }
    }
}

impl UpdateRule for Adam {
    fn averages(&self) -> &'static [&'static str] {
        &["first", "second"]
    }

    fn check(&self) -> std::result::Result<(), Problem> {
        is_positive("lr", self.lr)?;
        is_positive("epsilon", self.epsilon)?;
        self.betas.into_iter().try_for_each(|beta| is_decay("betas", beta))
    }

    fn update(&self, update: &RuleUpdate) -> Result<()> {
        let [first, second] = update.averages else { return Err(update.lacks_averages()) };
        Ok(update::step(update.var, update.gradient, Some(first), second, self.step(update.step, update.rates))?)
    }

    fn coefficients(&self, step: u64, rates: Rates) -> Option<Step> {
        Some(self.step(step, rates))
    }

    fn beta2(&self) -> Option<f64> {
        Some(self.betas[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimizers::tests::follow;

    #[test]
    fn adam_follows_the_paper_in_all_its_forms() {
        for inside in [false, true] {
            for bias_correction in [BiasCorrection::Separate, BiasCorrection::Folded] {
                let (lr, betas, epsilon) = (1e-2, [0.5, 0.99], 1e-5);
                let adam = Adam { lr, betas, epsilon, epsilon_inside_root: inside, bias_correction };
                follow(adam, |g, [m, v], t| {
                    *m = 0.5 * *m + 0.5 * g;
                    *v = 0.99 * *v + 0.01 * g * g;
                    let (c1, c2) = (1.0 - 0.5f64.powf(t), 1.0 - 0.99f64.powf(t));
                    let root = |v: f64| if inside { (v + epsilon).sqrt() } else { v.sqrt() + epsilon };
                    match bias_correction {
                        BiasCorrection::Separate => lr * (*m / c1) / root(*v / c2),
                        BiasCorrection::Folded => lr * c2.sqrt() / c1 * *m / root(*v),
                    }
                });
            }
        }
    }
}

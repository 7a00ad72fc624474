//! Context of a forward pass: mode, gradients, features, classes.

use candle_core::Tensor;
use gan_base::Rng;
use gan_kernels::Ranks;

/// Mode of a network, which determines batch norm's statistics and dropout.
#[derive(Debug)]
pub enum Mode<'a> {
    /// Training: uses the batch's statistics, updates running averages, and draws dropout from this generator.
    Train(&'a mut Rng),
    /// Evaluation: uses the running averages, without dropout.
    Eval,
}

/// Whether a pass computes gradients of the network's own weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// Weights have gradients.
    Trained,
    /// Weights have gradients, and the directions of spectral norm do not change, for a pass that must use the same kernels as another one.
    Steady,
    /// Weights have no gradients, and none is computed; gradients still flow to the input.
    Frozen,
}

/// Context of one forward pass of a network.
#[derive(Debug)]
pub struct ForwardContext<'a> {
    /// Training or evaluation.
    pub mode: Mode<'a>,
    /// Whether the weights have gradients.
    pub weights: Weights,
    /// Whether a discriminator returns the input of its head beside its logits, which costs a copy or two.
    pub features: bool,
    /// Class of each sample, `[N]` u32, for conditional networks.
    pub classes: Option<&'a Tensor>,
    /// Ranks whose batches batch norm takes its statistics over while training: this one alone, or all processes.
    pub ranks: Ranks,
}

impl<'a> ForwardContext<'a> {
    /// Returns a training pass with gradients for the weights.
    pub fn train(rng: &'a mut Rng) -> Self {
        Self { mode: Mode::Train(rng), weights: Weights::Trained, features: false, classes: None, ranks: None }
    }

    /// Returns a training pass through a network with frozen weights. Its running averages follow the batch, as in PyTorch.
    pub fn frozen(rng: &'a mut Rng) -> Self {
        Self { weights: Weights::Frozen, ..Self::train(rng) }
    }

    /// Returns the same context, with features.
    pub fn with_features(self) -> Self {
        Self { features: true, ..self }
    }

    /// Returns the same context for samples of these classes, `[N]` u32.
    pub fn of_classes(self, classes: Option<&'a Tensor>) -> Self {
        Self { classes, ..self }
    }

    /// Returns the same context, with batch norm over the batches of all these ranks.
    pub fn over(self, ranks: &Ranks) -> Self {
        Self { ranks: ranks.clone(), ..self }
    }

    /// Returns a training pass with gradients for the weights that uses the kernels of the pass before it, including spectral norms.
    pub fn steady(rng: &'a mut Rng) -> Self {
        Self { weights: Weights::Steady, ..Self::train(rng) }
    }

    /// Returns an evaluation pass, without gradients for the weights.
    pub fn eval() -> Self {
        Self { mode: Mode::Eval, weights: Weights::Frozen, features: false, classes: None, ranks: None }
    }
}

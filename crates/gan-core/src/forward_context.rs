//! How a network runs once: training or use, gradients or not, features or not, classes.

use candle_core::Tensor;
use gan_base::Rng;
use gan_kernels::Ranks;

/// Whether a network trains or is used; decides batch norm's statistics and dropout.
#[derive(Debug)]
pub enum Mode<'a> {
    /// By the batch's statistics, running averages updated, dropout drawn from this generator.
    Train(&'a mut Rng),
    /// By the running averages, nothing dropped.
    Eval,
}

/// Whether a pass leads to gradients of the network's own weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// They get gradients.
    Trained,
    /// They get gradients, and spectral norms leave their directions as they are: for a pass that must see the kernels that another one
    /// has seen.
    Steady,
    /// They get none, and none is computed; gradients still flow through to the input.
    Frozen,
}

/// Whether what reaches a discriminator's head is wanted beside its logits. It costs a copy or two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Features {
    /// It is not.
    #[default]
    Left,
    /// It is.
    Wanted,
}

/// How a network runs once.
#[derive(Debug)]
pub struct ForwardContext<'a> {
    /// Training or use.
    pub mode: Mode<'a>,
    /// Gradients for the weights or not.
    pub weights: Weights,
    /// Whether a discriminator's features are wanted.
    pub features: Features,
    /// Each sample's class, `[N]` u32, for networks that know classes.
    pub classes: Option<&'a Tensor>,
    /// Over whose batches batch norm takes its statistics while training: this one alone, or those of all processes.
    pub ranks: Ranks,
}

impl<'a> ForwardContext<'a> {
    /// A training pass with gradients for the weights.
    pub fn train(rng: &'a mut Rng) -> Self {
        let (features, classes, ranks) = (Features::Left, None, None);
        Self { mode: Mode::Train(rng), weights: Weights::Trained, features, classes, ranks }
    }

    /// A training pass through a network whose weights stay as they are while another one learns from it. Its running averages
    /// follow the batch, as in PyTorch.
    pub fn frozen(rng: &'a mut Rng) -> Self {
        Self { weights: Weights::Frozen, ..Self::train(rng) }
    }

    /// The same, with features.
    pub fn with_features(self) -> Self {
        Self { features: Features::Wanted, ..self }
    }

    /// The same, of samples whose classes are these, `[N]` u32.
    pub fn of_classes(self, classes: Option<&'a Tensor>) -> Self {
        Self { classes, ..self }
    }

    /// The same, with batch norm over all these ranks' batches.
    pub fn over(self, ranks: &Ranks) -> Self {
        Self { ranks: ranks.clone(), ..self }
    }

    /// A training pass with gradients for the weights that sees the kernels of the pass before it, spectral norms included.
    pub fn steady(rng: &'a mut Rng) -> Self {
        Self { weights: Weights::Steady, ..Self::train(rng) }
    }

    /// Use, without gradients for the weights.
    pub fn eval() -> Self {
        let (features, classes, ranks) = (Features::Left, None, None);
        Self { mode: Mode::Eval, weights: Weights::Frozen, features, classes, ranks }
    }
}

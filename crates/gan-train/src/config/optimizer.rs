//! Settings of the optimizers.

use serde::{Deserialize, Serialize};

/// An optimizer and its settings; the defaults are PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", try_from = "Written")]
pub enum OptimizerConfig {
    /// Kingma & Ba 2014, arXiv:1412.6980.
    Adam {
        /// Learning rate.
        lr: f64,
        /// Decay rates of the averages of the gradient and of its square.
        betas: [f64; 2],
        /// Keeps the denominator from zero.
        epsilon: f64,
        /// √(v + ε) instead of √v + ε.
        epsilon_inside_root: bool,
        /// Correction of the averages' bias towards zero.
        bias_correction: BiasCorrection,
    },
    /// Hinton's lecture 6e, 2012; PyTorch's form by default.
    Rmsprop {
        /// Learning rate.
        lr: f64,
        /// Decay rate of the average of the squared gradient. TensorFlow's default is 0.9.
        alpha: f64,
        /// Keeps the denominator from zero. TensorFlow's default is 1e-10.
        epsilon: f64,
        /// √(v + ε), as TensorFlow does, instead of √v + ε.
        epsilon_inside_root: bool,
    },
}

impl Default for OptimizerConfig {
    /// Adam as DCGAN's paper sets it: learning rate 2e-4, β₁ 0.5 (Radford et al. 2015, arXiv:1511.06434).
    fn default() -> Self {
        Self::adam(2e-4, [0.5, 0.999])
    }
}

impl OptimizerConfig {
    /// Returns Adam in PyTorch's form.
    pub fn adam(lr: f64, betas: [f64; 2]) -> Self {
        let (epsilon, bias_correction) = (epsilon(), BiasCorrection::default());
        Self::Adam { lr, betas, epsilon, epsilon_inside_root: false, bias_correction }
    }
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

/// The keys as they are written, before the kind that they belong to is known.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    kind: Kind,
    lr: f64,
    betas: Option<[f64; 2]>,
    bias_correction: Option<BiasCorrection>,
    alpha: Option<f64>,
    #[serde(default = "epsilon")]
    epsilon: f64,
    #[serde(default)]
    epsilon_inside_root: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Adam,
    Rmsprop,
}

fn epsilon() -> f64 {
    1e-8
}

impl TryFrom<Written> for OptimizerConfig {
    type Error = String;

    fn try_from(w: Written) -> Result<Self, String> {
        let Written { lr, epsilon, epsilon_inside_root, .. } = w;
        let foreign = |key: &str, kind: &str| Err(format!("the key \"{key}\" is not for kind = \"{kind}\": remove it"));
        match w.kind {
            Kind::Adam if w.alpha.is_some() => foreign("alpha", "adam"),
            Kind::Rmsprop if w.betas.is_some() => foreign("betas", "rmsprop"),
            Kind::Rmsprop if w.bias_correction.is_some() => foreign("bias_correction", "rmsprop"),
            Kind::Adam => {
                let (betas, bias_correction) = (w.betas.unwrap_or([0.9, 0.999]), w.bias_correction.unwrap_or_default());
                Ok(Self::Adam { lr, betas, epsilon, epsilon_inside_root, bias_correction })
            }
            Kind::Rmsprop => Ok(Self::Rmsprop { lr, alpha: w.alpha.unwrap_or(0.99), epsilon, epsilon_inside_root }),
        }
    }
}

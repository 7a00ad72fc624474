//! Optimizers, one file each, over named parameters, with state that is saved and loaded by name.
//!
//! A new optimizer is a file with its settings, which implement [`UpdateRule`], and a line in `optimizers!` below: its name in settings,
//! the enum, its keys, its checks and its state in checkpoints follow.

use crate::error::{Error, Result};
use crate::keyed::{KeyProblem, Keyed, read};
use candle_core::{Tensor, Var};
use gan_data::settings_keys;
use gan_kernels::update::{Average, Epsilon, Step};
use serde::{Deserialize, Deserializer, Serialize};
use toml::Table;

/// A setting that cannot be used, and why.
type Problem = (&'static str, String);

/// The rule by which an optimizer updates a variable.
pub trait UpdateRule: Send + Sync {
    /// Returns the names of the rule's averages in checkpoints. Each has as many numbers as the variable, zeros at the start.
    fn averages(&self) -> &'static [&'static str];

    /// Checks the settings.
    ///
    /// # Errors
    /// The first one that cannot be used.
    fn check(&self) -> std::result::Result<(), Problem> {
        Ok(())
    }

    /// Updates the numbers of one variable.
    fn update(&self, update: &RuleUpdate) -> Result<()>;

    /// Returns the coefficients of step number `step`, counted from 1, for devices that keep the variables and averages. The last average is
    /// that of the squared gradient. `None` for a rule of another form, which runs on the CPU only.
    fn coefficients(&self, _step: u64, _rates: Rates) -> Option<Step> {
        None
    }

    /// Returns the decay rate of the average of the squared gradient, which a schedule can change; `None` for a rule without one.
    fn beta2(&self) -> Option<f64> {
        None
    }
}

/// Values that schedules and rollbacks change in an update rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Factor of the learning rate.
    pub lr_factor: f64,
    /// Decay rate of the average of the squared gradient, instead of the setting.
    pub beta2: Option<f64>,
}

impl Default for Rates {
    /// As the rule's settings say.
    fn default() -> Self {
        Self { lr_factor: 1.0, beta2: None }
    }
}

/// One variable in one step of an [`UpdateRule`].
pub struct RuleUpdate<'a> {
    /// Variable to update.
    pub var: &'a Var,
    /// Its gradient.
    pub gradient: &'a Tensor,
    /// Its averages, as [`UpdateRule::averages`] names them.
    pub averages: &'a [Average],
    /// Number of the step, counted from 1.
    pub step: u64,
    /// Values that schedules and rollbacks change.
    pub rates: Rates,
}

impl RuleUpdate<'_> {
    fn lacks_averages(&self) -> Error {
        let problem = format!("an update rule was given {} averages, which it does not have", self.averages.len());
        candle_core::Error::Msg(problem).into()
    }
}

/// Defines the enum of all optimizers, with a variant and a module for each line.
macro_rules! optimizers {
    ($($module:ident: $name:ident,)*) => {
        $(
            mod $module;
            pub use $module::$name;

            impl From<$name> for OptimizerConfig {
                fn from(settings: $name) -> Self {
                    Self::$name(settings)
                }
            }
        )*

        /// An optimizer and its settings.
        #[derive(Clone, Copy, Debug, PartialEq, Serialize)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        #[allow(missing_docs, reason = "each is named like the file that describes it")]
        pub enum OptimizerConfig {
            $($name($name),)*
        }

        #[derive(Clone, Copy, Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Kind {
            $($name,)*
        }

        impl Kind {
            const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns the name in settings.
            fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($module),)*
                }
            }

            fn keys(self) -> &'static [&'static str] {
                match self {
                    $(Self::$name => settings_keys::<$name>(),)*
                }
            }

            fn read(self, table: Table) -> std::result::Result<OptimizerConfig, KeyProblem> {
                match self {
                    $(Self::$name => read(table, |table| $name::deserialize(table)).map(Into::into),)*
                }
            }
        }

        impl OptimizerConfig {
            fn rule(&self) -> &dyn UpdateRule {
                match self {
                    $(Self::$name(settings) => settings,)*
                }
            }
        }
    };
}

optimizers! {
    adam: Adam,
    rmsprop: Rmsprop,
}

mod optimizer;

pub use adam::BiasCorrection;
pub use optimizer::Optimizer;

impl Default for OptimizerConfig {
    /// Adam as DCGAN's paper sets it: learning rate 2e-4, β₁ 0.5 (Radford et al. 2015, arXiv:1511.06434).
    fn default() -> Self {
        Adam::new(2e-4, [0.5, 0.999]).into()
    }
}

impl UpdateRule for OptimizerConfig {
    fn averages(&self) -> &'static [&'static str] {
        self.rule().averages()
    }

    fn check(&self) -> std::result::Result<(), Problem> {
        self.rule().check()
    }

    fn update(&self, update: &RuleUpdate) -> Result<()> {
        self.rule().update(update)
    }

    fn coefficients(&self, step: u64, rates: Rates) -> Option<Step> {
        self.rule().coefficients(step, rates)
    }

    fn beta2(&self) -> Option<f64> {
        self.rule().beta2()
    }
}

/// Returns the keys that not every optimizer has: they are dropped with the kind that they belong to.
pub fn own_keys() -> impl Iterator<Item = &'static str> {
    Kind::ALL.iter().flat_map(|kind| kind.keys()).copied().filter(|key| *key != "lr")
}

impl Keyed for OptimizerConfig {
    fn from_table(mut table: Table) -> std::result::Result<Self, KeyProblem> {
        #[derive(Deserialize)]
        struct Tag {
            kind: Kind,
        }
        let tag = Table::from_iter(table.remove_entry("kind"));
        if tag.is_empty()
            && let Some(problem) = table.iter().find_map(|(key, value)| wrong_type(key, value))
        {
            return Err(problem);
        }
        let Tag { kind } = read(tag, |table| Tag::deserialize(table))?;
        let is_foreign = |key: &&String| !kind.keys().contains(&key.as_str()) && own_keys().any(|own| own == **key);
        if let Some(key) = table.keys().find(is_foreign) {
            let message = format!("the key \"{key}\" is not for kind = \"{}\": remove it", kind.name());
            return Err(KeyProblem { key: String::new(), message });
        }
        kind.read(table)
    }
}

/// Checks a key for any optimizer that has it, because `kind` is missing. A key that none has is unknown.
fn wrong_type(key: &str, value: &toml::Value) -> Option<KeyProblem> {
    let alone = || Table::from_iter([(key.to_string(), value.clone())]);
    let has = |kind: &Kind| kind.keys().contains(&key);
    let is_unknown = !Kind::ALL.iter().any(has);
    let kinds = Kind::ALL.iter().filter(|kind| is_unknown || has(kind));
    kinds.filter_map(|kind| kind.read(alone()).err()).find(|problem| !problem.key.is_empty())
}

impl<'de> Deserialize<'de> for OptimizerConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_deserializer(deserializer)
    }
}

fn default_epsilon() -> f64 {
    1e-8
}

fn placement(epsilon_inside_root: bool) -> Epsilon {
    if epsilon_inside_root { Epsilon::InsideRoot } else { Epsilon::OutsideRoot }
}

fn is_positive(key: &'static str, value: f64) -> std::result::Result<(), Problem> {
    // Smaller or larger numbers become 0 or infinite in single precision.
    let fits = (f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX)).contains(&value);
    expect(key, value, fits, "a number above 0 that single precision can hold")
}

fn is_decay(key: &'static str, value: f64) -> std::result::Result<(), Problem> {
    expect(key, value, (0.0..1.0).contains(&value), "a number from 0 to less than 1")
}

fn expect(key: &'static str, value: f64, fits: bool, expected: &str) -> std::result::Result<(), Problem> {
    if fits { Ok(()) } else { Err((key, format!("{value} cannot be used: expected {expected}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use gan_core::{Param, Role};

    /// Steps one parameter along synthetic gradients and compares it with the formula in plain f64.
    pub(super) fn follow(
        config: impl UpdateRule + std::fmt::Debug + Copy + 'static,
        formula: impl Fn(f64, &mut [f64; 2], f64) -> f64,
    ) {
        let var = Var::new(&[0.5f32, -0.25], &Device::Cpu).unwrap();
        let param = Param::whole("p", var.clone(), Role::Weight);
        let mut optimizer = Optimizer::new(config, &[param]).unwrap();
        let mut expected = [0.5f64, -0.25];
        let mut moments = [[0.0f64; 2]; 2];
        for t in 1..=20 {
            let g = [0.3 * f64::from(t).sin(), 1e-4 * f64::from(t).cos()];
            let weights = Tensor::new(&g.map(|x| x as f32), &Device::Cpu).unwrap();
            let grads = (var.as_tensor() * weights).unwrap().sum_all().unwrap().backward().unwrap();
            optimizer.step(&grads).unwrap();
            for i in 0..2 {
                expected[i] -= formula(g[i], &mut moments[i], f64::from(t));
            }
        }
        let ours: Vec<f32> = var.as_tensor().to_vec1().unwrap();
        for (a, b) in ours.iter().zip(expected) {
            assert!((f64::from(*a) - b).abs() < 1e-6, "{config:?}: {a} against {b}");
        }
    }
}

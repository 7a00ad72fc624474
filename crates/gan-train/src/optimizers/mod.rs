//! Optimizers, one file each, over named parameters, with state that is saved and loaded by name.
//!
//! A new optimizer is a file with its settings, which implement [`UpdateRule`], and a line in `optimizers!` below: its name in settings,
//! the enum, its keys, its checks and its state in checkpoints follow.

use crate::averages::{Averaged, Averages};
use crate::error::{Error, Result};
use crate::keyed::{KeyProblem, Keyed, read};
use candle_core::{Tensor, Var, backprop::GradStore};
use gan_comm::Communicator;
use gan_core::Param;
use gan_data::settings_keys;
use gan_kernels::update::{self, Average, Epsilon, Step};
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

/// What schedules and rollbacks change in an update rule.
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
    /// What schedules and rollbacks change.
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

pub use adam::BiasCorrection;

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
pub(crate) fn own_keys() -> impl Iterator<Item = &'static str> {
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

/// An update rule, and the averages of the variables that it updates.
pub struct Optimizer {
    rule: Box<dyn UpdateRule>,
    pub(crate) averages: Averages,
    rates: Rates,
    /// Variables with a factor of 0 or 1 for each of their numbers, where some keep their values.
    masks: Vec<(Var, Tensor)>,
}

impl Optimizer {
    /// Returns an optimizer for the trainable `params`; running averages are skipped. `rule` is an [`OptimizerConfig`] or a rule of your own.
    ///
    /// # Errors
    /// If the averages cannot be allocated.
    pub fn new(rule: impl UpdateRule + 'static, params: &[Param]) -> Result<Self> {
        let trained = params.iter().filter(|param| param.role.is_trained());
        let prefixes = rule.averages().iter().map(|name| format!("{name}.")).collect();
        Ok(Self {
            averages: Averages::zeros(trained, prefixes)?,
            rule: Box::new(rule),
            rates: Rates::default(),
            masks: vec![],
        })
    }

    /// Keeps the weights of the first `layers` layers that have any.
    pub(crate) fn without_layers(mut self, layers: usize) -> Result<Self> {
        if layers == 0 {
            return Ok(self);
        }
        let layer =
            |param: &Param| param.name.rsplit_once('.').map_or(param.name.clone(), |(layer, _)| layer.to_string());
        let mut met: Vec<String> = vec![];
        for Averaged { var, params, .. } in &self.averages.variables {
            let mut mask = vec![1f32; var.elem_count()];
            for param in params {
                let layer = layer(param);
                if !met.contains(&layer) {
                    met.push(layer);
                }
                if met.len() <= layers {
                    mask[param.start()..][..param.elem_count()].fill(0.0);
                }
            }
            if mask.contains(&0.0) {
                self.masks.push((var.clone(), Tensor::from_vec(mask, var.shape(), var.device())?));
            }
        }
        Ok(self)
    }

    /// Returns whether some weights keep their values.
    pub(crate) fn has_masks(&self) -> bool {
        !self.masks.is_empty()
    }

    /// Returns the Euclidean norm over the gradients of all parameters; a parameter without a gradient counts as zero.
    pub fn gradient_norm(&self, grads: &GradStore) -> Result<f64> {
        let sums = self.found(grads).map(|(_, grad)| update::sum_of_squares(grad));
        Ok(sums.collect::<candle_core::Result<Vec<f64>>>()?.iter().sum::<f64>().sqrt())
    }

    /// Returns the variables that have a gradient, with it.
    fn found<'a>(&'a self, grads: &'a GradStore) -> impl Iterator<Item = (&'a Averaged, &'a Tensor)> {
        self.averages.variables.iter().filter_map(|variable| Some((variable, grads.get(&variable.var)?)))
    }

    /// Adds the gradients in `more` of its variables to those in `grads`.
    pub(crate) fn add_gradients(&self, grads: &mut GradStore, more: &GradStore) -> Result<()> {
        for (Averaged { var, .. }, more) in self.found(more) {
            let sum = grads.get(var).map_or(Ok(more.clone()), |grad| update::add(grad, more))?;
            grads.insert(var, sum);
        }
        Ok(())
    }

    /// Sums the gradients of its variables over all ranks.
    pub(crate) fn sum_over(&self, grads: &mut GradStore, ranks: &dyn Communicator) -> Result<()> {
        // All in one sum, because each sum has to wait for every rank.
        let there: Vec<&Tensor> = self.found(grads).map(|(_, grad)| grad).collect();
        let Some(device) = there.first().map(|grad| grad.device().clone()) else { return Ok(()) };
        if !device.is_cpu() {
            let flat = there.iter().map(|grad| grad.flatten_all()).collect::<candle_core::Result<Vec<_>>>()?;
            if let Some(sums) = ranks.sum_tensor(&Tensor::cat(&flat, 0)?)? {
                return self.replace(grads, &sums);
            }
        }
        let mut values = vec![];
        there.iter().try_for_each(|grad| update::append(&mut values, grad))?;
        ranks.sum(&mut values)?;
        let count = values.len();
        self.replace(grads, &Tensor::from_vec(values, count, &device)?)
    }

    /// Replaces the gradients by these concatenated numbers.
    fn replace(&self, grads: &mut GradStore, flat: &Tensor) -> Result<()> {
        let mut from = 0;
        for Averaged { var, .. } in &self.averages.variables {
            let Some(grad) = grads.get(var) else { continue };
            let len = grad.elem_count();
            let own = flat.narrow(0, from, len)?.reshape(grad.shape())?;
            grads.insert(var, own);
            from += len;
        }
        Ok(())
    }

    /// Clips gradients whose norm is above `most` to that norm (Pascanu et al. 2013, arXiv:1211.5063).
    pub(crate) fn clip(&self, grads: &mut GradStore, norm: f64, most: Option<f64>) -> Result<()> {
        let Some(most) = most.filter(|most| norm > *most) else { return Ok(()) };
        for Averaged { var, .. } in &self.averages.variables {
            if let Some(scaled) = grads.get(var).map(|grad| grad * (most / norm)).transpose()? {
                grads.insert(var, scaled);
            }
        }
        Ok(())
    }

    /// Replaces every variable by a function of it.
    pub(crate) fn map_weights(&self, f: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Result<()> {
        let one = |variable: &Averaged| variable.var.set(&f(&variable.var.as_detached_tensor())?);
        Ok(self.averages.variables.iter().try_for_each(one)?)
    }

    /// Updates every parameter that has a gradient.
    pub fn step(&mut self, grads: &GradStore) -> Result<()> {
        self.averages.steps += 1;
        let step = self.averages.steps;
        let rates = self.rates;
        self.found(grads).try_for_each(|(Averaged { var, averages, .. }, gradient)| {
            let mask = self.masks.iter().find(|(masked, _)| masked.id() == var.id());
            let masked = mask.map(|(_, mask)| gradient.mul(mask)).transpose()?;
            let gradient = masked.as_ref().unwrap_or(gradient);
            self.rule.update(&RuleUpdate { var, gradient, averages, step, rates })
        })
    }

    /// Counts a step that a device does, and returns its coefficients.
    pub(crate) fn next_step(&mut self) -> Result<Step> {
        self.averages.steps += 1;
        let found = self.rule.coefficients(self.averages.steps, self.rates);
        found.ok_or_else(|| Error::config("--device", "an update rule of your own runs on the CPU"))
    }

    /// Follows these rates from now on.
    pub fn set_rates(&mut self, rates: Rates) {
        self.rates = rates;
    }

    /// Returns the decay rate of the average of the squared gradient that the rule's settings contain, if it has one.
    pub(crate) fn beta2(&self) -> Option<f64> {
        self.rule.beta2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use gan_core::Role;

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

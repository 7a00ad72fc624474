//! Adam and RMSProp over named parameters, with state that is saved and loaded by name.

use crate::config::{BiasCorrection, OptimizerConfig};
use crate::error::{Error, Result};
use candle_core::{Tensor, Var, backprop::GradStore};
use gan_comm::Communicator;
use gan_core::Param;
use gan_kernels::update::{self, Average, Epsilon, Step};
use std::collections::BTreeMap;
use std::path::Path;

/// An update rule of your own.
pub trait UpdateRule: Send + Sync {
    /// Moves the numbers of one variable.
    ///
    /// # Errors
    /// From candle.
    fn update(&self, update: &RuleUpdate) -> Result<()>;
}

/// One variable in one step of an [`UpdateRule`].
pub struct RuleUpdate<'a> {
    /// What is moved.
    pub var: &'a Var,
    /// Its gradient.
    pub gradient: &'a Tensor,
    /// Two lists of numbers beside the variable's, zeros at the start, for averages. Checkpoints hold them.
    pub averages: [&'a Average; 2],
    /// The number of the step, counted from 1.
    pub step: u64,
    /// What schedules and rollbacks multiply the learning rate by.
    pub lr_factor: f64,
}

/// An optimizer and the moments of the variables it steps.
pub struct Optimizer {
    config: OptimizerConfig,
    /// What takes the place of the settings' formula.
    rule: Option<Box<dyn UpdateRule>>,
    slots: Vec<Slot>,
    steps: u64,
    /// Factor of the learning rate.
    lr_factor: f64,
}

/// A variable with all parameters that it contains.
#[derive(Debug)]
struct Slot {
    var: Var,
    params: Vec<Param>,
    /// Average of the gradient, for Adam only.
    first: Option<Average>,
    /// Average of the squared gradient.
    second: Average,
}

impl Optimizer {
    /// Returns an optimizer for the trainable `params`; running averages are skipped.
    ///
    /// # Errors
    /// If the moments cannot be allocated.
    pub fn new(config: OptimizerConfig, params: &[Param]) -> Result<Self> {
        let mut slots = Vec::<Slot>::new();
        for param in params.iter().filter(|p| p.role.is_trained()) {
            let var = param.var();
            if let Some(slot) = slots.iter_mut().find(|s| s.var.id() == var.id()) {
                slot.params.push(param.clone());
                continue;
            }
            let first = match config {
                OptimizerConfig::Adam { .. } => Some(Average::zeros_like(var)?),
                OptimizerConfig::Rmsprop { .. } => None,
            };
            let second = Average::zeros_like(var)?;
            slots.push(Slot { var: var.clone(), params: vec![param.clone()], first, second });
        }
        Ok(Self { config, rule: None, slots, steps: 0, lr_factor: 1.0 })
    }

    /// An optimizer that moves parameters by a rule of your own.
    ///
    /// # Errors
    /// If the averages cannot be allocated.
    pub fn with_rule(rule: impl UpdateRule + 'static, params: &[Param]) -> Result<Self> {
        // The settings only say that there are two averages.
        Ok(Self { rule: Some(Box::new(rule)), ..Self::new(OptimizerConfig::default(), params)? })
    }

    /// Sets the learning rate and keeps the moments.
    pub fn set_lr(&mut self, new: f64) {
        match &mut self.config {
            OptimizerConfig::Adam { lr, .. } | OptimizerConfig::Rmsprop { lr, .. } => *lr = new,
        }
    }

    /// Returns the Euclidean norm over the gradients of all parameters; a parameter without a gradient counts as zero.
    ///
    /// # Errors
    /// From candle.
    pub fn gradient_norm(&self, grads: &GradStore) -> Result<f64> {
        let found = self.slots.iter().filter_map(|slot| grads.get(&slot.var));
        let sums = found.map(update::sum_of_squares).collect::<candle_core::Result<Vec<f64>>>()?;
        Ok(sums.iter().sum::<f64>().sqrt())
    }

    /// Adds the gradients in `more` of its variables to those in `grads`.
    ///
    /// # Errors
    /// From candle.
    pub fn add_gradients(&self, grads: &mut GradStore, more: &GradStore) -> Result<()> {
        for slot in &self.slots {
            let sum = match (grads.get(&slot.var), more.get(&slot.var)) {
                (_, None) => continue,
                (None, Some(b)) => b.clone(),
                (Some(a), Some(b)) => update::sum(a, b)?,
            };
            grads.insert(&slot.var, sum);
        }
        Ok(())
    }

    /// Multiplies the gradients of its variables by a factor.
    ///
    /// # Errors
    /// From candle.
    pub fn scale(&self, grads: &mut GradStore, factor: f64) -> Result<()> {
        for slot in &self.slots {
            if let Some(scaled) = grads.get(&slot.var).map(|grad| grad * factor).transpose()? {
                grads.insert(&slot.var, scaled);
            }
        }
        Ok(())
    }

    /// Sums the gradients of its variables over all ranks.
    ///
    /// # Errors
    /// If a rank is gone, and from candle.
    pub fn sum_over(&self, grads: &mut GradStore, ranks: &dyn Communicator) -> Result<()> {
        // All in one sum, because each sum has to wait for every rank.
        let there: Vec<&Tensor> = self.slots.iter().filter_map(|slot| grads.get(&slot.var)).collect();
        let Some(device) = there.first().map(|grad| grad.device().clone()) else { return Ok(()) };
        if !device.is_cpu() {
            let flat = there.iter().map(|grad| grad.flatten_all()).collect::<candle_core::Result<Vec<_>>>()?;
            if let Some(sums) = ranks.sum_tensor(&Tensor::cat(&flat, 0)?)? {
                return self.replace(grads, &sums);
            }
        }
        let mut values = vec![];
        there.iter().try_for_each(|grad| gan_kernels::update::append(&mut values, grad))?;
        ranks.sum(&mut values)?;
        let count = values.len();
        self.replace(grads, &Tensor::from_vec(values, count, &device)?)
    }

    /// Replaces the gradients by these concatenated numbers.
    fn replace(&self, grads: &mut GradStore, flat: &Tensor) -> Result<()> {
        let mut from = 0;
        for slot in &self.slots {
            let Some(grad) = grads.get(&slot.var) else { continue };
            let (shape, len) = (grad.shape().clone(), grad.elem_count());
            grads.insert(&slot.var, flat.narrow(0, from, len)?.reshape(shape)?);
            from += len;
        }
        Ok(())
    }

    /// Clips gradients whose norm is above `most` to that norm (Pascanu et al. 2013, arXiv:1211.5063).
    ///
    /// # Errors
    /// From candle.
    pub fn clip(&self, grads: &mut GradStore, norm: f64, most: Option<f64>) -> Result<()> {
        match most.filter(|most| norm > *most) {
            Some(most) => self.scale(grads, most / norm),
            None => Ok(()),
        }
    }

    /// Replaces the values of every parameter by `f` of them.
    ///
    /// # Errors
    /// From candle.
    pub fn map_weights(&self, f: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Result<()> {
        let one = |slot: &Slot| slot.var.set(&f(&slot.var.as_detached_tensor())?);
        Ok(self.slots.iter().try_for_each(one)?)
    }

    /// Updates every parameter that has a gradient.
    ///
    /// # Errors
    /// From candle.
    pub fn step(&mut self, grads: &GradStore) -> Result<()> {
        self.steps += 1;
        let step = self.numbers();
        for slot in &self.slots {
            let Some(gradient) = grads.get(&slot.var) else { continue };
            match (&self.rule, &slot.first) {
                (Some(rule), Some(first)) => rule.update(&RuleUpdate {
                    var: &slot.var,
                    gradient,
                    averages: [first, &slot.second],
                    step: self.steps,
                    lr_factor: self.lr_factor,
                })?,
                _ => update::step(&slot.var, gradient, slot.first.as_ref(), &slot.second, step)?,
            }
        }
        Ok(())
    }

    /// Multiplies the learning rate by `factor` from now on.
    pub fn set_lr_factor(&mut self, factor: f64) {
        self.lr_factor = factor;
    }

    /// Returns the coefficients of this step.
    fn numbers(&self) -> Step {
        let placement = |inside: bool| if inside { Epsilon::InsideRoot } else { Epsilon::OutsideRoot };
        match self.config {
            OptimizerConfig::Adam { lr, betas: [b1, b2], epsilon, epsilon_inside_root, bias_correction } => {
                let (steps, lr) = (self.steps as f64, lr * self.lr_factor);
                let (c1, c2) = (1.0 - b1.powf(steps), 1.0 - b2.powf(steps));
                let (scale, root_scale) = match bias_correction {
                    BiasCorrection::Separate => (lr / c1, 1.0 / c2),
                    BiasCorrection::Folded => (lr * c2.sqrt() / c1, 1.0),
                };
                let placement = placement(epsilon_inside_root);
                Step { first_decay: Some(b1), second_decay: b2, scale, root_scale, epsilon, placement }
            }
            OptimizerConfig::Rmsprop { lr, alpha, epsilon, epsilon_inside_root } => Step {
                first_decay: None,
                second_decay: alpha,
                scale: lr * self.lr_factor,
                root_scale: 1.0,
                epsilon,
                placement: placement(epsilon_inside_root),
            },
        }
    }

    /// Returns the number of steps.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns the moments: `first.<parameter>` and `second.<parameter>`.
    ///
    /// # Errors
    /// From candle.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut all = BTreeMap::new();
        for (slot, which, average) in self.averages() {
            let values = average.tensor()?;
            for param in &slot.params {
                let own = values.narrow(0, param.start(), param.elem_count())?.reshape(param.dims())?;
                all.insert(format!("{which}.{}", param.name), own);
            }
        }
        Ok(all)
    }

    /// Restores saved moments after `steps` steps. `from` is for messages.
    ///
    /// # Errors
    /// If a moment is missing or has another shape.
    pub fn load(&mut self, steps: u64, tensors: &BTreeMap<String, Tensor>, from: &Path) -> Result<()> {
        for (slot, which, average) in self.averages() {
            for param in &slot.params {
                let name = format!("{which}.{}", param.name);
                match tensors.get(&name) {
                    Some(t) if t.dims() == param.dims() => average.set(param.start(), t)?,
                    _ => {
                        let problem = format!("has no optimiser state \"{name}\" of shape {:?}", param.dims());
                        return Err(Error::file(from, problem));
                    }
                }
            }
        }
        self.steps = steps;
        Ok(())
    }

    fn averages(&self) -> impl Iterator<Item = (&Slot, &'static str, &Average)> {
        self.slots.iter().flat_map(|slot| {
            let first = slot.first.as_ref().map(|average| (slot, "first", average));
            first.into_iter().chain([(slot, "second", &slot.second)])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use gan_core::Role;

    /// Steps one parameter along synthetic gradients and compares it with the formula in plain f64.
    fn follow(config: OptimizerConfig, formula: impl Fn(f64, &mut [f64; 2], f64) -> f64) {
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

    #[test]
    fn adam_follows_the_paper_in_all_its_forms() {
        for inside in [false, true] {
            for bias_correction in [BiasCorrection::Separate, BiasCorrection::Folded] {
                let (lr, betas, epsilon) = (1e-2, [0.5, 0.99], 1e-5);
                let config = OptimizerConfig::Adam { lr, betas, epsilon, epsilon_inside_root: inside, bias_correction };
                follow(config, |g, [m, v], t| {
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

    #[test]
    fn rmsprop_follows_pytorch_and_tensorflow() {
        for inside in [false, true] {
            let (lr, alpha, epsilon) = (1e-3, 0.9, 1e-6);
            follow(OptimizerConfig::Rmsprop { lr, alpha, epsilon, epsilon_inside_root: inside }, |g, [_, v], _| {
                *v = 0.9 * *v + 0.1 * g * g;
                lr * g / if inside { (*v + epsilon).sqrt() } else { v.sqrt() + epsilon }
            });
        }
    }
}

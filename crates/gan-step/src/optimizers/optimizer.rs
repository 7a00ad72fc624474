//! An update rule at work: the averages of a network's variables, and their updates.

use super::{Rates, RuleUpdate, UpdateRule};
use crate::averages::{Averaged, Averages};
use crate::error::{Error, Result};
use candle_core::{Tensor, Var, backprop::GradStore};
use gan_comm::Communicator;
use gan_core::Param;
use gan_kernels::update::{self, Step};

/// An update rule, and the averages of the variables that it updates.
pub struct Optimizer {
    rule: Box<dyn UpdateRule>,
    /// The averages, which checkpoints hold.
    pub averages: Averages,
    rates: Rates,
    /// Variables with frozen parameters, and a mask for each: 0 for frozen values, 1 for others.
    masks: Vec<(Var, Tensor)>,
}

impl Optimizer {
    /// Returns an optimizer for the trainable `params`; running averages are skipped. `rule` is an [`OptimizerConfig`](super::OptimizerConfig)
    /// or a rule of your own.
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

    /// Freezes the first `layers` layers that have weights.
    pub fn freeze_layers(mut self, layers: usize) -> Result<Self> {
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

    /// Returns whether some layers are frozen.
    pub fn has_frozen_layers(&self) -> bool {
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
    pub fn add_gradients(&self, grads: &mut GradStore, more: &GradStore) -> Result<()> {
        for (Averaged { var, .. }, more) in self.found(more) {
            let sum = grads.get(var).map_or(Ok(more.clone()), |grad| update::add(grad, more))?;
            grads.insert(var, sum);
        }
        Ok(())
    }

    /// Sums the gradients of its variables over all ranks.
    pub fn sum_over(&self, grads: &mut GradStore, ranks: &dyn Communicator) -> Result<()> {
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
    pub fn clip(&self, grads: &mut GradStore, norm: f64, most: Option<f64>) -> Result<()> {
        let Some(most) = most.filter(|most| norm > *most) else { return Ok(()) };
        for Averaged { var, .. } in &self.averages.variables {
            if let Some(scaled) = grads.get(var).map(|grad| grad * (most / norm)).transpose()? {
                grads.insert(var, scaled);
            }
        }
        Ok(())
    }

    /// Replaces every variable by a function of it.
    pub fn map_weights(&self, f: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Result<()> {
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
    pub fn next_step(&mut self) -> Result<Step> {
        self.averages.steps += 1;
        let found = self.rule.coefficients(self.averages.steps, self.rates);
        found.ok_or_else(|| Error::config("--device", "an update rule of your own runs on the CPU"))
    }

    /// Sets the learning rate's factor and β₂ for the next steps.
    pub fn set_rates(&mut self, rates: Rates) {
        self.rates = rates;
    }

    /// Returns the decay rate of the average of the squared gradient that the rule's settings contain, if it has one.
    pub fn beta2(&self) -> Option<f64> {
        self.rule.beta2()
    }
}

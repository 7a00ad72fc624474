//! Adam and RMSProp over named parameters, with state that saves and loads by name.

use crate::config::{BiasCorrection, OptimizerConfig};
use crate::error::{Error, Result};
use candle_core::{Tensor, Var, backprop::GradStore};
use gan_core::Param;
use gan_kernels::update::{Descend, Epsilon, Moment, accumulate, descend};
use std::collections::BTreeMap;
use std::path::Path;

/// An optimiser and the moments of the parameters it steps.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    slots: Vec<Slot>,
    steps: u64,
}

#[derive(Debug)]
struct Slot {
    name: String,
    var: Var,
    /// Average of the gradient; Adam's alone.
    first: Option<Var>,
    /// Average of its square.
    second: Var,
}

impl Optimizer {
    /// For the trained ones among `params`; running averages are left out.
    ///
    /// # Errors
    /// If the moments cannot be allocated.
    pub fn new(config: OptimizerConfig, params: &[Param]) -> Result<Self> {
        let slot = |p: &Param| -> Result<Slot> {
            let first = match config {
                OptimizerConfig::Adam { .. } => Some(zeros_like(&p.var)?),
                OptimizerConfig::Rmsprop { .. } => None,
            };
            Ok(Slot { name: p.name.clone(), var: p.var.clone(), first, second: zeros_like(&p.var)? })
        };
        let slots = params.iter().filter(|p| p.role.is_trained()).map(slot).collect::<Result<_>>()?;
        Ok(Self { config, slots, steps: 0 })
    }

    /// The Euclidean norm over all parameters' gradients; a parameter without one counts as zero.
    ///
    /// # Errors
    /// From candle.
    pub fn gradient_norm(&self, grads: &GradStore) -> Result<f64> {
        let mut sum = 0.0;
        for slot in &self.slots {
            if let Some(g) = grads.get(&slot.var) {
                sum += f64::from(g.sqr()?.sum_all()?.to_scalar::<f32>()?);
            }
        }
        Ok(sum.sqrt())
    }

    /// Moves every parameter that has a gradient.
    ///
    /// # Errors
    /// From candle.
    pub fn step(&mut self, grads: &GradStore) -> Result<()> {
        self.steps += 1;
        let steps = self.steps as f64;
        for slot in &self.slots {
            let Some(grad) = grads.get(&slot.var) else { continue };
            match self.config {
                OptimizerConfig::Adam { rate, betas: [b1, b2], epsilon, epsilon_inside_root, bias_correction } => {
                    let first = slot.first.as_ref().expect("Adam has first moments");
                    accumulate(first, grad, b1, Moment::First)?;
                    accumulate(&slot.second, grad, b2, Moment::Second)?;
                    let (c1, c2) = (1.0 - b1.powf(steps), 1.0 - b2.powf(steps));
                    let (scale, root_scale) = match bias_correction {
                        BiasCorrection::Separate => (rate / c1, 1.0 / c2),
                        BiasCorrection::Folded => (rate * c2.sqrt() / c1, 1.0),
                    };
                    let placement = placement(epsilon_inside_root);
                    descend(&slot.var, first, &slot.second, Descend { scale, root_scale, epsilon, placement })?;
                }
                OptimizerConfig::Rmsprop { rate, alpha, epsilon, epsilon_inside_root } => {
                    accumulate(&slot.second, grad, alpha, Moment::Second)?;
                    let placement = placement(epsilon_inside_root);
                    descend(
                        &slot.var,
                        grad,
                        &slot.second,
                        Descend { scale: rate, root_scale: 1.0, epsilon, placement },
                    )?;
                }
            }
        }
        Ok(())
    }

    /// How often it has stepped.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Its moments: `first.<parameter>` and `second.<parameter>`.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        self.moments().map(|(name, var)| (name, var.as_detached_tensor())).collect()
    }

    /// Goes back to saved moments after `steps` steps. `from` is for messages.
    ///
    /// # Errors
    /// If a moment is missing or has another shape.
    pub fn load(&mut self, steps: u64, tensors: &BTreeMap<String, Tensor>, from: &Path) -> Result<()> {
        for (name, var) in self.moments() {
            match tensors.get(&name) {
                Some(t) if t.dims() == var.dims() => var.set(&t.to_device(var.device())?)?,
                _ => {
                    return Err(Error::file(
                        from,
                        format!("has no optimiser state \"{name}\" of shape {:?}", var.dims()),
                    ));
                }
            }
        }
        self.steps = steps;
        Ok(())
    }

    fn moments(&self) -> impl Iterator<Item = (String, &Var)> {
        self.slots.iter().flat_map(|s| {
            let first = s.first.as_ref().map(|v| (format!("first.{}", s.name), v));
            first.into_iter().chain([(format!("second.{}", s.name), &s.second)])
        })
    }
}

fn zeros_like(var: &Var) -> Result<Var> {
    Ok(Var::from_tensor(&var.as_detached_tensor().zeros_like()?)?)
}

fn placement(inside: bool) -> Epsilon {
    if inside { Epsilon::InsideRoot } else { Epsilon::OutsideRoot }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use gan_core::Role;

    /// Steps one parameter along made gradients and compares with the formula in plain f64.
    fn follow(config: OptimizerConfig, formula: impl Fn(f64, &mut [f64; 2], f64) -> f64) {
        let var = Var::new(&[0.5f32, -0.25], &Device::Cpu).unwrap();
        let param = Param { name: "p".into(), var: var.clone(), role: Role::Weight };
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
                let (rate, betas, epsilon) = (1e-2, [0.5, 0.99], 1e-5);
                let config =
                    OptimizerConfig::Adam { rate, betas, epsilon, epsilon_inside_root: inside, bias_correction };
                follow(config, |g, [m, v], t| {
                    *m = 0.5 * *m + 0.5 * g;
                    *v = 0.99 * *v + 0.01 * g * g;
                    let (c1, c2) = (1.0 - 0.5f64.powf(t), 1.0 - 0.99f64.powf(t));
                    let root = |v: f64| if inside { (v + epsilon).sqrt() } else { v.sqrt() + epsilon };
                    match bias_correction {
                        BiasCorrection::Separate => rate * (*m / c1) / root(*v / c2),
                        BiasCorrection::Folded => rate * c2.sqrt() / c1 * *m / root(*v),
                    }
                });
            }
        }
    }

    #[test]
    fn rmsprop_follows_pytorch_and_tensorflow() {
        for inside in [false, true] {
            let (rate, alpha, epsilon) = (1e-3, 0.9, 1e-6);
            follow(OptimizerConfig::Rmsprop { rate, alpha, epsilon, epsilon_inside_root: inside }, |g, [_, v], _| {
                *v = 0.9 * *v + 0.1 * g * g;
                rate * g / if inside { (*v + epsilon).sqrt() } else { v.sqrt() + epsilon }
            });
        }
    }
}

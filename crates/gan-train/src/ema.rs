//! Exponential moving average of G's weights, which gives steadier and mostly better samples than the last weights.
//!
//! w̄ ← β·w̄ + (1 − β)·w after each step, as in Yazıcı et al. 2019, arXiv:1806.04498. In the first steps, β is (1 + t)/(10 + t) while that
//! is smaller, so that the random start is soon forgotten. A half-life in images gives β for any batch size. Running averages of batch norm
//! are averaged like weights, because they belong together.

use crate::averages::{Averaged, Averages};
use crate::error::{Error, Result};
use candle_core::Tensor;
use gan_core::Param;

/// Decay of the averages.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Decay {
    /// By β in each step, from 0 to less than 1.
    Beta(f64),
    /// β = 2^(−images / half_life).
    HalfLife {
        /// Number of real images in a step.
        images: f64,
        /// Half-life in images; at 0, the average is the last weights.
        half_life: f64,
    },
}

/// Averages of a network's variables.
#[derive(Debug)]
pub(crate) struct Ema {
    pub averages: Averages,
}

impl Ema {
    /// Starts from the current values of the parameters.
    pub fn new(params: &[Param]) -> Result<Self> {
        let averages = Averages::zeros(params, vec![String::new()])?;
        for Averaged { var, averages, .. } in &averages.variables {
            averages.iter().try_for_each(|average| average.set(0, var.as_tensor()))?;
        }
        Ok(Self { averages })
    }

    /// Starts again from the current values of the parameters.
    pub fn restart(&self) -> Result<()> {
        let mut all =
            self.averages.variables.iter().flat_map(|of| of.averages.iter().map(|average| (average, &of.var)));
        Ok(all.try_for_each(|(average, var)| average.set(0, &var.as_tensor().flatten_all()?))?)
    }

    /// Updates the averages after a step.
    pub fn follow(&mut self, decay: Decay) -> Result<()> {
        let weight = self.next_weight(decay);
        for Averaged { var, averages, .. } in &self.averages.variables {
            averages.iter().try_for_each(|average| average.follow(var, weight))?;
        }
        Ok(())
    }

    /// Counts a step, and returns the weight of the new values in the averages.
    pub fn next_weight(&mut self, decay: Decay) -> f64 {
        self.averages.steps += 1;
        let t = self.averages.steps as f64;
        1.0 - match decay {
            Decay::Beta(beta) => beta.min((1.0 + t) / (10.0 + t)),
            Decay::HalfLife { half_life, .. } if half_life <= 0.0 => 0.0,
            Decay::HalfLife { images, half_life } => (-images / half_life).exp2(),
        }
    }

    /// Runs `f` with the averages in place of the parameters.
    pub fn in_place<T, E: From<Error>>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let trained = self.swap_in().map_err(Error::from)?;
        let result = f();
        let restore = |(variable, trained): (&Averaged, &Tensor)| variable.var.set(trained);
        self.averages.variables.iter().zip(&trained).try_for_each(restore).map_err(Error::from)?;
        result
    }

    /// Puts the averages in place of the weights and returns the weights.
    fn swap_in(&self) -> candle_core::Result<Vec<Tensor>> {
        let copies = self.averages.variables.iter().map(|variable| variable.var.as_detached_tensor().copy());
        let trained = copies.collect::<candle_core::Result<Vec<_>>>()?;
        for Averaged { var, averages, .. } in &self.averages.variables {
            averages.iter().try_for_each(|average| var.set(&average.tensor()?.reshape(var.shape())?))?;
        }
        Ok(trained)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};
    use gan_core::Role;
    use std::collections::BTreeMap;
    use std::path::Path;

    #[test]
    fn weights_count_half_after_the_half_life_at_any_batch() {
        for images in [1.0, 8.0, 64.0] {
            let theta = Var::new(&[1f32], &Device::Cpu).unwrap();
            let mut ema = Ema::new(&[Param::whole("a", theta.clone(), Role::Weight)]).unwrap();
            theta.set(&Tensor::new(&[0f32], &Device::Cpu).unwrap()).unwrap();
            let mut follow = |half_life| ema.follow(Decay::HalfLife { images, half_life }).unwrap();
            (0..(256.0 / images) as usize).for_each(|_| follow(256.0));
            let value = |ema: &Ema| -> f32 { ema.in_place::<_, Error>(|| Ok(theta.to_vec1::<f32>()?[0])).unwrap() };
            assert!((value(&ema) - 0.5).abs() < 1e-5, "{}", value(&ema));
            ema.follow(Decay::HalfLife { images, half_life: 0.0 }).unwrap();
            assert_eq!(value(&ema), 0.0);
        }
    }

    #[test]
    fn the_average_follows_the_formula_and_restores_the_weights() {
        let theta = Var::new(&[1f32, 2.0, 3.0], &Device::Cpu).unwrap();
        let mean = Var::new(&[5f32], &Device::Cpu).unwrap();
        let params = [
            Param::window("a", &theta, 0, &[2], Role::Weight),
            Param::window("b", &theta, 2, &[1], Role::Bias),
            Param::whole("mean", mean.clone(), Role::RunningMean),
        ];
        let mut ema = Ema::new(&params).unwrap();
        let mut expected = [1.0, 2.0, 3.0, 5.0];
        for t in 1..=30 {
            let now = [f64::from(t), 0.5 * f64::from(t).sin(), -1.0, f64::from(t % 3)];
            theta.set(&Tensor::new(&[now[0] as f32, now[1] as f32, now[2] as f32], &Device::Cpu).unwrap()).unwrap();
            mean.set(&Tensor::new(&[now[3] as f32], &Device::Cpu).unwrap()).unwrap();
            ema.follow(Decay::Beta(0.6)).unwrap();
            let beta = 0.6f64.min((1.0 + f64::from(t)) / (10.0 + f64::from(t)));
            expected.iter_mut().zip(now).for_each(|(old, new)| *old = beta * *old + (1.0 - beta) * new);
        }
        let seen: Vec<f32> = ema.in_place::<_, Error>(|| Ok([theta.to_vec1()?, mean.to_vec1()?].concat())).unwrap();
        assert!(seen.iter().zip(expected).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5), "{seen:?} {expected:?}");
        assert_eq!(theta.to_vec1::<f32>().unwrap()[0], 30.0);

        let saved = ema.averages.tensors().unwrap();
        let mut other = Ema::new(&params).unwrap();
        other.averages.load(ema.averages.steps, &saved, Path::new("x")).unwrap();
        assert_eq!(
            other.in_place::<_, Error>(|| Ok([theta.to_vec1::<f32>()?, mean.to_vec1::<f32>()?].concat())).unwrap(),
            seen
        );
        assert!(other.averages.load(1, &BTreeMap::new(), Path::new("x")).unwrap_err().to_string().contains("\"a\""));
    }
}

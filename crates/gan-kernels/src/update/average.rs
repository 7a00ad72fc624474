//! Running averages of variables and gradients.

use super::CHUNK;
use crate::storage::with_elements;
use candle_core::{DType, Result, Tensor, Var, bail};
use rayon::prelude::*;
use std::sync::{Mutex, MutexGuard};

/// A running average with one number for each of a variable's.
#[derive(Debug)]
pub struct Average(pub(super) Kind);

#[derive(Debug)]
pub(super) enum Kind {
    /// Of an f32 variable on the CPU.
    Host(Mutex<Vec<f32>>),
    Other(Var),
}

impl Average {
    /// Returns zeros for `var`.
    ///
    /// # Errors
    /// From candle.
    pub fn zeros_like(var: &Var) -> Result<Self> {
        if var.device().is_cpu() && var.dtype() == DType::F32 {
            return Ok(Self(Kind::Host(Mutex::new(vec![0.0; var.elem_count()]))));
        }
        Ok(Self(Kind::Other(Var::from_tensor(&var.as_detached_tensor().zeros_like()?.flatten_all()?)?)))
    }

    /// Returns a copy of its numbers `[P]`.
    ///
    /// # Errors
    /// From candle.
    pub fn tensor(&self) -> Result<Tensor> {
        match &self.0 {
            Kind::Host(values) => Tensor::new(&lock(values)[..], &candle_core::Device::Cpu),
            Kind::Other(var) => var.as_detached_tensor().copy(),
        }
    }

    /// Sets the numbers from `start` on to those of `t`, of any shape.
    ///
    /// # Errors
    /// If their number does not fit.
    pub fn set(&self, start: usize, t: &Tensor) -> Result<()> {
        let flat = t.flatten_all()?;
        match &self.0 {
            Kind::Host(values) => {
                let flat: Vec<f32> = flat.to_vec1()?;
                let end = start.saturating_add(flat.len());
                match lock(values).get_mut(start..end) {
                    Some(to) => to.copy_from_slice(&flat),
                    None => bail!("an average has fewer than {end} numbers"),
                }
                Ok(())
            }
            Kind::Other(var) => {
                var.as_detached_tensor().slice_set(&flat.to_device(var.device())?.contiguous()?.copy()?, 0, start)
            }
        }
    }

    /// Updates average ← (1 − weight)·average + weight·value, with each number of `var`.
    ///
    /// # Errors
    /// If the average belongs to another variable.
    pub fn follow(&self, var: &Var, weight: f64) -> Result<()> {
        let value = var.as_detached_tensor().flatten_all()?;
        match &self.0 {
            Kind::Host(values) => with_elements::<f32, _>(&value, |new| {
                let (mut average, weight) = (lock(values), weight as f32);
                if average.len() != new.len() {
                    bail!("an average of {} numbers cannot follow a variable of {}", average.len(), new.len());
                }
                let pairs = average.par_chunks_mut(CHUNK).zip(new.par_chunks(CHUNK));
                pairs.for_each(|(old, new)| {
                    old.iter_mut().zip(new).for_each(|(old, new)| *old += weight * (new - *old))
                });
                Ok(())
            })?,
            Kind::Other(average) => {
                average.set(&((average.as_detached_tensor() * (1.0 - weight))? + (value * weight)?)?)
            }
        }
    }
}

pub(super) fn lock(values: &Mutex<Vec<f32>>) -> MutexGuard<'_, Vec<f32>> {
    values.lock().unwrap_or_else(|e| e.into_inner())
}

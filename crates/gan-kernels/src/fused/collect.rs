//! A backward pass that takes the gradients of networks' parameters out of candle's hands.
//!
//! Candle adds every gradient to a tensor of zeros first. For all parameters of a network that is four times the memory traffic of the gradient
//! itself, and dense networks are limited by memory. During [`backward`], a network whose parameters are a variable keeps their gradient
//! aside and adds later ones to it in place.

use crate::backend::Backend;
use crate::cpu::Cpu;
use crate::update;
use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor};
use std::cell::RefCell;

/// Gradients of variables, each with its variable.
type Aside = Vec<(Tensor, Vec<f32>)>;

thread_local! {
    /// What the backward pass of this thread has kept aside; `None` outside [`backward`].
    static ASIDE: RefCell<Option<Aside>> = const { RefCell::new(None) };
}

/// Returns the gradients of a scalar by all variables, as [`Tensor::backward`], in less time and memory.
///
/// # Errors
/// As [`Tensor::backward`].
pub fn backward(loss: &Tensor) -> Result<GradStore> {
    /// Restores what an outer pass has kept aside, also if this one panics.
    struct Restore(Option<Aside>);
    impl Drop for Restore {
        fn drop(&mut self) {
            ASIDE.set(self.0.take());
        }
    }
    let restore = Restore(ASIDE.replace(Some(vec![])));
    let grads = loss.backward();
    let found = ASIDE.take().unwrap_or_default();
    drop(restore);
    let mut grads = grads?;
    for (variable, values) in found {
        let own = Tensor::from_vec(values, variable.shape(), variable.device())?;
        let all = grads.get(&variable).map_or(Ok(own.clone()), |others| update::add(others, &own))?;
        grads.insert(&variable, all);
    }
    Ok(grads)
}

/// Keeps a gradient aside if `parameters` are a variable and [`backward`] runs; otherwise returns it.
pub(super) fn keep(parameters: &Tensor, gradient: Vec<f32>) -> Option<Vec<f32>> {
    if !parameters.is_variable() {
        return Some(gradient);
    }
    ASIDE.with_borrow_mut(|aside| {
        let Some(aside) = aside else { return Some(gradient) };
        match aside.iter_mut().find(|(variable, _)| variable.id() == parameters.id()) {
            Some((_, sum)) => Cpu.add(&gradient, sum),
            None => aside.push((parameters.clone(), gradient)),
        }
        None
    })
}

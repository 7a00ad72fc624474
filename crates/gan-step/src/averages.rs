//! Averages beside a network's variables, which checkpoints hold by the names of the parameters.

use crate::error::{Error, Result};
use candle_core::{Tensor, Var};
use gan_core::Param;
use gan_kernels::update::Average;
use std::collections::BTreeMap;
use std::path::Path;

/// A variable, all parameters that it contains, and its averages.
#[derive(Debug)]
pub struct Averaged {
    /// The variable.
    pub var: Var,
    /// Its averages.
    pub averages: Vec<Average>,
    /// Parameters that it contains.
    pub params: Vec<Param>,
}

/// The averages of a network's variables.
#[derive(Debug)]
pub struct Averages {
    /// The variables with their averages.
    pub variables: Vec<Averaged>,
    /// Number of updates.
    pub steps: u64,
    /// What stands before a parameter's name in checkpoints, for each average of a variable.
    prefixes: Vec<String>,
}

impl Averages {
    /// Returns the variables of `params`, with an average for each prefix, which are zeros.
    ///
    /// # Errors
    /// If they cannot be allocated.
    pub fn zeros<'a>(params: impl IntoIterator<Item = &'a Param>, prefixes: Vec<String>) -> Result<Self> {
        let mut variables = Vec::<Averaged>::new();
        for param in params {
            let var = param.var();
            if let Some(known) = variables.iter_mut().find(|known| known.var.id() == var.id()) {
                known.params.push(param.clone());
                continue;
            }
            let averages = prefixes.iter().map(|_| Average::zeros_like(var)).collect::<candle_core::Result<_>>()?;
            variables.push(Averaged { var: var.clone(), params: vec![param.clone()], averages });
        }
        Ok(Self { variables, steps: 0, prefixes })
    }

    /// Returns every average, with its prefix and the parameters that it covers.
    fn each(&self) -> impl Iterator<Item = (&Average, &String, &[Param])> {
        self.variables.iter().flat_map(|Averaged { averages, params, .. }| {
            averages.iter().zip(&self.prefixes).map(|(average, prefix)| (average, prefix, &params[..]))
        })
    }

    /// Returns the averages by parameter, such as `first.<parameter>`.
    ///
    /// # Errors
    /// From candle.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut found = BTreeMap::new();
        for (average, prefix, params) in self.each() {
            let values = average.tensor()?;
            for param in params {
                let own = values.narrow(0, param.start(), param.elem_count())?.reshape(param.dims())?;
                found.insert(format!("{prefix}{}", param.name), own);
            }
        }
        Ok(found)
    }

    /// Restores averages that [`Averages::tensors`] returned after `steps` updates. `from` is for messages.
    ///
    /// # Errors
    /// If one is missing or has another shape.
    pub fn load(&mut self, steps: u64, tensors: &BTreeMap<String, Tensor>, from: &Path) -> Result<()> {
        for (average, prefix, params) in self.each() {
            for param in params {
                let name = format!("{prefix}{}", param.name);
                match tensors.get(&name) {
                    Some(t) if t.dims() == param.dims() => average.set(param.start(), t)?,
                    _ => {
                        let kind = if prefix.is_empty() { "average" } else { "optimiser state" };
                        let problem = format!("has no {kind} \"{name}\" of shape {:?}", param.dims());
                        return Err(Error::file(from, problem));
                    }
                }
            }
        }
        self.steps = steps;
        Ok(())
    }
}

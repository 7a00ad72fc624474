//! Averages beside a network's variables, which checkpoints hold by the names of the parameters.

use crate::error::{Error, Result};
use candle_core::{Tensor, Var};
use gan_core::Param;
use gan_kernels::update::Average;
use std::collections::BTreeMap;
use std::path::Path;

/// A variable, all parameters that it contains, and its averages.
#[derive(Debug)]
pub(crate) struct Averaged {
    pub var: Var,
    pub params: Vec<Param>,
    pub averages: Vec<Average>,
}

/// Returns the variables of `params`, with `count` averages each, which are zeros.
pub(crate) fn zeros<'a>(params: impl IntoIterator<Item = &'a Param>, count: usize) -> Result<Vec<Averaged>> {
    let mut all = Vec::<Averaged>::new();
    for param in params {
        let var = param.var();
        if let Some(known) = all.iter_mut().find(|known| known.var.id() == var.id()) {
            known.params.push(param.clone());
            continue;
        }
        let averages = (0..count).map(|_| Average::zeros_like(var)).collect::<candle_core::Result<_>>()?;
        all.push(Averaged { var: var.clone(), params: vec![param.clone()], averages });
    }
    Ok(all)
}

/// Returns the averages by parameter: `<prefix><parameter>`, with a prefix for each average.
pub(crate) fn tensors(all: &[Averaged], prefixes: &[String]) -> Result<BTreeMap<String, Tensor>> {
    let mut found = BTreeMap::new();
    for Averaged { params, averages, .. } in all {
        for (average, prefix) in averages.iter().zip(prefixes) {
            let values = average.tensor()?;
            for param in params {
                let own = values.narrow(0, param.start(), param.elem_count())?.reshape(param.dims())?;
                found.insert(format!("{prefix}{}", param.name), own);
            }
        }
    }
    Ok(found)
}

/// Restores averages that [`tensors`] returned. `kind` and `from` are for messages.
pub(crate) fn load(
    all: &[Averaged],
    prefixes: &[String],
    tensors: &BTreeMap<String, Tensor>,
    kind: &str,
    from: &Path,
) -> Result<()> {
    for Averaged { params, averages, .. } in all {
        for (average, prefix) in averages.iter().zip(prefixes) {
            for param in params {
                let name = format!("{prefix}{}", param.name);
                match tensors.get(&name) {
                    Some(t) if t.dims() == param.dims() => average.set(param.start(), t)?,
                    _ => {
                        let problem = format!("has no {kind} \"{name}\" of shape {:?}", param.dims());
                        return Err(Error::file(from, problem));
                    }
                }
            }
        }
    }
    Ok(())
}

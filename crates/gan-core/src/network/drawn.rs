//! The numbers that a network's parameters start with: drawn by a rule, or those of a file.

use crate::init::Init;
use crate::layer::Layer;
use crate::params::{Described, Role};
use candle_core::{DType, Device, Result, Tensor, bail};
use gan_base::Rng;
use std::collections::BTreeMap;

/// Where a network's parameters get their first numbers.
pub(super) enum InitialValues<'a> {
    /// From a rule, in the order of the parameters.
    Drawn(Init, &'a mut Rng),
    /// From tensors by name, as a weight file holds them.
    Given(&'a BTreeMap<String, Tensor>),
}

/// A parameter's initial numbers.
pub(super) struct Drawn {
    pub name: String,
    pub role: Role,
    pub start: Tensor,
}

impl InitialValues<'_> {
    /// Those of one layer's own parameters `params`, whose names begin with `name`.
    pub(super) fn of_layer(
        &mut self,
        name: &str,
        layer: &Layer,
        params: &[Described],
        device: &Device,
    ) -> Result<Vec<Drawn>> {
        let first = params.first().map(|(_, shape, _)| &shape[..]).unwrap_or_default();
        let one = |(suffix, shape, role): &Described| {
            let name = format!("{name}.{suffix}");
            let start = match self {
                Self::Drawn(init, rng) => {
                    let kernel = if *role == Role::Weight { shape } else { first };
                    let start = init.tensor(*role, shape, kernel, rng, device)?;
                    match layer.gain().filter(|_| *role == Role::Weight) {
                        Some(gain) => (start * gain)?,
                        None => start,
                    }
                }
                Self::Given(tensors) => match tensors.get(&name) {
                    Some(t) if t.dims() == shape => t.to_dtype(DType::F32)?.to_device(device)?,
                    Some(t) => bail!("\"{name}\" is {:?}, the network needs {shape:?}", t.dims()),
                    None => bail!("there is no tensor \"{name}\", which the network needs"),
                },
            };
            Ok(Drawn { name, role: *role, start })
        };
        params.iter().map(one).collect()
    }
}

//! The numbers that a network's parameters start with.

use crate::init::Init;
use crate::layer::Layer;
use crate::params::{self, Role};
use crate::rng::Rng;
use candle_core::{Device, Tensor};

/// A parameter's initial numbers.
pub(super) struct Drawn {
    pub name: String,
    pub role: Role,
    pub start: Tensor,
}

/// Draws the parameters of one layer over an input of `shape`; their names begin with `name`.
pub(super) fn draw(
    name: &str,
    layer: &Layer,
    shape: &[usize],
    init: Init,
    rng: &mut Rng,
    device: &Device,
) -> candle_core::Result<Vec<Drawn>> {
    let own = params::of_layer(layer, shape);
    let first = own.first().map(|(_, shape, _)| shape.clone()).unwrap_or_default();
    let one = |(suffix, shape, role): params::Described| {
        let kernel = if role == Role::Weight { &shape } else { &first };
        let mut start = init.tensor(role, &shape, kernel, rng, device)?;
        if let Some(gain) = layer.gain().filter(|_| role == Role::Weight) {
            start = (start * gain)?;
        }
        Ok(Drawn { name: format!("{name}.{suffix}"), role, start })
    };
    own.into_iter().map(one).collect()
}

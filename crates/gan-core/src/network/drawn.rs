//! The numbers that a network's parameters start with.

use crate::init::Init;
use crate::layer::Layer;
use crate::params::{self, Role};
use crate::rng::Rng;
use crate::shape::Shape;
use candle_core::{Device, Tensor};

/// A parameter's initial numbers and where they belong.
pub(super) struct Drawn {
    pub layer: usize,
    pub name: String,
    pub role: Role,
    pub start: Tensor,
}

/// Draws all parameters in the list's order.
pub(super) fn draw(
    input: &[usize],
    layers: &[Layer],
    shapes: &[Shape],
    init: Init,
    rng: &mut Rng,
    device: &Device,
) -> candle_core::Result<Vec<Drawn>> {
    let mut drawn = vec![];
    let befores = std::iter::once(input).chain(shapes.iter().map(Vec::as_slice));
    for (layer, (described, before)) in layers.iter().zip(befores).enumerate() {
        let own = params::of_layer(described, before);
        let kernel = own.first().map(|(_, shape, _)| shape.clone()).unwrap_or_default();
        for (suffix, shape, role) in own {
            let start = init.tensor(role, &shape, &kernel, rng, device)?;
            drawn.push(Drawn { layer, name: format!("main.{layer}.{suffix}"), role, start });
        }
    }
    Ok(drawn)
}

//! The discriminator of a run that is not training, which judges samples or supplies features.

use super::{candidates, of_owner, read};
use crate::error::{Error, Result};
use crate::plan::{Architecture, Plan};
use candle_core::Device;
use gan_base::Rng;
use gan_core::{LayeredDiscriminator, Param};
use std::path::Path;

/// Reads the discriminator in the newest complete checkpoint below `dir`, that of a run with the settings `plan`.
///
/// # Errors
/// If there is no complete checkpoint, or its discriminator does not fit the settings.
pub fn discriminator(plan: &Plan, dir: &Path, device: &Device) -> Result<LayeredDiscriminator> {
    let mut problem =
        Error::file(dir, "holds no checkpoint, and with it no discriminator: train the run on with --resume");
    for path in candidates(dir) {
        let tensors = match read(&path) {
            Ok((_, tensors)) => tensors,
            Err(error) => {
                problem = error;
                continue;
            }
        };
        let Architecture { input, layers, init } = &plan.discriminator;
        // Every initial value is replaced.
        let network = LayeredDiscriminator::new(input, layers, *init, &mut Rng::new(0), device)?;
        Param::load(network.network().params(), &of_owner(&tensors, "discriminator"), &path)?;
        return Ok(network);
    }
    Err(problem)
}

//! Decides which networks are small enough to be run thousands of times, and runs them.

use crate::target::Outcome;
use candle_core::{Device, Tensor};
use gan_base::Rng;
use gan_core::RandomTensors;
use gan_core::summary::Summary;
use gan_core::{Discriminator, ForwardContext, Generator, Layer, LayeredDiscriminator, LayeredGenerator};

/// Maximum number of parameters.
const PARAMETERS: usize = 200_000;
/// Maximum number of multiply-adds in one call, over all samples.
const MULTIPLY_ADDS: usize = 20_000_000;
/// Maximum number of values in the outputs of all layers, over all samples.
const ACTIVATIONS: usize = 2_000_000;

/// Returns whether a network can be run on `samples` samples within a few milliseconds.
///
/// # Errors
/// If the layers do not fit together.
pub fn is_small(name: &str, input: &[usize], layers: &[Layer], samples: usize) -> gan_core::Result<bool> {
    let summary = Summary::new(name, input, layers)?;
    let size = |shape: &[usize]| shape.iter().fold(1usize, |all, side| all.saturating_mul(*side));
    let sum = |values: &mut dyn Iterator<Item = usize>| values.fold(0usize, usize::saturating_add);
    let parameters = sum(&mut summary.rows.iter().map(|row| row.trained.saturating_add(row.fixed)));
    let multiply_adds = sum(&mut summary.rows.iter().map(|row| row.multiply_adds)).saturating_mul(samples);
    let activations = sum(&mut summary.rows.iter().map(|row| size(&row.output))).saturating_add(size(input));
    Ok(parameters <= PARAMETERS && multiply_adds <= MULTIPLY_ADDS && activations.saturating_mul(samples) <= ACTIVATIONS)
}

/// Generates three samples, as `gan generate` does.
///
/// # Errors
/// If the network cannot be run.
pub fn sample(generator: &LayeredGenerator, latent: &gan_core::Latent) -> Outcome {
    let z = latent.sample(3, &mut Rng::new(1), &Device::Cpu)?;
    let classes =
        generator.classes().map(|known| Tensor::new(&[0, (known as u32).wrapping_sub(1), 1][..], &Device::Cpu));
    let samples = gan_core::samples(generator, &z, classes.transpose()?.as_ref())?;
    samples.flatten_all()?.to_vec1::<f32>()?;
    Ok(())
}

/// Runs a discriminator on three samples.
///
/// # Errors
/// If the network cannot be run.
pub fn judge(discriminator: &LayeredDiscriminator, input: &[usize]) -> Outcome {
    let shape = [&[3], input].concat();
    let x = Rng::new(1).normal_tensor(0.0, 1.0, shape, &Device::Cpu)?;
    let classes =
        discriminator.classes().map(|known| Tensor::new(&[0, (known as u32).wrapping_sub(1), 1][..], &Device::Cpu));
    let verdict = discriminator.forward(&x, &mut ForwardContext::eval().of_classes(classes.transpose()?.as_ref()))?;
    verdict.logits.to_vec1::<f32>()?;
    Ok(())
}

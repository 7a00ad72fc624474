//! Descriptions of networks with matching tensors, saved to a weight file, read back and run.
//!
//! A network that can be built must also survive saving, reading and running.

use super::small;
use crate::place;
use crate::target::{Memory, Outcome, Seed, Target};
use candle_core::Device;
use gan_base::Rng;
use gan_core::weights::{self, Description, FORMAT};
use gan_core::{Init, LayeredDiscriminator, LayeredGenerator};

/// Builds the described network, saves it, reads it back and runs it.
pub const TARGET: Target =
    Target { name: "network", body, seeds, tokens: TOKENS, memory: Memory { mebibytes: 64, per_byte: 512 } };

/// The words of descriptions.
pub const TOKENS: &[&str] = &[
    "{\"dense\":",
    "{\"conv\":",
    ",\"kernel\":",
    ",\"stride\":",
    ",\"padding\":",
    ",\"dilation\":",
    ",\"groups\":",
    ",\"bias\":false",
    ",\"gain\":",
    ",\"output_padding\":",
    "{\"conv_transpose\":",
    "{\"batch_norm\":{}}",
    "{\"conditional_batch_norm\":",
    "{\"instance_norm\":{}}",
    "{\"layer_norm\":{}}",
    "{\"group_norm\":",
    "{\"leaky_relu\":",
    "{\"elu\":",
    "{\"dropout\":",
    "{\"reshape\":[",
    "{\"upsample\":",
    "{\"bilinear\":",
    "{\"pixel_shuffle\":",
    "{\"zero_pad\":",
    "{\"avg_pool\":",
    "{\"blur_pool\":",
    "{\"minibatch_std\":",
    "{\"attention\":",
    "{\"residual\":[",
    "\"skip\":[",
    "{\"concat_class\":",
    "\"embedding\":",
    "{\"projection\":",
    "{\"auxiliary\":",
    "\"relu\"",
    "\"prelu\"",
    "\"silu\"",
    "\"gelu\"",
    "\"tanh\"",
    "\"sigmoid\"",
    "\"pixel_norm\"",
    "\"flatten\"",
    "\"global_max_pool\"",
    "\"global_avg_pool\"",
    "\"same\"",
    "\"valid\"",
    "\"spectral_norm\":true",
    "\"momentum\":",
    "\"eps\":",
    "\"affine\":false",
    "\"running_variance\":\"biased\"",
    "\"truncation\":",
    "\"uniform\"",
    "\"discriminator\"",
    "\"generator\"",
    "}",
    "]",
    ",",
    "[",
    "{",
    "null",
];

/// A generator of points with dense layers.
pub const DENSE: &str = r#"{"format":1,"network":"generator","input":[3],"layers":[{"dense":5},{"batch_norm":{}},{"leaky_relu":0.2},{"dense":4,"bias":false},"prelu",{"minibatch_std":2},"pixel_norm",{"dense":2}],"latent":{"dim":3},"data":{"name":"ring","shape":[2],"range":[-1.0,1.0],"classes":[],"units":[[-2.0,2.0],[-1.0,1.0]]},"preset":"p","step":1,"seed":1,"library":"0"}"#;

/// A generator of images with convolutions.
pub const CONV: &str = r#"{"format":1,"network":"generator","input":[4,1,1],"layers":[{"conv_transpose":8,"kernel":4},{"batch_norm":{"momentum":0.2}},"relu",{"conv_transpose":4,"kernel":4,"stride":2,"padding":1,"bias":false},{"residual":[{"conv":4,"kernel":3,"padding":"same"},{"group_norm":2},"silu"]},{"residual":[{"conv":2,"kernel":3,"padding":1}],"skip":[{"conv":2,"kernel":1}]},{"upsample":2},{"blur_pool":2},{"conv":1,"kernel":[3,1],"padding":[1,0]},"tanh"],"latent":{"dim":4,"distribution":"uniform"},"data":{"name":"made","shape":[1,8,8],"range":[-1.0,1.0],"classes":[]},"preset":"p","step":1,"seed":1,"library":"0"}"#;

/// A class-conditional generator.
const CLASSES: &str = r#"{"format":1,"network":"generator","input":[4],"layers":[{"concat_class":3,"embedding":2},{"dense":32},{"reshape":[2,4,4]},{"conditional_batch_norm":3},{"elu":1.0},{"pixel_shuffle":1},{"attention":2},{"bilinear":2},{"zero_pad":[0,1,0,1]},{"conv":1,"kernel":2,"spectral_norm":true},"tanh"],"latent":{"dim":4,"truncation":0.7},"data":{"name":"made","shape":[1,8,8],"range":[-1.0,1.0],"classes":["a","b","c"]},"preset":"p","step":1,"seed":1,"library":"0"}"#;

/// A discriminator.
const DISCRIMINATOR: &str = r#"{"format":1,"network":"discriminator","input":[2,8,8],"layers":[{"conv":4,"kernel":3,"stride":2,"padding":1,"groups":2},{"instance_norm":{}},{"leaky_relu":0.2},{"dropout":0.5},{"conv":4,"kernel":3,"dilation":2,"padding":"same","spectral_norm":true},{"layer_norm":{"affine":false}},"gelu",{"avg_pool":2},"global_avg_pool",{"auxiliary":3}],"latent":{"dim":4},"data":{"name":"made","shape":[2,8,8],"range":[-1.0,1.0],"classes":["a","b","c"]},"preset":"p","step":1,"seed":1,"library":"0"}"#;

fn body(input: &[u8]) -> Outcome {
    without_tensors(input)?;
    let description: Description = serde_json::from_slice(input)?;
    let Description { network, input, layers, latent, data, .. } = &description;
    if !small::is_small(network, input, layers, 3)? {
        return Ok(());
    }
    if network == "discriminator" {
        let discriminator = LayeredDiscriminator::new(input, layers, Init::Glorot, &mut Rng::new(1), &Device::Cpu)?;
        return small::judge(&discriminator, input);
    }
    let generator = LayeredGenerator::new(latent, input, layers, Init::He, &mut Rng::new(1), &Device::Cpu)?;
    let bytes = weights::to_bytes(generator.network().params(), &description)?;
    let path = place::file(&place::folder("network")?, "generator.safetensors", &bytes)?;
    let consistent = description.format <= FORMAT
        && !description.custom
        && network == "generator"
        && data.shape == generator.network().output()
        && data.range.iter().all(|value| value.is_finite());
    match weights::read_generator(&path, &Device::Cpu) {
        Ok((_, again)) => small::sample(&again, latent),
        Err(error) if consistent => panic!("what was just written is refused: {error}"),
        Err(error) => Err(error.into()),
    }
}

/// Reads a weight file that contains only the description. It is refused, unless the network has no parameters, and needs no more memory
/// than any other small file.
fn without_tensors(description: &[u8]) -> Outcome {
    let text = serde_json::to_string(std::str::from_utf8(description)?)?;
    let header = format!("{{\"__metadata__\":{{\"gan\":{text}}}}}");
    let path = place::file(&place::folder("network")?, "empty.safetensors", &place::safetensors(header.as_bytes()))?;
    weights::read_generator(&path, &Device::Cpu).ok();
    Ok(())
}

/// Returns the bytes of a weight file with this description and random tensors.
pub fn file(description: &str) -> Vec<u8> {
    let description: Description = serde_json::from_str(description).expect("a seed is a description");
    let Description { input, layers, latent, .. } = &description;
    let generator = LayeredGenerator::new(latent, input, layers, Init::He, &mut Rng::new(1), &Device::Cpu);
    let generator = generator.expect("a seed describes a network");
    weights::to_bytes(generator.network().params(), &description).expect("tensors can be written")
}

fn seeds() -> Vec<Seed> {
    let all = [("dense", DENSE), ("conv", CONV), ("classes", CLASSES), ("discriminator", DISCRIMINATOR)];
    all.map(|(name, text)| (name, text.as_bytes().to_vec())).to_vec()
}

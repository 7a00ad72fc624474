//! Weight files: any bytes, or a header and the tensors' bytes.

use super::{network, small};
use crate::place;
use crate::target::{Memory, Outcome, Seed, Target};
use candle_core::Device;
use gan_core::weights;

/// Reads a weight file and generates samples.
pub const TARGET: Target =
    Target { name: "weights", body, seeds, tokens: network::TOKENS, memory: Memory { mebibytes: 64, per_byte: 64 } };

fn body(input: &[u8]) -> Outcome {
    let path = place::file(&place::folder("weights")?, "generator.safetensors", &place::safetensors(input))?;
    let (description, generator) = weights::read_generator(&path, &Device::Cpu)?;
    match small::is_small("generator", &description.input, &description.layers, 3)? {
        true => small::sample(&generator, &description.latent),
        false => Ok(()),
    }
}

fn seeds() -> Vec<Seed> {
    let (dense, conv) = (network::file(network::DENSE), network::file(network::CONV));
    vec![("dense-parts", place::safetensors_parts(&dense)), ("dense", dense), ("conv", conv)]
}

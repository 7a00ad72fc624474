//! Weight files of classifiers, with which `gan evaluate` embeds images.

use super::network;
use crate::place;
use crate::target::{Memory, Outcome, Seed, Target};
use candle_core::Device;
use gan_base::Rng;
use gan_core::RandomTensors;
use gan_core::weights::{Classifier, Resize};
use gan_core::{Init, Network, weights};
use gan_kernels::fused::Reuse;
use gan_metrics::embed::{Embedder, Layered};

/// Reads a classifier and embeds images with it.
pub const TARGET: Target = Target {
    name: "classifier",
    body,
    seeds,
    tokens: network::TOKENS,
    names: gan_core::layers::names,
    memory: Memory { mebibytes: 64, per_byte: 32 },
};

fn body(input: &[u8]) -> Outcome {
    let path = place::file(&place::folder("classifier")?, "classifier.safetensors", &place::safetensors(input))?;
    let embedder = Layered::read(&path)?;
    let Classifier { input, layers, resize, .. } = embedder.description();
    if !super::small::is_small("classifier", input, layers, 2)? {
        return Ok(());
    }
    let mut sizes = vec![[input[1], input[2]]];
    if *resize == Resize::Bilinear {
        sizes.push([input[1] + 3, input[2].div_ceil(2)]);
    }
    for [height, width] in sizes {
        let images = Rng::new(1).uniform_tensor(-1.0, 1.0, (2, input[0], height, width), &Device::Cpu)?;
        let embedding = embedder.embed(&images)?;
        assert_eq!(embedding.features.dims(), [2, embedder.info().card.dim]);
        assert_eq!(embedding.logits.map(|logits| logits.dims().to_vec()), Some(vec![2, embedder.info().classes.len()]));
    }
    Ok(())
}

fn seeds() -> Vec<Seed> {
    let layers =
        r#"[{"conv":2,"kernel":3,"stride":2},{"batch_norm":{}},"relu","flatten",{"dense":6},"relu",{"dense":3}]"#;
    let layers: Vec<gan_core::Layer> = serde_json::from_str(layers).expect("a seed is a list of layers");
    let input = vec![1, 8, 8];
    let network = Network::new("classifier", &input, &layers, Init::He, Reuse::Never, &mut Rng::new(1), &Device::Cpu);
    let network = network.expect("a seed describes a network");
    let description = Classifier {
        format: weights::FORMAT,
        network: "classifier".into(),
        input,
        layers,
        features_before: Some(4),
        resize: Resize::Bilinear,
        classes: ["a", "b", "c"].map(String::from).to_vec(),
        data: "made".into(),
        accuracy: 0.5,
        seed: 1,
        library: "0".into(),
    };
    let bytes = weights::to_bytes(network.params(), &description).expect("tensors can be written");
    vec![("parts", place::safetensors_parts(&bytes)), ("small", bytes)]
}

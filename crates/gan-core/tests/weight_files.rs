//! Weight files restore the generator, and are checked before anything is built.

mod common;

use candle_core::{DType, Tensor};
use common::{KERAS, layers};
use gan_base::Rng;
use gan_core::weights::{self, DataDescription, Description, FORMAT};
use gan_core::{
    Discriminator, Distribution, ForwardContext, Generator, Init, Latent, LayeredDiscriminator, LayeredGenerator,
    Param, RandomTensors,
};
use gan_kernels::testing::test_device;
use std::path::Path;

fn generator(seed: u64) -> (LayeredGenerator, Description) {
    let latent = Latent { dim: 100, distribution: Distribution::Uniform, truncation: None };
    let (list, input) = (layers(KERAS), vec![100]);
    let g = LayeredGenerator::new(&latent, &input, &list, Init::He, &mut Rng::new(seed), test_device()).unwrap();
    let data = DataDescription {
        name: "x".into(),
        shape: vec![1, 14, 14],
        range: [-1.0, 1.0],
        classes: vec![],
        units: vec![],
    };
    let (network, preset, library) = ("generator".into(), "p".into(), "0".into());
    let description = Description {
        format: FORMAT,
        network,
        input,
        layers: list,
        custom: false,
        latent,
        data,
        preset,
        step: 3,
        seed,
        library,
    };
    (g, description)
}

#[test]
fn a_weight_file_alone_restores_the_generator() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("g.safetensors");
    let (g, description) = generator(1);
    let bytes = weights::to_bytes(&g.params(), &description).unwrap();
    assert_eq!(bytes, weights::to_bytes(&g.params(), &description).unwrap(), "the same bytes every time");
    std::fs::write(&path, bytes).unwrap();
    let (found, again) = weights::read_generator(&path, test_device()).unwrap();
    assert_eq!(found, description);
    let z = description.latent.sample(2, &mut Rng::new(3), test_device()).unwrap();
    let run = |g: &LayeredGenerator| {
        g.forward(&z, &mut ForwardContext::eval()).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    assert_eq!(run(&g), run(&again));
}

#[test]
fn a_generator_can_be_read_from_bytes() {
    let (g, description) = generator(1);
    let bytes = weights::to_bytes(&g.params(), &description).unwrap();
    let (found, again) = weights::generator_from_bytes(&bytes, test_device()).unwrap();
    assert_eq!(found, description);
    let z = description.latent.sample(2, &mut Rng::new(3), test_device()).unwrap();
    let run = |g: &LayeredGenerator| {
        g.forward(&z, &mut ForwardContext::eval()).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    assert_eq!(run(&g), run(&again));
    let error = weights::generator_from_bytes(&bytes[..bytes.len() - 1], test_device()).unwrap_err().to_string();
    assert!(error.contains("is not a whole safetensors file"), "{error}");
}

#[test]
fn a_discriminator_is_read_as_one_and_not_as_a_generator() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d.safetensors");
    let (g, description) = generator(1);
    let list = layers("[\"flatten\", { dense = 1 }]");
    let d = LayeredDiscriminator::new(&[1, 14, 14], &list, Init::He, &mut Rng::new(1), test_device()).unwrap();
    let of_d =
        Description { network: "discriminator".into(), input: vec![1, 14, 14], layers: list, ..description.clone() };
    std::fs::write(&path, weights::to_bytes(&d.params(), &of_d).unwrap()).unwrap();
    let (found, again) = weights::read_discriminator(&path, test_device()).unwrap();
    assert_eq!(found, of_d);
    let x = Rng::new(3).normal_tensor(0.0, 1.0, (2, 1, 14, 14), test_device()).unwrap();
    let run =
        |d: &LayeredDiscriminator| d.forward(&x, &mut ForwardContext::eval()).unwrap().logits.to_vec1::<f32>().unwrap();
    assert_eq!(run(&d), run(&again));
    let error = weights::read_generator(&path, test_device()).unwrap_err().to_string();
    assert!(error.contains("holds a discriminator, a generator is needed"), "{error}");
    std::fs::write(&path, weights::to_bytes(&g.params(), &description).unwrap()).unwrap();
    let error = weights::read_discriminator(&path, test_device()).unwrap_err().to_string();
    assert!(error.contains("holds a generator, a discriminator is needed"), "{error}");
}

/// Returns a weight file that describes a network but contains no tensors.
fn file_without_tensors(description: &Description) -> Vec<u8> {
    weights::to_bytes(&[], description).unwrap()
}

#[test]
fn a_network_is_built_only_if_the_file_has_its_tensors() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("g.safetensors");
    let (g, mut description) = generator(1);
    let failed = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let error = weights::read_generator(&path, test_device()).unwrap_err().to_string();
        for other in [
            weights::read_description(&path).unwrap_err(),
            weights::from_bytes::<Description>(bytes, &path).unwrap_err(),
        ] {
            assert_eq!(other.to_string(), error);
        }
        error
    };
    let missing = failed(&file_without_tensors(&description));
    let words = "has no tensor \"main.0.weight\" (nor \"main.0.bias\", \"main.2.weight\", \"main.2.bias\", \"main.3.weight\" and 5 more)";
    assert!(missing.contains(words), "{missing}");
    let list = layers("[{ dense = 196, bias = false }, { reshape = [1, 14, 14] }]");
    let narrow = Description { layers: list, ..description.clone() };
    let narrow = failed(&weights::to_bytes(&g.params(), &narrow).unwrap());
    let words = "tensor \"main.0.weight\" is [6272, 100], the network's layer list needs [196, 100]";
    assert!(narrow.contains(words), "{narrow}");
    // The description has four gigabytes of parameters, and the file none.
    description.layers = layers("[{ dense = 10000000 }]");
    description.data.shape = vec![10_000_000];
    let large = failed(&file_without_tensors(&description));
    assert!(large.contains("has no tensor \"main.0.weight\" (nor \"main.0.bias\")"), "{large}");
    // No sample can be drawn from this latent space.
    let latent = Latent { dim: 1 << 30, ..description.latent };
    let shape = vec![1 << 30];
    let data = DataDescription { shape: shape.clone(), ..description.data.clone() };
    let wide = Description { latent, input: shape, data, layers: layers("[\"tanh\"]"), ..description };
    std::fs::write(&path, file_without_tensors(&wide)).unwrap();
    let error = weights::read_generator(&path, test_device()).unwrap_err().to_string();
    assert!(error.contains("latent vectors of 1073741824 numbers") && error.contains("at most 1048576"), "{error}");
}

#[test]
fn loading_checks_everything_before_it_changes_anything() {
    let (g, _) = generator(1);
    let (other, _) = generator(2);
    let before: Vec<(String, Tensor)> =
        Param::tensors(&g.params()).unwrap().into_iter().map(|(name, t)| (name, t.copy().unwrap())).collect();
    let mut tensors = Param::tensors(&other.params()).unwrap();
    tensors.insert("main.5.bias".into(), Tensor::zeros(2, DType::F32, test_device()).unwrap());
    let error = Param::load(&g.params(), &tensors, Path::new("f.safetensors")).unwrap_err().to_string();
    assert!(error.contains("f.safetensors") && error.contains("main.5.bias") && error.contains("[2]"), "{error}");
    for (name, tensor) in &before {
        let now = Param::tensors(&g.params()).unwrap()[name].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(now, tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap(), "{name}");
    }
}

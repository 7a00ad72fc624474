//! Models of every preset and every layer.

#[path = "../../../gan-core/tests/common/examples.rs"]
mod examples;

use candle_core::{Device, Tensor};
use examples::EXAMPLES;
use gan_base::Rng;
use gan_core::layers::list;
use gan_core::weights::{DataDescription, Description, FORMAT};
use gan_core::{
    Discriminator, Distribution, Generator, Init, Latent, Layer, LayeredDiscriminator, LayeredGenerator, Param,
    RandomTensors, Role,
};
use gan_export::{Model, Network};
use gan_train::{Plan, presets};

/// Returns a model of each layer's example, with the layer's name: a generator whose "latent vectors" are the example's input.
pub fn layers() -> Vec<(String, Model)> {
    #[derive(serde::Deserialize)]
    struct List(#[serde(deserialize_with = "list")] Vec<Layer>);
    let one = |(name, input, text): &(&str, &[usize], &str)| {
        let List(layers) = serde_json::from_str(text).expect("a list");
        let latent = Latent { dim: input.iter().product(), distribution: Distribution::Normal, truncation: None };
        (format!("layer-{name}"), generator(latent, input, &layers, Init::He, name))
    };
    EXAMPLES.iter().map(one).collect()
}

/// Returns a model of each preset's generator and discriminator, with the preset's name.
pub fn preset_models() -> Vec<(String, Model)> {
    presets::ALL.iter().flat_map(|preset| of_preset(preset.name)).collect()
}

/// Returns a model of a preset's generator and discriminator.
pub fn of_preset(name: &str) -> [(String, Model); 2] {
    let plan = Plan::preset(name).expect("a preset");
    let latent = plan.config().latent;
    let g = &plan.generator;
    let generator = generator(latent, &g.input, &g.layers, g.init, name);
    let d = &plan.discriminator;
    let network =
        LayeredDiscriminator::new(&d.input, &d.layers, d.init, &mut Rng::new(2), &Device::Cpu).expect("a network");
    stir(&network.params());
    let description = Description {
        network: "discriminator".into(),
        input: d.input.clone(),
        layers: d.layers.clone(),
        ..generator.description.clone()
    };
    let discriminator = Model { network: Network::Discriminator(network), description };
    [(name.to_string(), generator), (format!("{name}-discriminator"), discriminator)]
}

/// Returns a generator with parameters as after some training.
pub fn generator(latent: Latent, input: &[usize], layers: &[Layer], init: Init, preset: &str) -> Model {
    let network =
        LayeredGenerator::new(&latent, input, layers, init, &mut Rng::new(1), &Device::Cpu).expect("a network");
    stir(&network.params());
    let classes = network.classes().unwrap_or(0);
    let data = DataDescription {
        name: "synthetic".into(),
        shape: network.network().output().to_vec(),
        range: [-1.0, 1.0],
        classes: (0..classes).map(|class| format!("class {class}")).collect(),
        units: vec![],
    };
    let description = Description {
        format: FORMAT,
        network: "generator".into(),
        input: input.to_vec(),
        layers: layers.to_vec(),
        custom: false,
        latent,
        data,
        preset: preset.into(),
        step: 1,
        seed: 1,
        library: "0".into(),
    };
    Model { network: Network::Generator(network), description }
}

/// Moves parameters away from their initial values: those that are still 0 or 1 would hide errors.
fn stir(params: &[Param]) {
    let mut rng = Rng::new(7);
    for param in params {
        let tensor = param.tensor().expect("a tensor");
        let random = rng.normal_tensor(0.0, 1.0, param.dims(), &Device::Cpu).expect("numbers");
        let changed = match param.role {
            Role::Weight if is_zero(&tensor) => random * 0.05,
            Role::Weight | Role::Embedding => Ok(tensor),
            Role::RunningVariance => (random * 0.3).and_then(|random| random.exp()),
            Role::Direction => Ok(random),
            _ => (random * 0.1).and_then(|random| tensor + random),
        };
        param.set(&changed.expect("numbers")).expect("the same shape");
    }
}

fn is_zero(tensor: &Tensor) -> bool {
    tensor.abs().and_then(|t| t.flatten_all()?.max(0)?.to_scalar::<f32>()).is_ok_and(|largest| largest == 0.0)
}

//! The graph of every layer computes what the layer does in evaluation mode.

#[path = "common/examples.rs"]
mod examples;

use candle_core::{DType, Device, Result, Tensor};
use examples::EXAMPLES;
use gan_base::Rng;
use gan_core::graph::{Definition, Graph, GraphContext, Op, Value};
use gan_core::layers::{Dual, LayerContext, LayerSpec};
use gan_core::pytorch::sequential;
use gan_core::{ForwardContext, Init, Layer, Network, RandomTensors, Role};
use gan_kernels::Precision;
use gan_kernels::fused::Reuse;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct List(#[serde(deserialize_with = "gan_core::layers::list")] Vec<Layer>);

fn network(input: &[usize], text: &str) -> Network {
    let List(layers) = serde_json::from_str(text).unwrap();
    let mut rng = Rng::new(3);
    let network = Network::new("n", input, &layers, Init::He, Reuse::Never, &mut rng, &Device::Cpu).unwrap();
    // Parameters that are still 0 or 1 would hide errors.
    for param in network.params() {
        let noise = rng.uniform_tensor(0.1, 0.6, param.dims(), &Device::Cpu).unwrap();
        param.set(&(param.tensor().unwrap() + noise).unwrap()).unwrap();
    }
    network.with_precision(Precision::F32Accurate).unwrap()
}

/// Returns the largest difference between both, relative to the largest number.
fn distance(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let largest = |t: &Tensor| t.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
    largest(&(a - b).unwrap()) / largest(b).max(1e-3)
}

fn compare(name: &str, network: &Network, samples: usize) {
    let x = Rng::new(5).normal_tensor(0.0, 1.0, [&[samples], network.input()].concat(), &Device::Cpu).unwrap();
    let classes = Tensor::from_iter((0..samples).map(|i| (i % 3) as u32), &Device::Cpu).unwrap();
    let own = network.forward(&x, &mut ForwardContext::eval().of_classes(Some(&classes))).unwrap();
    let graph = Graph::of_network(network).unwrap();
    for graph in [graph.clone(), graph.with_folded_batch_norm().unwrap()] {
        let found = graph.run(&[("x", &x), ("class", &classes)]).unwrap().remove(0);
        let error = distance(&found, &own);
        assert!(error < 1e-5, "{name}, {samples} samples: {error}");
        let wide = graph.run(&[("x", &x.to_dtype(DType::F64).unwrap()), ("class", &classes)]).unwrap().remove(0);
        let error = distance(&wide.to_dtype(DType::F32).unwrap(), &own);
        assert!(error < 1e-5, "{name} in f64: {error}");
    }
}

#[test]
fn every_layer_has_a_graph_that_computes_the_same() {
    for (name, input, text) in EXAMPLES {
        let network = network(input, text);
        // Groups of a minibatch standard deviation divide 6, and only 1 of them divides 5.
        compare(name, &network, 6);
        compare(name, &network, 5);
    }
}

#[test]
fn every_layer_has_a_pytorch_module() {
    for (name, input, text) in EXAMPLES {
        let List(layers) = serde_json::from_str(text).unwrap();
        let module = sequential(input, &layers).unwrap();
        assert_eq!(module.takes_class, layers.iter().any(|layer| layer.classes().is_some()) && *name != "auxiliary");
    }
}

#[test]
fn blur_pooling_with_any_step_is_a_convolution() {
    for step in 1..=7 {
        for side in 7..=9 {
            let network = network(&[2, side, 9], &format!(r#"[{{"blur_pool": {step}}}]"#));
            compare(&format!("step {step} over {side}"), &network, 2);
        }
    }
}

#[test]
fn batch_norm_is_folded_only_into_a_kernel_that_nothing_else_reads() {
    let conv = r#"{"conv": 3, "kernel": 3, "bias": false}"#;
    let transposed = r#"{"conv_transpose": 3, "kernel": 3, "stride": 2}"#;
    let dense = r#""flatten", {"dense": 5}"#;
    let norm = r#"{"batch_norm": {"eps": 1e-3}}"#;
    let norms = |network: &Network| {
        let graph = Graph::of_network(network).unwrap().with_folded_batch_norm().unwrap();
        let used = graph.used();
        let is_norm = |definition: &Definition| matches!(definition, Definition::Node { op: Op::BatchNorm { .. }, .. });
        graph.definitions().iter().zip(used).filter(|(definition, used)| *used && is_norm(definition)).count()
    };
    for (list, left) in [
        (format!("[{conv}, {norm}, \"relu\", {transposed}, {norm}, {dense}, {norm}]"), 0),
        (format!("[{norm}, {conv}]"), 1),
        (format!("[{conv}, \"relu\", {norm}]"), 1),
        (format!("[{conv}, {{\"residual\": [{norm}, \"relu\"]}}]"), 1),
    ] {
        let network = network(&[2, 6, 6], &list);
        assert_eq!(norms(&network), left, "{list}");
        compare(&list, &network, 3);
    }
}

#[test]
fn spectral_norm_is_part_of_the_kernels() {
    let network = network(&[4], r#"[{"dense": 3, "spectral_norm": true}]"#);
    let graph = Graph::of_network(&network).unwrap();
    let names: Vec<&str> = graph.definitions().iter().map(Definition::name).collect();
    assert_eq!(names, ["x", "main.0.weight", "main.0.bias", "main.0/Gemm"]);
    assert!(network.params().iter().any(|param| param.role == Role::Direction));
}

/// A layer of a user that cannot be exported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Plain;

impl LayerSpec for Plain {
    const NAME: &'static str = "plain";
    const IS_NONLINEAR: bool = false;

    fn forward(&self, x: &Dual, _: &mut LayerContext) -> Result<Dual> {
        Ok(x.clone())
    }
}

/// A layer of a user that can be exported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Twice;

impl LayerSpec for Twice {
    const NAME: &'static str = "twice";
    const IS_NONLINEAR: bool = false;

    fn forward(&self, x: &Dual, _: &mut LayerContext) -> Result<Dual> {
        x.affine(2.0, 0.0)
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        cx.times(x, 2.0)
    }
}

#[test]
fn a_layer_of_your_own_is_exported_or_named() {
    let of = |layer: Layer| {
        let layers = [layer];
        Network::new("n", &[3], &layers, Init::He, Reuse::Never, &mut Rng::new(1), &Device::Cpu).unwrap()
    };
    compare("twice", &of(Twice.into()), 2);
    let error = Graph::of_network(&of(Plain.into())).unwrap_err().to_string();
    assert!(error.contains("\"plain\"") && error.contains("LayerSpec::graph"), "{error}");
    let error = sequential(&[3], &[Plain.into()]).unwrap_err();
    assert!(error.contains("\"plain\"") && error.contains("LayerSpec::pytorch"), "{error}");
}

//! Checks every layer of the registry: its gradient and its directional derivative against finite differences, its fused form and the
//! derivative of that against its forward pass in candle operations, and its row in docs/layers.md.

#[path = "common/examples.rs"]
mod examples;

use candle_core::{Device, Tensor, Var};
use examples::EXAMPLES;
use gan_base::Rng;
use gan_core::layers::names;
use gan_core::{ForwardContext, Init, Layer, Network, RandomTensors};
use gan_kernels::Precision;
use gan_kernels::fused::Reuse;

/// Samples in a batch.
const SAMPLES: usize = 6;

struct Case {
    network: Network,
    x: Tensor,
    classes: Tensor,
}

impl Case {
    fn new(input: &[usize], text: &str) -> Self {
        #[derive(serde::Deserialize)]
        struct List(#[serde(deserialize_with = "gan_core::layers::list")] Vec<Layer>);
        let List(layers) = serde_json::from_str(text).unwrap();
        let mut rng = Rng::new(3);
        let network = Network::new("n", input, &layers, Init::He, Reuse::Never, &mut rng, &Device::Cpu).unwrap();
        let network = network.with_precision(Precision::F32Accurate).unwrap();
        // Parameters that are still 0 or 1 would hide errors.
        for param in network.params() {
            let noise = rng.uniform_tensor(0.1, 0.6, param.dims(), &Device::Cpu).unwrap();
            param.set(&(param.tensor().unwrap() + noise).unwrap()).unwrap();
        }
        let x = rng.normal_tensor(0.0, 1.0, [&[SAMPLES], input].concat(), &Device::Cpu).unwrap();
        let classes = Tensor::new(&[0u32, 2, 1, 2, 0, 1], &Device::Cpu).unwrap();
        Self { network, x, classes }
    }

    /// Runs `f` with a forward context that has the same random numbers and kernels each time.
    fn with_pass<R>(&self, f: impl FnOnce(&mut ForwardContext) -> candle_core::Result<R>) -> R {
        f(&mut ForwardContext::steady(&mut Rng::new(7)).of_classes(Some(&self.classes))).unwrap()
    }

    fn reference(&self, x: &Tensor) -> Tensor {
        self.with_pass(|pass| self.network.forward_reference(x, pass))
    }

    /// (y(x + εt) − y(x − εt)) / 2ε
    fn difference(&self, t: &Tensor) -> Vec<f32> {
        let epsilon = 2e-3;
        let at = |sign: f64| self.reference(&(&self.x + (t * (sign * epsilon)).unwrap()).unwrap());
        values(&((at(1.0) - at(-1.0)).unwrap() / (2.0 * epsilon)).unwrap())
    }
}

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

/// The largest difference relative to the largest number.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(1e-3f32, |m, x| m.max(x.abs()));
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |m, d| if d.is_nan() { f32::INFINITY } else { f32::max(m, d) })
        / largest
}

/// Returns a scalar that weights every output differently.
fn weigh(y: &Tensor) -> Tensor {
    let weights = Rng::new(9).normal_tensor(0.0, 1.0, y.shape(), &Device::Cpu).unwrap();
    (y * weights).unwrap().sum_all().unwrap()
}

#[test]
fn every_layer_has_an_example() {
    for name in names() {
        assert!(
            EXAMPLES.iter().any(|example| example.0 == name),
            "tests/common/examples.rs has no example of \"{name}\""
        );
    }
    assert_eq!(EXAMPLES.len(), names().len());
}

#[test]
fn directional_derivatives_equal_finite_differences() {
    for (name, input, text) in EXAMPLES {
        let case = Case::new(input, text);
        let t = Rng::new(5).normal_tensor(0.0, 1.0, case.x.shape(), &Device::Cpu).unwrap();
        let (_, ours) = case.with_pass(|pass| case.network.forward_jvp_reference(&case.x, &t, pass));
        let error = distance(&values(&ours), &case.difference(&t));
        assert!(error < 2e-2, "{name}: {error}");
    }
}

#[test]
fn gradients_equal_finite_differences() {
    for (name, input, text) in EXAMPLES {
        let case = Case::new(input, text);
        let x = Var::from_tensor(&case.x).unwrap();
        let gradient = weigh(&case.reference(x.as_tensor())).backward().unwrap();
        let gradient = values(gradient.get(&x).unwrap());
        let t = Rng::new(6).normal_tensor(0.0, 1.0, case.x.shape(), &Device::Cpu).unwrap();
        let along: f32 = gradient.iter().zip(values(&t)).map(|(g, t)| g * t).sum();
        let difference = case.difference(&t);
        let shape = case.reference(&case.x).shape().clone();
        let expected = values(&weigh(&Tensor::from_vec(difference, shape, &Device::Cpu).unwrap()))[0];
        let error = distance(&[along], &[expected]);
        assert!(error < 3e-2, "{name}: {along} and {expected}");
    }
}

#[test]
fn fused_forms_equal_the_candle_operations() {
    for (name, input, text) in EXAMPLES {
        let case = Case::new(input, text);
        let run = |fused: bool| {
            let x = Var::from_tensor(&case.x).unwrap();
            let y = case.with_pass(|pass| match fused {
                true => case.network.forward(x.as_tensor(), pass),
                false => case.network.forward_reference(x.as_tensor(), pass),
            });
            let grads = weigh(&y).backward().unwrap();
            let mut all = vec![values(&y), values(grads.get(&x).unwrap())];
            let trained = case.network.params().iter().filter(|param| param.role.is_trained());
            // In one list, because some are only rounding: those of a bias before a batch norm.
            all.push(trained.flat_map(|param| values(&param.of(grads.get(param.var()).unwrap()).unwrap())).collect());
            all
        };
        for (fused, plain) in run(true).iter().zip(&run(false)) {
            let error = distance(fused, plain);
            assert!(error < 2e-3, "{name}: {error}");
        }
    }
}

#[test]
fn fused_derivatives_and_their_gradients_equal_the_candle_operations() {
    for (name, input, text) in EXAMPLES {
        // Weights before the layer get gradients through it; the curve behind it makes adjoints of its values.
        let first = match input {
            [features] => format!(r#"{{"dense": {features}}}"#),
            sides => format!(r#"{{"conv": {}, "kernel": 1}}"#, sides[0]),
        };
        let case = Case::new(input, &format!(r#"[{first}, {}, "silu"]"#, &text[1..text.len() - 1]));
        let t = Rng::new(5).normal_tensor(0.0, 1.0, case.x.shape(), &Device::Cpu).unwrap();
        let run = |fused: bool| {
            let y = case.with_pass(|pass| match fused {
                true => case.network.jvp(&case.x, &t, pass),
                false => Ok(case.network.forward_jvp_reference(&case.x, &t, pass)?.1),
            });
            let trained = case.network.params().iter().filter(|param| param.role.is_trained());
            let mut all = vec![values(&y)];
            if y.track_op() {
                let grads = weigh(&y).backward().unwrap();
                all.push(
                    trained.flat_map(|param| values(&param.of(grads.get(param.var()).unwrap()).unwrap())).collect(),
                );
            }
            all
        };
        for (fused, plain) in run(true).iter().zip(&run(false)) {
            assert!(plain.iter().any(|x| x.abs() > 1e-2), "{name}: an example without derivatives tests nothing");
            let error = distance(fused, plain);
            assert!(error < 2e-3, "{name}: {error}");
        }
    }
}

#[test]
fn every_layer_has_a_fused_form_and_keeps_nan() {
    for (name, input, text) in EXAMPLES {
        let case = Case::new(input, text);
        let mut before = input.to_vec();
        for layer in case.network.layers() {
            assert!(layer.fused(&before, &|_| 0).is_some(), "{name}");
            before = layer.infer(&before).unwrap().output;
        }
        let bad = (case.x.narrow(0, 1, 1).unwrap() * f64::NAN).unwrap();
        let rest = [case.x.narrow(0, 0, 1).unwrap(), bad, case.x.narrow(0, 2, SAMPLES - 2).unwrap()];
        let x = Tensor::cat(&rest, 0).unwrap();
        let y = case.with_pass(|pass| case.network.forward(&x, pass));
        assert!(values(&y.narrow(0, 1, 1).unwrap()).iter().any(|y| y.is_nan()), "{name}");
    }
}

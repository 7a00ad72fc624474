//! Penalties' gradients against PyTorch's double backward (fixtures/penalties.py).

use candle_core::{Tensor, Var};
use gan_base::Rng;
use gan_core::{Discriminator, Init, Layer, LayeredDiscriminator, Pass, Penalty, Verdict};
use gan_kernels::testing::test_device;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Case {
    name: String,
    input: Vec<usize>,
    layers: Vec<Layer>,
    params: BTreeMap<String, Vec<f64>>,
    x: Vec<f64>,
    logits: Vec<f64>,
    penalties: BTreeMap<String, Expected>,
}

#[derive(Deserialize)]
struct Expected {
    value: f64,
    gradients: BTreeMap<String, Vec<f64>>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("fixtures/penalties.json")).unwrap()
}

fn tensor(values: &[f64], shape: &[usize]) -> Tensor {
    let values: Vec<f32> = values.iter().map(|v| *v as f32).collect();
    Tensor::from_vec(values, shape, test_device()).unwrap()
}

fn discriminator(input: &[usize], layers: &[Layer]) -> LayeredDiscriminator {
    LayeredDiscriminator::new(input, layers, Init::Glorot, &mut Rng::new(1), test_device()).unwrap()
}

#[test]
fn gradients_equal_pytorch_double_backward() {
    for case in cases() {
        let d = discriminator(&case.input, &case.layers);
        for param in d.params().iter().filter(|param| case.params.contains_key(&param.name)) {
            param.set(&tensor(&case.params[&param.name], param.dims())).unwrap();
        }
        let x = tensor(&case.x, &[&[3], &case.input[..]].concat());
        let classes = Tensor::new(&[2u32, 0, 1], test_device()).unwrap();
        let classes = Some(&classes).filter(|_| d.classes().is_some());
        for tape in [false, true] {
            let mut rng = Rng::new(2);
            let mut pass = Pass::steady(&mut rng).of_classes(classes);
            let y = match tape {
                true => d.network().forward_layer_by_layer(&x, &mut pass).unwrap().narrow(1, 0, 1).unwrap(),
                false => d.forward(&x, &mut pass).unwrap().logits,
            };
            let y: Vec<f32> = y.flatten_all().unwrap().to_vec1().unwrap();
            let largest = case.logits.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
            let same = y.iter().zip(&case.logits).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5 * largest);
            assert!(same, "{}: logits {y:?}, PyTorch has {:?}", case.name, case.logits);
        }
        for (kind, expected) in &case.penalties {
            let penalty: Penalty = serde_json::from_value(kind.clone().into()).unwrap();
            // Between equal points there is only the point itself.
            let (value, tangent) = penalty.of(&d, &x, &x, classes, &mut Rng::new(2)).unwrap();
            let what = format!("{} of {}", kind, case.name);
            assert!((value - expected.value).abs() < 1e-4 * expected.value, "{what}: {value}, {}", expected.value);
            let grads = tangent.backward().unwrap();
            for param in d.params().iter().filter(|param| param.role.is_trained()) {
                let wanted = &expected.gradients[&param.name];
                let found = grads.get(param.var()).map(|all| param.of(all).unwrap().flatten_all().unwrap());
                let found: Vec<f32> = found.map_or_else(|| vec![0.0; wanted.len()], |t| t.to_vec1().unwrap());
                let largest = expected.gradients.values().flatten().fold(0.0, |a: f64, b| a.max(b.abs()));
                for (found, wanted) in found.iter().zip(wanted) {
                    let error = (f64::from(*found) - wanted).abs();
                    assert!(error < 1e-4 * largest, "{what}, {}: {found}, PyTorch has {wanted}", param.name);
                }
            }
        }
    }
}

#[test]
fn dropout_drops_the_same_for_the_gradient_and_the_tangent() {
    let layers: Vec<Layer> =
        serde_json::from_str(r#"[{"dense": 64, "bias": false}, {"dropout": 0.5}, {"dense": 1, "bias": false}]"#)
            .unwrap();
    let d = discriminator(&[3], &layers);
    let x = tensor(&[0.3, -0.2, 0.5], &[1, 3]);
    let (value, tangent) = Penalty::R1.of(&d, &x, &x, None, &mut Rng::new(3)).unwrap();
    // For a linear D, tᵀ∇l with t = ∇l is ‖∇l‖², twice the penalty, if and only if the masks are the same.
    let along = f64::from(tangent.to_scalar::<f32>().unwrap());
    assert!(value > 0.0 && (along - 2.0 * value).abs() < 1e-6 * along, "{along}, {value}");
}

#[test]
fn points_lie_where_the_papers_take_them() {
    // l(x) = ½‖x‖² has the gradient x: the penalty shows where it was taken.
    struct Half;
    impl Discriminator for Half {
        fn forward(&self, x: &Tensor, _: &mut Pass) -> candle_core::Result<Verdict> {
            Ok(Verdict::of((x.sqr()?.sum(1)? * 0.5)?))
        }
        fn params(&self) -> Vec<gan_core::Param> {
            vec![]
        }
        fn tangent(&self, x: &Tensor, t: &Tensor, _: &mut Pass) -> candle_core::Result<Tensor> {
            (x * t)?.sum(1)
        }
    }
    let (real, fake) = (tensor(&[2.0; 600], &[600, 1]), tensor(&[4.0; 600], &[600, 1]));
    let value = |penalty: Penalty| penalty.of(&Half, &real, &fake, None, &mut Rng::new(4)).unwrap().0;
    assert_eq!((value(Penalty::R1), value(Penalty::R2)), (2.0, 8.0));
    // The mean of x² over [2, 4], and of (x − 1)².
    assert!((value(Penalty::GpZero) - 28.0 / 3.0).abs() < 0.4);
    assert!((value(Penalty::Gp) - 13.0 / 3.0).abs() < 0.3);
    // Real samples that are all alike have no deviation, so no noise.
    assert_eq!(value(Penalty::Dragan), 1.0);
}

#[test]
fn a_discriminator_without_a_tangent_is_told_so() {
    struct Plain(Var);
    impl Discriminator for Plain {
        fn forward(&self, x: &Tensor, _: &mut Pass) -> candle_core::Result<Verdict> {
            Ok(Verdict::of(x.broadcast_mul(self.0.as_tensor())?.sum(1)?))
        }
        fn params(&self) -> Vec<gan_core::Param> {
            vec![]
        }
    }
    let d = Plain(Var::from_tensor(&tensor(&[1.0], &[1])).unwrap());
    let x = tensor(&[1.0, 2.0], &[1, 2]);
    let error = Penalty::R1.of(&d, &x, &x, None, &mut Rng::new(1)).unwrap_err().to_string();
    assert!(error.contains("Discriminator::tangent"), "{error}");
}

//! Compares the gradients of penalties with PyTorch's double backward (fixtures/penalties.py).

use candle_core::{DType, Device, Tensor};
use candle_nn::{VarBuilder, VarMap};
use gan_base::Rng;
use gan_core::{
    Discriminator, DiscriminatorOutput, ForwardContext, Init, Layer, LayeredDiscriminator, RandomTensors,
    discriminator_fn,
    layers::Dual,
    penalties::{Effect, PenaltyKind},
};
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

/// Returns the value of a penalty on D's gradient and the scalar that has its gradient by D's weights.
fn term(
    kind: PenaltyKind,
    d: &dyn Discriminator,
    [real, fake]: [&Tensor; 2],
    classes: Option<&Tensor>,
    seed: u64,
) -> candle_core::Result<(f64, Tensor)> {
    match kind.effect() {
        Effect::Gradient(penalty) => penalty.term(d, real, fake, classes, &mut Rng::new(seed)),
        Effect::Features(_) | Effect::Weights(_) => panic!("{kind:?} is not a penalty on D's gradient"),
    }
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
            let mut pass = ForwardContext::steady(&mut rng).of_classes(classes);
            let y = match tape {
                true => d.network().forward_reference(&x, &mut pass).unwrap().narrow(1, 0, 1).unwrap(),
                false => d.forward(&x, &mut pass).unwrap().logits,
            };
            let y: Vec<f32> = y.flatten_all().unwrap().to_vec1().unwrap();
            let largest = case.logits.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
            let same = y.iter().zip(&case.logits).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5 * largest);
            assert!(same, "{}: logits {y:?}, PyTorch has {:?}", case.name, case.logits);
        }
        for (kind, expected) in &case.penalties {
            let penalty: PenaltyKind = serde_json::from_value(kind.clone().into()).unwrap();
            // If real and generated samples are equal, every point between them is that sample.
            let (value, tangent) = term(penalty, &d, [&x, &x], classes, 2).unwrap();
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
fn dropout_uses_one_mask_for_gradient_and_tangent() {
    let layers: Vec<Layer> =
        serde_json::from_str(r#"[{"dense": 64, "bias": false}, {"dropout": 0.5}, {"dense": 1, "bias": false}]"#)
            .unwrap();
    let d = discriminator(&[3], &layers);
    let x = tensor(&[0.3, -0.2, 0.5], &[1, 3]);
    let (value, tangent) = term(PenaltyKind::R1, &d, [&x, &x], None, 3).unwrap();
    // For a linear D, tᵀ∇l with t = ∇l is ‖∇l‖², twice the penalty, if and only if the masks are the same.
    let along = f64::from(tangent.to_scalar::<f32>().unwrap());
    assert!(value > 0.0 && (along - 2.0 * value).abs() < 1e-6 * along, "{along}, {value}");
}

#[test]
fn penalties_are_evaluated_at_the_points_of_the_papers() {
    // l(x) = ½‖x‖² has the gradient x, so the value of the penalty reveals the point at which it was evaluated.
    struct Half;
    impl Discriminator for Half {
        fn forward(&self, x: &Tensor, _: &mut ForwardContext) -> candle_core::Result<DiscriminatorOutput> {
            Ok(DiscriminatorOutput::of((x.sqr()?.sum(1)? * 0.5)?))
        }
        fn params(&self) -> Vec<gan_core::Param> {
            vec![]
        }
        fn jvp(&self, x: &Tensor, t: &Tensor, _: &mut ForwardContext) -> candle_core::Result<Tensor> {
            (x * t)?.sum(1)
        }
    }
    let (real, fake) = (tensor(&[2.0; 600], &[600, 1]), tensor(&[4.0; 600], &[600, 1]));
    let value = |kind| term(kind, &Half, [&real, &fake], None, 4).unwrap().0;
    assert_eq!((value(PenaltyKind::R1), value(PenaltyKind::R2)), (2.0, 8.0));
    // The mean of x² over [2, 4], and that of (x − 1)².
    assert!((value(PenaltyKind::GpZero) - 28.0 / 3.0).abs() < 0.4);
    assert!((value(PenaltyKind::Gp) - 13.0 / 3.0).abs() < 0.3);
    // Equal real samples have a standard deviation of 0, so DRAGAN adds no noise.
    assert_eq!(value(PenaltyKind::Dragan), 1.0);
}

/// A network in plain candle that implements `jvp` has the same penalty as the equivalent layer list.
#[test]
fn networks_of_your_own_have_exact_penalties() {
    let layers: Vec<Layer> =
        serde_json::from_str(r#"[{"dense": 5}, "tanh", {"dense": 4}, {"leaky_relu": 0.2}, {"dense": 1}]"#).unwrap();
    let listed = LayeredDiscriminator::new(&[3], &layers, Init::He, &mut Rng::new(1), &Device::Cpu).unwrap();
    let vars = VarMap::new();
    let builder = VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu);
    let made = [(3, 5), (5, 4), (4, 1)].map(|(i, o)| candle_nn::linear(i, o, builder.pp(i.to_string())).unwrap());
    for (layer, index) in made.iter().zip([0, 2, 4]) {
        let own = |name: &str| listed.params().into_iter().find(|p| p.name == format!("main.{index}.{name}")).unwrap();
        layer.weight().slice_set(&own("weight").tensor().unwrap().contiguous().unwrap(), 0, 0).unwrap();
        layer.bias().unwrap().slice_set(&own("bias").tensor().unwrap().contiguous().unwrap(), 0, 0).unwrap();
    }
    let first = made[0].weight().clone();
    let [a, b, c] = made;
    let own = discriminator_fn(vars, move |x: &Dual| {
        x.affine_module(&a)?.tanh()?.affine_module(&b)?.leaky_relu(0.2)?.affine_module(&c)
    });
    let mut rng = Rng::new(2);
    let mut draw = || rng.uniform_tensor(-1.0, 1.0, (8, 3), &Device::Cpu).unwrap();
    let (real, fake) = (draw(), draw());
    let of = |d: &dyn Discriminator| term(PenaltyKind::R1, d, [&real, &fake], None, 3).unwrap();
    let ((listed_value, listed_loss), (own_value, own_loss)) = (of(&listed), of(&own));
    assert!((listed_value - own_value).abs() < 1e-5 * listed_value, "{listed_value} and {own_value}");
    let kernel = &listed.params()[0];
    let grads = listed_loss.backward().unwrap();
    let listed = kernel.of(grads.get(kernel.var()).unwrap()).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let grads = own_loss.backward().unwrap();
    let own = grads.get(&first).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let largest = listed.iter().fold(0f32, |m, g| m.max(g.abs()));
    assert!(
        largest > 0.0 && listed.iter().zip(&own).all(|(a, b)| (a - b).abs() < 1e-4 * largest),
        "{listed:?}\n{own:?}"
    );
}

#[test]
fn a_penalty_on_a_discriminator_without_jvp_is_an_error() {
    struct Plain;
    impl Discriminator for Plain {
        fn forward(&self, x: &Tensor, _: &mut ForwardContext) -> candle_core::Result<DiscriminatorOutput> {
            Ok(DiscriminatorOutput::of(x.sum(1)?))
        }
        fn params(&self) -> Vec<gan_core::Param> {
            vec![]
        }
    }
    let x = tensor(&[1.0, 2.0], &[1, 2]);
    let error = term(PenaltyKind::R1, &Plain, [&x, &x], None, 1).unwrap_err().to_string();
    assert!(error.contains("Discriminator::jvp"), "{error}");
}

//! Compares networks as one fused operation with the same networks layer by layer on candle's tape: outputs, gradients, running
//! averages.

use candle_core::{Tensor, Var};
use gan_base::Rng;
use gan_core::RandomTensors;
use gan_core::layers::{Dual, LayerContext, LayerSpec, register};
use gan_core::{ForwardContext, Init, Layer, Network};
use gan_kernels::Precision;
use gan_kernels::fused::Reuse;
use gan_kernels::testing::test_device;

fn layers(text: &str) -> Vec<Layer> {
    #[derive(serde::Deserialize)]
    struct List {
        layers: Vec<Layer>,
    }
    toml::from_str::<List>(&format!("layers = {text}")).unwrap().layers
}

/// Largest difference relative to the largest number.
fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (a, b) = (values(a), values(b));
    let largest = b.iter().fold(1e-6f32, |m, x| m.max(x.abs()));
    let worst = a
        .iter()
        .zip(&b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |m: f32, d| if d.is_nan() { f32::INFINITY } else { m.max(d) });
    f64::from(worst / largest)
}

fn network(input: &[usize], list: &[Layer]) -> Network {
    Network::new("n", input, list, Init::He, Reuse::UntilChanged, &mut Rng::new(3), test_device()).unwrap()
}

/// Returns a scalar that weights every output differently.
fn weigh(y: &Tensor) -> Tensor {
    let weights = Rng::new(9).normal_tensor(0.0, 1.0, y.shape(), test_device()).unwrap();
    (y * weights).unwrap().sum_all().unwrap()
}

fn check(input: &[usize], text: &str) {
    let list = layers(text);
    let (fused, plain) = (network(input, &list), network(input, &list));
    let fused = fused.with_precision(Precision::F32Accurate).unwrap();
    for n in [1usize, 3, 17] {
        if n == 1 && text.contains("batch_norm") {
            continue;
        }
        let x = Rng::new(5).normal_tensor(0.0, 1.0, [&[n], input].concat(), test_device()).unwrap();
        for eval in [false, true] {
            let (xa, xb) = (Var::from_tensor(&x).unwrap(), Var::from_tensor(&x).unwrap());
            let (mut ra, mut rb) = (Rng::new(7), Rng::new(7));
            let classes: Vec<u32> = (0..n as u32).map(|i| i * 2 % 3).collect();
            let classes = Tensor::new(classes, test_device()).unwrap();
            let pass = |rng| {
                let pass = if eval {
                    ForwardContext { weights: gan_core::Weights::Trained, ..ForwardContext::eval() }
                } else {
                    ForwardContext::train(rng)
                };
                pass.of_classes(Some(&classes))
            };
            let ya = fused.forward(xa.as_tensor(), &mut pass(&mut ra)).unwrap();
            let yb = plain.forward_reference(xb.as_tensor(), &mut pass(&mut rb)).unwrap();
            assert!(difference(&ya, &yb) < 1e-5, "{text}: outputs differ by {:e}", difference(&ya, &yb));
            let (ga, gb) = (weigh(&ya).backward().unwrap(), weigh(&yb).backward().unwrap());
            let dx = difference(ga.get(&xa).unwrap(), gb.get(&xb).unwrap());
            assert!(dx < 1e-4, "{text}: input gradients differ by {dx:e}");
            for (a, b) in fused.params().iter().zip(plain.params()) {
                if a.role.is_trained() {
                    let [da, db] = [(a, &ga), (b, &gb)].map(|(p, grads)| p.of(grads.get(p.var()).unwrap()).unwrap());
                    let index: usize = a.name.split('.').nth(1).unwrap().parse().unwrap();
                    let norm_follows = list.get(index + 1).is_some_and(|next| next.name() == "batch_norm");
                    // A bias before a batch norm only changes the mean that is subtracted, so its gradient is only rounding.
                    if !eval && a.role == gan_core::Role::Bias && norm_follows {
                        let weight = fused.params().iter().find(|p| p.name == format!("main.{index}.weight")).unwrap();
                        let largest = |t: &Tensor| {
                            let numbers = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                            numbers.into_iter().fold(0f32, |m, x| m.max(x.abs()))
                        };
                        let limit = 1e-4 * largest(&weight.of(ga.get(weight.var()).unwrap()).unwrap()) * n as f32;
                        assert!(largest(&da) < limit && largest(&db) < limit, "{text}: {} has a gradient", a.name);
                    } else {
                        let d = difference(&da, &db);
                        assert!(d < 1e-4, "{text}: gradients of {} differ by {d:e}", a.name);
                    }
                } else {
                    let d = difference(&a.tensor().unwrap(), &b.tensor().unwrap());
                    assert!(d < 1e-5, "{text}: {} differs by {d:e}", a.name);
                }
            }
        }
    }
}

#[test]
fn fused_generators_equal_their_layers() {
    check(
        &[20],
        r#"[{ dense = 288 }, { reshape = [32, 3, 3] },
            { conv_transpose = 24, kernel = 4, stride = 2, padding = "same" }, { batch_norm = { eps = 1e-3 } }, { leaky_relu = 0.01 },
            { conv_transpose = 16, kernel = 4, stride = 2, padding = 1, bias = false }, { batch_norm = {} }, "relu",
            { conv = 1, kernel = 7, padding = "same" }, "tanh"]"#,
    );
    check(
        &[20, 1, 1],
        r#"[{ conv_transpose = 32, kernel = [4, 5], bias = false }, { batch_norm = {} }, "relu",
            { conv_transpose = 3, kernel = 4, stride = 2, padding = 1 }, "sigmoid"]"#,
    );
    check(
        &[12],
        r#"[{ dense = 72 }, "relu", { reshape = [8, 3, 3] }, { upsample = 2 }, { conv = 16, kernel = 3, padding = "same" }, "relu",
            { batch_norm = { momentum = 0.2 } }, { upsample = [1, 2] }, { conv = 2, kernel = 3, padding = "same" }]"#,
    );
    check(
        &[12],
        r#"[{ dense = 108 }, { reshape = [12, 3, 3] },
            { residual = [{ batch_norm = {} }, "relu", { upsample = 2 }, { conv = 8, kernel = 3, padding = 1, bias = false }, { batch_norm = {} }, "relu",
                { conv = 8, kernel = 3, padding = 1 }], skip = [{ upsample = 2 }, { conv = 8, kernel = 1, bias = false }] },
            { residual = [{ conv = 16, kernel = 1 }, { leaky_relu = 0.2 }, { conv = 16, kernel = 3, padding = 1, groups = 2 }, "tanh",
                { residual = [{ conv = 16, kernel = [3, 1], padding = [1, 0], groups = 16 }, { dropout = 0.4 }] }, { conv = 8, kernel = 1 }] },
            { bilinear = [2, 3] }, { conv = 8, kernel = 3, groups = 4, stride = 2 }, { pixel_shuffle = 2 }, { leaky_relu = -0.1 },
            { conv = 2, kernel = 3 }, "sigmoid"]"#,
    );
}

#[test]
fn fused_networks_have_exact_tangents_and_their_gradients() {
    for (input, text) in [
        (
            vec![3, 16, 16],
            r#"[{ conv = 16, kernel = 4, stride = 2, padding = 1, bias = false }, { leaky_relu = 0.2 },
                { conv = 32, kernel = 4, stride = 2, padding = 1, bias = false }, { batch_norm = {} }, { leaky_relu = 0.2 },
                { conv = 48, kernel = 3, padding = 1, spectral_norm = true }, { batch_norm = {} }, { leaky_relu = 0.2 }, { conv = 1, kernel = 4, bias = false }]"#,
        ),
        (
            vec![3, 12, 12],
            r#"[{ conv = 16, kernel = 1 },
                { residual = [{ conv = 32, kernel = 1 }, { leaky_relu = 0.2 }, { conv = 32, kernel = 3, padding = 1, groups = 2 }, { leaky_relu = 0.2 },
                    { conv = 16, kernel = 1, bias = false }] }, { blur_pool = 2 },
                { residual = ["relu", { conv = 20, kernel = 3, padding = 1, spectral_norm = true }, { batch_norm = {} }, "relu", { avg_pool = 2 }],
                  skip = [{ avg_pool = 2 }, { conv = 20, kernel = 1 }] }, { bilinear = 2 }, { pixel_shuffle = 2 },
                { residual = [{ conv = 5, kernel = 3, padding = 1, groups = 5 }, { residual = ["relu"], skip = [{ batch_norm = {} }] }] },
                { conv = 4, kernel = 6, stride = 3 }, "flatten", { dense = 1 }]"#,
        ),
        (
            vec![2],
            r#"[{ dense = 64 }, { leaky_relu = 0.2 }, { dense = 48 }, { batch_norm = { eps = 1e-3 } }, "relu", { dense = 1 }]"#,
        ),
        (
            vec![3, 8, 8],
            r#"[{ conv = 8, kernel = 3 }, "tanh", { attention = 4, spectral_norm = true }, { group_norm = 2 }, { leaky_relu = 0.2 },
                { residual = [{ conv = 8, kernel = 1 }, "silu", { dropout = 0.3 }, { instance_norm = {} }, "prelu"], skip = ["pixel_norm", "gelu"] },
                { minibatch_std = 4 }, { conv = 20, kernel = 3 }, "glu", { elu = 0.7 }, { layer_norm = {} }, "relu", "global_max_pool",
                { dense = 6, spectral_norm = true }, "sigmoid", { dense = 1 }]"#,
        ),
    ] {
        let list = layers(text);
        let network = network(&input, &list).with_precision(Precision::F32Accurate).unwrap();
        let draw = |seed| Rng::new(seed).normal_tensor(0.0, 1.0, [&[7], &input[..]].concat(), test_device()).unwrap();
        let (x, t) = (draw(5), draw(6));
        let fused = network.jvp(&x, &t, &mut ForwardContext::steady(&mut Rng::new(7))).unwrap();
        let plain = network.forward_jvp_reference(&x, &t, &mut ForwardContext::steady(&mut Rng::new(7))).unwrap().1;
        assert!(difference(&fused, &plain) < 1e-5, "{text}: {:e}", difference(&fused, &plain));
        let (a, b) = (weigh(&fused).backward().unwrap(), weigh(&plain).backward().unwrap());
        for param in network.params().iter().filter(|param| param.role.is_trained()) {
            let of = |grads: &candle_core::backprop::GradStore| param.of(grads.get(param.var()).unwrap()).unwrap();
            let (a, b) = (of(&a), of(&b));
            let silent = b.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap() < 1e-4;
            let d = if silent { 0.0 } else { difference(&a, &b) };
            assert!(d < 2e-4, "{text}: gradients of {} differ by {d:e}", param.name);
        }
    }
}

#[test]
fn fused_tangents_of_layers_with_classes_are_exact() {
    let list = layers(
        r#"[{ concat_class = 4, embedding = 3 }, { conv = 8, kernel = 3 }, { leaky_relu = 0.2 }, { concat_class = 4 }, "flatten",
            { dense = 9 }, "relu", { projection = 4 }]"#,
    );
    let network = network(&[2, 5, 5], &list).with_precision(Precision::F32Accurate).unwrap();
    let draw = |seed| Rng::new(seed).normal_tensor(0.0, 1.0, (6, 2, 5, 5), test_device()).unwrap();
    let (x, t, mut rng) = (draw(5), draw(6), Rng::new(7));
    let classes = Tensor::new(&[3u32, 0, 1, 1, 2, 3], test_device()).unwrap();
    let mut pass = ForwardContext::steady(&mut rng).of_classes(Some(&classes));
    let fused = network.jvp(&x, &t, &mut pass).unwrap();
    let plain = network.forward_jvp_reference(&x, &t, &mut pass).unwrap().1;
    assert!(difference(&fused, &plain) < 1e-5, "{:e}", difference(&fused, &plain));
    let (a, b) = (weigh(&fused).backward().unwrap(), weigh(&plain).backward().unwrap());
    for param in network.params() {
        let of = |grads: &candle_core::backprop::GradStore| param.of(grads.get(param.var()).unwrap()).unwrap();
        assert!(difference(&of(&a), &of(&b)) < 1e-4, "{}: {:e}", param.name, difference(&of(&a), &of(&b)));
    }
    let error = network.jvp(&x, &t, &mut ForwardContext::steady(&mut rng)).unwrap_err();
    assert!(error.to_string().contains("give each sample's class"), "{error}");
}

#[test]
fn networks_of_every_kind_of_layer_equal_their_layers() {
    check(
        &[3, 8, 8],
        r#"[{ conv = 8, kernel = 3, padding = 1, spectral_norm = true }, { leaky_relu = 0.2 }, { attention = 4 },
            { residual = ["relu", { conv = 12, kernel = 3, padding = 1, spectral_norm = true }, { dropout = 0.3 }, { conv = 12, kernel = 3, padding = 1 }, { avg_pool = 2 }],
              skip = [{ avg_pool = 2 }, { conv = 12, kernel = 1, spectral_norm = true }] },
            { residual = [{ conv = 8, kernel = 1 }, { leaky_relu = 0.2 }, { conv = 8, kernel = 3, padding = 1, groups = 2 }, { leaky_relu = 0.2 }, { conv = 12, kernel = 1, bias = false, gain = 0.5 }] },
            { minibatch_std = 4 }, { group_norm = 1 }, "silu", { conv = 12, kernel = 3 }, "glu", "flatten", "prelu", { dense = 5, spectral_norm = true }, { elu = 1.0 }, { dense = 1 }]"#,
    );
    check(
        &[12],
        r#"["pixel_norm", { dense = 64, bias = false }, { reshape = [16, 2, 2] }, { instance_norm = {} }, "gelu", { bilinear = 2 },
            { conv_transpose = 12, kernel = 4, stride = 2, padding = 1, spectral_norm = true }, { layer_norm = {} }, { leaky_relu = 0.2 },
            { pixel_shuffle = 2 }, { conv = 4, kernel = 3, padding = 1 }, { blur_pool = 2 }, "tanh"]"#,
    );
    check(
        &[12],
        r#"[{ dense = 64, bias = false }, { reshape = [16, 2, 2] }, { conditional_batch_norm = 3 }, "relu", { upsample = 2 },
            { conv = 6, kernel = 3, bias = false }, { conditional_batch_norm = 3, momentum = 0.3 }, "silu",
            { residual = [{ conditional_batch_norm = 3 }, { leaky_relu = 0.2 }], skip = [{ batch_norm = {} }] }, { conv = 3, kernel = 1 }]"#,
    );
}

/// A layer without a fused form: x·2.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Twice;

impl LayerSpec for Twice {
    const NAME: &'static str = "twice";
    const IS_NONLINEAR: bool = false;

    fn forward(&self, x: &Dual, _: &mut LayerContext) -> candle_core::Result<Dual> {
        x.affine(2.0, 0.0)
    }
}

#[test]
fn layers_without_a_fused_form_between_fused_ones_have_exact_gradients() {
    register::<Twice>();
    check(
        &[3, 8, 8],
        r#"[{ conv = 8, kernel = 3, padding = 1, spectral_norm = true }, { leaky_relu = 0.2 }, "twice", { dropout = 0.3 },
            { residual = ["relu", { conv = 8, kernel = 3, padding = 1 }, "twice", "tanh"], skip = [{ conv = 8, kernel = 1, spectral_norm = true }] },
            "twice", { conv = 6, kernel = 3 }, "flatten", { dense = 5 }]"#,
    );
}

#[test]
fn layers_behind_an_output_that_is_recomputed_have_exact_gradients() {
    // Two million numbers are recomputed in the backward pass instead of being saved.
    let list = layers(
        r#"[{ batch_norm = {} }, { zero_pad = 30 }, { batch_norm = {} }, "silu", { batch_norm = {} }, { upsample = [2, 1] },
            { layer_norm = {} }, "gelu", { batch_norm = {} }, "gelu"]"#,
    );
    let network = || {
        let (network, mut rng) = (network(&[4, 512, 512], &list), Rng::new(4));
        for param in network.params().iter().filter(|param| param.role.is_trained()) {
            // A shift of 0 would hide the scale's gradient from the next norm.
            param.set(&rng.uniform_tensor(0.5, 1.5, param.dims(), test_device()).unwrap()).unwrap();
        }
        network
    };
    let (fused, plain) = (network(), network());
    let x = Rng::new(5).normal_tensor(0.0, 1.0, (2, 4, 512, 512), test_device()).unwrap();
    let run = |network: &Network, reference: bool| {
        let (x, mut rng) = (Var::from_tensor(&x).unwrap(), Rng::new(7));
        let mut pass = ForwardContext::train(&mut rng);
        let y = match reference {
            true => network.forward_reference(x.as_tensor(), &mut pass),
            false => network.forward(x.as_tensor(), &mut pass),
        };
        let grads = weigh(&y.unwrap()).backward().unwrap();
        let trained = network.params().iter().filter(|param| param.role.is_trained());
        let mut all = vec![grads.get(&x).unwrap().clone()];
        all.extend(trained.map(|param| param.of(grads.get(param.var()).unwrap()).unwrap()));
        all
    };
    for (i, (a, b)) in run(&fused, false).iter().zip(run(&plain, true)).enumerate() {
        assert!(difference(a, &b) < 1e-2, "gradient {i} differs by {:e}", difference(a, &b));
    }
}

#[test]
fn gradients_that_are_kept_aside_equal_candles() {
    let list = layers(
        r#"[{ conv = 8, kernel = 3, spectral_norm = true }, { leaky_relu = 0.2 }, "silu", { conv = 6, kernel = 2 }, "relu", "flatten", { dense = 1 }]"#,
    );
    let network = network(&[2, 6, 6], &list);
    let draw = |seed| Rng::new(seed).normal_tensor(0.0, 1.0, (5, 2, 6, 6), test_device()).unwrap();
    let (x, mut rng) = (Var::from_tensor(&draw(5)).unwrap(), Rng::new(7));
    // Two passes through the same parameters, as of real and generated samples, and a term that does not go through a fused network.
    let mut pass = ForwardContext::steady(&mut rng);
    let one = network.forward(x.as_tensor(), &mut pass).unwrap();
    let two = network.forward(&draw(6), &mut pass).unwrap();
    let decay = network.params()[0].var().as_tensor().sqr().unwrap().sum_all().unwrap();
    let loss = ((weigh(&one) + weigh(&two).sqr()).unwrap() + decay).unwrap();
    let (ours, candles) = (gan_kernels::fused::backward(&loss).unwrap(), loss.backward());
    assert!(candles.is_err(), "a pass runs backward once");
    let one = network.forward(x.as_tensor(), &mut pass).unwrap();
    let two = network.forward(&draw(6), &mut pass).unwrap();
    let decay = network.params()[0].var().as_tensor().sqr().unwrap().sum_all().unwrap();
    let candles = ((weigh(&one) + weigh(&two).sqr()).unwrap() + decay).unwrap().backward().unwrap();
    assert!(difference(ours.get(&x).unwrap(), candles.get(&x).unwrap()) < 1e-6);
    for param in network.params().iter().filter(|param| param.role.is_trained()) {
        let [a, b] = [&ours, &candles].map(|grads| param.of(grads.get(param.var()).unwrap()).unwrap());
        assert!(difference(&a, &b) < 1e-6, "{}", param.name);
    }
}

#[test]
fn fused_discriminators_equal_their_layers() {
    check(
        &[1, 13, 14],
        r#"[{ conv = 16, kernel = 3, stride = 2, padding = "same" }, { leaky_relu = 0.2 }, { dropout = 0.25 },
            { conv = 24, kernel = 3, stride = 2, padding = "same" }, { zero_pad = [0, 1, 0, 1] }, { batch_norm = {} },
            { leaky_relu = 0.2 }, { dropout = 0.5 }, { conv = 8, kernel = 3, padding = "same" }, "flatten", { dense = 1 }]"#,
    );
    check(
        &[3, 16, 16],
        r#"[{ conv = 16, kernel = 4, stride = 2, padding = 1, bias = false }, { leaky_relu = 0.2 },
            { conv = 32, kernel = 4, stride = 2, padding = 1, bias = false }, { batch_norm = {} }, { leaky_relu = 0.2 },
            { conv = 1, kernel = 4, bias = false }]"#,
    );
    check(
        &[2, 9, 9],
        r#"[{ conv = 12, kernel = 5, dilation = 2 }, { leaky_relu = -0.3 }, "global_max_pool", { dense = 1 }]"#,
    );
    check(
        &[2, 9, 8],
        r#"[{ conv = 12, kernel = 3 }, "tanh", { avg_pool = [2, 3] }, { conv = 9, kernel = 1 }, "global_avg_pool", { dense = 1 }]"#,
    );
}

#[test]
fn fused_dense_networks_equal_their_layers() {
    check(
        &[2],
        "[{ dense = 16 }, { leaky_relu = 0.2 }, { dense = 16 }, { leaky_relu = 0.2 }, { dense = 2 }, { dense = 1 }]",
    );
    check(&[3], r#"[{ dense = 40 }, { batch_norm = {} }, "relu", { dense = 33, bias = false }, "sigmoid"]"#);
}

#[test]
fn an_empty_batch_passes_through() {
    // Candle has no empty tensors on CUDA.
    if !test_device().is_cpu() {
        return;
    }
    let list = layers(
        r#"[{ conv = 16, kernel = 4, stride = 2, padding = 1 }, { leaky_relu = 0.2 }, "flatten", { dense = 1 }]"#,
    );
    let network = network(&[1, 8, 8], &list);
    let x = Tensor::zeros((0, 1, 8, 8), candle_core::DType::F32, test_device()).unwrap();
    assert_eq!(network.forward(&x, &mut ForwardContext::eval()).unwrap().dims(), [0, 1]);
}

#[test]
fn weights_changed_in_place_take_effect() {
    let list = layers("[{ conv = 16, kernel = 4, stride = 2, padding = 1 }]");
    let network = network(&[16, 8, 8], &list);
    let x = Rng::new(5).normal_tensor(0.0, 1.0, (2, 16, 8, 8), test_device()).unwrap();
    let before = network.forward(&x, &mut ForwardContext::eval()).unwrap();
    let weight = &network.params()[0];
    weight.set(&(weight.tensor().unwrap() * 2.0).unwrap()).unwrap();
    let bias = &network.params()[1];
    bias.set(&(bias.tensor().unwrap() * 2.0).unwrap()).unwrap();
    let after = network.forward(&x, &mut ForwardContext::eval()).unwrap();
    assert!(difference(&after, &(before * 2.0).unwrap()) < 1e-5);
}

#[test]
fn a_non_finite_pixel_makes_a_non_finite_output_and_no_crash() {
    let list = layers(
        r#"[{ conv = 16, kernel = 4, stride = 2, padding = 1 }, { leaky_relu = 0.2 }, { conv = 8, kernel = 4, stride = 2, padding = 1 },
            { batch_norm = {} }, "relu", "flatten", { dense = 1 }]"#,
    );
    let network = network(&[1, 16, 16], &list);
    for bad in [f32::NAN, f32::INFINITY] {
        let mut pixels = vec![0.1f32; 2 * 256];
        pixels[37] = bad;
        let x = Tensor::from_vec(pixels, (2, 1, 16, 16), test_device()).unwrap();
        let y = network
            .forward(&x, &mut ForwardContext::train(&mut Rng::new(1)))
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        assert!(y.iter().any(|y| !y.is_finite()), "{y:?}");
    }
}

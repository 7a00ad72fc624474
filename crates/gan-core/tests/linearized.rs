//! Compares passes that a loss and its penalties share with the layers' own derivatives.

mod common;

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};
use gan_base::Rng;
use gan_core::{ForwardContext, Init, Linearized, Network, RandomTensors};
use gan_kernels::Precision;
use gan_kernels::fused::Reuse;
use gan_kernels::testing::test_device;

/// Networks for which a pass exists, by input and layers; those of vectors need no images.
const LINEAR: [(&[usize], &str); 5] = [
    (
        &[3, 8, 8],
        r#"[{ conv = 8, kernel = 3, padding = 1 }, { leaky_relu = 0.2 },
            { residual = [{ conv = 16, kernel = 1 }, { leaky_relu = 0.2 }, { conv = 16, kernel = 3, padding = 1, groups = 2 }, { leaky_relu = 0.2 },
                          { conv = 8, kernel = 1, bias = false, gain = 0.5 }] },
            { residual = ["relu", { conv = 12, kernel = 3, padding = 1, spectral_norm = true }, { avg_pool = 2 }],
              skip = [{ avg_pool = 2 }, { conv = 12, kernel = 1 }] },
            { conv = 6, kernel = 4 }, "flatten", { dense = 1 }]"#,
    ),
    (
        &[4, 4, 4],
        r#"[{ conv_transpose = 6, kernel = 4, stride = 2, padding = 1 }, { leaky_relu = -0.5 }, { blur_pool = 2 }, { bilinear = 2 }, { upsample = 2 },
            { conv = 8, kernel = 5, stride = 2 }, "relu", { pixel_shuffle = 2 }, "flatten", { dense = 9 }, "relu", { dense = 1 }]"#,
    ),
    (&[5], r#"[{ dense = 12 }, { leaky_relu = 0.1 }, { dense = 7, bias = false }, "relu", { dense = 1 }]"#),
    (&[3, 2, 2], r#"["relu", { conv = 1, kernel = 2 }, "flatten"]"#),
    (
        &[2, 5, 5],
        r#"[{ concat_class = 4, embedding = 3 }, { conv = 8, kernel = 3 }, { leaky_relu = 0.2 }, { concat_class = 4 }, "flatten",
            { dense = 9 }, "relu", { projection = 4 }]"#,
    ),
];

fn network(input: &[usize], text: &str) -> Network {
    let layers = common::layers(text);
    let network =
        Network::new("test", input, &layers, Init::Glorot, Reuse::UntilChanged, &mut Rng::new(1), test_device())
            .unwrap();
    for (i, param) in network.params().iter().filter(|param| param.name.ends_with("bias")).enumerate() {
        param.set(&draw(param.dims(), 100 + i as u64)).unwrap();
    }
    network.with_precision(Precision::F32Accurate).unwrap()
}

fn draw(shape: &[usize], seed: u64) -> Tensor {
    Rng::new(seed).normal_tensor(0.0, 1.0, shape, test_device()).unwrap()
}

/// Returns the largest difference, relative to the largest number.
fn difference(a: &Tensor, b: &Tensor) -> f32 {
    let largest = |t: &Tensor| t.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    largest(&(a - b).unwrap()) / largest(b).max(f32::MIN_POSITIVE)
}

/// Returns a sum of each sample's number with a weight of its own.
fn weighed(y: &Tensor, seed: u64) -> Tensor {
    (y.flatten_all().unwrap() * draw(&[y.elem_count()], seed)).unwrap().sum_all().unwrap()
}

fn same_gradients(network: &Network, found: &GradStore, wanted: &GradStore, what: &str) {
    for param in network.params().iter().filter(|param| param.role.is_trained()) {
        let of = |grads: &GradStore| param.of(grads.get(param.var()).unwrap()).unwrap();
        let (found, wanted) = (of(found), of(wanted));
        let silent = wanted.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap() == 0.0;
        let error = if silent {
            found.abs().unwrap().max_all().unwrap().to_scalar().unwrap()
        } else {
            difference(&found, &wanted)
        };
        assert!(error < 2e-4, "{what}: gradients of {} differ by {error:e}", param.name);
    }
}

#[test]
fn outputs_gradients_and_derivatives_are_those_of_the_layers() {
    for (input, text) in LINEAR {
        let network = network(input, text);
        let shape = [&[7], input].concat();
        let (x, t, u) = (Var::from_tensor(&draw(&shape, 5)).unwrap(), draw(&shape, 6), draw(&shape, 7));
        let classes = Tensor::new(&[3u32, 0, 1, 1, 2, 3, 2], test_device()).unwrap();
        let mut rng = Rng::new(7);
        let mut pass = ForwardContext::steady(&mut rng).of_classes(Some(&classes));
        let linearize = |pass: &mut ForwardContext| network.linearize(&x, pass).unwrap().expect("it is linear");
        let plain = network.forward_reference(x.as_tensor(), &mut pass).unwrap();
        let along = |t: &Tensor, pass: &mut ForwardContext| network.forward_jvp_reference(&x, t, pass).unwrap().1;
        let [along_t, along_u] = [&t, &u].map(|t| along(t, &mut pass));

        let shared = linearize(&mut pass);
        assert_eq!(shared.output().dims(), [7, 1]);
        assert!(difference(&shared.output().flatten_all().unwrap(), &plain.flatten_all().unwrap()) < 1e-5, "{text}");
        let by_input = plain.sum_all().unwrap().backward().unwrap();
        let found = shared.gradient().unwrap();
        assert!(difference(&found, by_input.get(&x).unwrap()) < 1e-5, "{text}: {found}");
        let derivative = shared.jvp(&t).unwrap();
        assert!(difference(&derivative.flatten_all().unwrap(), &along_t.flatten_all().unwrap()) < 1e-5, "{text}");

        // The output alone, a derivative alone, and the output with two derivatives.
        let alone = linearize(&mut pass);
        let [found, wanted] = [alone.output(), &plain].map(|y| weighed(y, 8).backward().unwrap());
        same_gradients(&network, &found, &wanted, &format!("{text}, output"));
        let [found, wanted] = [&derivative, &along_t].map(|y| weighed(y, 9).backward().unwrap());
        same_gradients(&network, &found, &wanted, &format!("{text}, derivative"));
        let sum = |y: &Tensor, along: [&Tensor; 2]| -> Result<Tensor> {
            (weighed(y, 10) + weighed(along[0], 11))? + weighed(along[1], 12)
        };
        let all = linearize(&mut pass);
        let both: Vec<Tensor> = [&t, &u].into_iter().map(|t| all.jvp(t).unwrap()).collect();
        let found = sum(all.output(), [&both[0], &both[1]]).unwrap().backward().unwrap();
        let wanted = sum(&plain, [&along_t, &along_u]).unwrap().backward().unwrap();
        same_gradients(&network, &found, &wanted, &format!("{text}, all"));
        check_once(&all, &t);
    }
}

/// Checks that a pass whose backward pass has run says so.
fn check_once(pass: &Linearized, t: &Tensor) {
    let error = pass.output().sum_all().unwrap().backward().unwrap_err();
    assert!(error.to_string().contains("can run once"), "{error}");
    assert!(pass.jvp(&t.narrow(0, 0, 1).unwrap()).is_err(), "a direction of another shape");
}

#[test]
fn one_mask_of_dropout_serves_the_whole_pass() {
    let network = network(&[3], r#"[{ dense = 64, bias = false }, { dropout = 0.5 }, { dense = 1, bias = false }]"#);
    let x = draw(&[4, 3], 2);
    let pass = network.linearize(&x, &mut ForwardContext::train(&mut Rng::new(3))).unwrap().expect("it is linear");
    // This network is linear, so that x·∇ₓf = f.
    let y = (pass.gradient().unwrap() * &x).unwrap().sum_keepdim(1).unwrap();
    assert!(difference(&y, pass.output()) < 1e-5);
    assert!(difference(&pass.jvp(&x).unwrap(), pass.output()) < 1e-5);
}

#[test]
fn other_networks_have_no_such_pass() {
    for (input, text) in [
        (&[3, 4, 4][..], r#"[{ conv = 4, kernel = 3 }, { batch_norm = {} }, "relu", "flatten", { dense = 1 }]"#),
        (&[3], r#"[{ dense = 4 }, "tanh", { dense = 1 }]"#),
        (&[3], r#"[{ dense = 4 }, "relu", { dense = 2 }]"#),
        (&[3], r#"[{ dense = 4 }, { minibatch_std = 4 }, { dense = 1 }]"#),
    ] {
        let x = draw(&[&[4], input].concat(), 2);
        let pass = network(input, text).linearize(&x, &mut ForwardContext::train(&mut Rng::new(3))).unwrap();
        assert!(pass.is_none(), "{text}");
    }
    let (input, text) = LINEAR[2];
    let pass = network(input, text).linearize(&draw(&[4, 5], 2), &mut ForwardContext::eval()).unwrap();
    assert!(pass.is_none(), "an evaluation");
}

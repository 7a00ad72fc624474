//! Reading, checking and building networks from layer lists.

mod common;

use candle_core::{DType, Tensor};
use common::{KERAS, layers, read};
use gan_base::Rng;
use gan_core::RandomTensors;
use gan_core::summary::Summary;
use gan_core::{Discriminator, Network, Role, shape};
use gan_core::{ForwardContext, Init, Layer, LayeredDiscriminator};
use gan_kernels::fused::Reuse;
use gan_kernels::testing::test_device;

#[test]
fn lists_survive_json() {
    let all = layers(
        r#"[{ dense = 4, bias = false }, { conv = 3, kernel = [3, 5], padding = [0, 1, 2, 3], dilation = 2 },
            { conv_transpose = 2, kernel = 3, output_padding = 1 }, { batch_norm = { momentum = 0.2, running_variance = "biased" } },
            { dropout = 0.25 }, { upsample = 2 }, { zero_pad = [0, 1, 0, 1] }, { avg_pool = 2 }, "relu", "sigmoid", "flatten",
            "global_max_pool", "global_avg_pool"]"#,
    );
    let json = serde_json::to_string(&all).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Layer>>(&json).unwrap(), all);
}

#[test]
fn mistakes_in_a_list_are_explained() {
    for (text, parts) in [
        (r#"["leaky_relu"]"#, ["leaky_relu", "needs a setting"]),
        (r#"["thanh"]"#, ["thanh", "\"tanh\""]),
        ("[{ conf = 3, kernel = 3 }]", ["conf", "\"conv\""]),
        ("[{ conv = 3, kernal = 3 }]", ["conv", "kernal"]),
        ("[{ dense = 3.5 }]", ["dense", "3.5"]),
    ] {
        let message = read(text).unwrap_err();
        assert!(parts.iter().all(|part| message.contains(part)), "{text}: {message}");
    }
}

#[test]
fn shapes_follow_the_list() {
    let shapes = |input: &[usize], layers: &[Layer]| -> Vec<Vec<usize>> {
        shape::infer("network", input, layers).unwrap().into_iter().map(|layer| layer.output).collect()
    };
    let g = shapes(&[100], &layers(KERAS));
    assert_eq!(g[2], [128, 14, 14]);
    assert_eq!(g.last().unwrap(), &[1, 14, 14]);
    let d = layers(
        r#"[{ conv = 32, kernel = 3, stride = 2, padding = "same" }, { zero_pad = [0, 1, 0, 1] }, { upsample = [2, 1] },
                       { avg_pool = [2, 3] }, "global_max_pool"]"#,
    );
    assert_eq!(
        shapes(&[1, 28, 27], &d),
        [vec![32, 14, 14], vec![32, 15, 15], vec![32, 30, 15], vec![32, 15, 5], vec![32]]
    );
}

#[test]
fn a_layer_that_does_not_fit_is_named_with_its_input_and_its_requirement() {
    let message =
        |input: &[usize], text: &str| shape::infer("generator", input, &layers(text)).unwrap_err().to_string();
    let m = message(&[100], r#"[{ dense = 6272 }, { conv = 3, kernel = 3 }]"#);
    assert!(
        m.starts_with("generator layer 1 ({ conv = 3")
            && m.contains("[6272]")
            && m.contains("[channels, height, width]"),
        "{m}"
    );
    let m = message(&[100], "[{ reshape = [3, 7, 7] }]");
    assert!(m.contains("layer 0") && m.contains("147 numbers, 100 reach it"), "{m}");
    let m = message(&[1, 4, 4], "[{ dense = 3 }]");
    assert!(m.contains("[1, 4, 4]") && m.contains("flatten"), "{m}");
    let m = message(&[1, 4, 4], "[{ conv = 2, kernel = 7 }]");
    assert!(m.contains("window of 7"), "{m}");
    let m = message(&[1, 4, 4], "[{ conv = 2, kernel = 3, stride = 0 }]");
    assert!(m.contains("stride"), "{m}");
    assert!(message(&[1, 4, 4], "[{ upsample = 1000000 }]").contains("at most"));
}

#[test]
fn names_and_shapes_equal_pytorchs() {
    let network =
        Network::new("g", &[100], &layers(KERAS), Init::Glorot, Reuse::Never, &mut Rng::new(1), test_device()).unwrap();
    let found: Vec<(String, Vec<usize>)> =
        network.params().iter().map(|p| (p.name.clone(), p.dims().to_vec())).collect();
    let expected: Vec<(&str, Vec<usize>)> = vec![
        ("main.0.weight", vec![6272, 100]),
        ("main.0.bias", vec![6272]),
        ("main.2.weight", vec![128, 128, 4, 4]),
        ("main.2.bias", vec![128]),
        ("main.3.weight", vec![128]),
        ("main.3.bias", vec![128]),
        ("main.3.running_mean", vec![128]),
        ("main.3.running_var", vec![128]),
        ("main.5.weight", vec![1, 128, 7, 7]),
        ("main.5.bias", vec![1]),
    ];
    assert!(found.iter().map(|(n, s)| (n.as_str(), s.clone())).eq(expected));
}

#[test]
fn initial_values_follow_their_rule() {
    let list = layers("[{ conv = 200, kernel = 4 }, { batch_norm = {} }]");
    for (init, deviation, scale) in [
        (Init::Dcgan, 0.02, 0.02),
        (Init::Glorot, (2.0f32 / (50.0 * 16.0 + 200.0 * 16.0)).sqrt(), 0.0),
        (Init::He, (2.0f32 / 800.0).sqrt(), 0.0),
        (Init::Pytorch, (1.0f32 / 2400.0).sqrt(), 0.0),
    ] {
        let network =
            Network::new("d", &[50, 4, 4], &list, init, Reuse::Never, &mut Rng::new(1), test_device()).unwrap();
        let spread = |role: Role| -> f32 {
            let values =
                network.params().iter().find(|p| p.role == role).unwrap().tensor().unwrap().flatten_all().unwrap();
            (&values - values.mean_all().unwrap().broadcast_as(values.shape()).unwrap())
                .and_then(|c| c.sqr()?.mean_all()?.sqrt()?.to_scalar())
                .unwrap()
        };
        assert!((spread(Role::Weight) / deviation - 1.0).abs() < 0.02, "{init:?}: {}", spread(Role::Weight));
        assert!((spread(Role::Scale) - scale).abs() < 0.003, "{init:?}");
        let bias =
            network.params().iter().find(|p| p.role == Role::Bias).unwrap().tensor().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(bias.iter().all(|b| *b == 0.0), init != Init::Pytorch);
    }
}

#[test]
fn running_averages_follow_pytorch_or_keras() {
    for (variance, correction) in [("unbiased", 4.0 / 3.0), ("biased", 1.0)] {
        let list = layers(&format!("[{{ batch_norm = {{ momentum = 0.2, running_variance = \"{variance}\" }} }}]"));
        let network =
            Network::new("d", &[1], &list, Init::Pytorch, Reuse::Never, &mut Rng::new(1), test_device()).unwrap();
        let x = Tensor::new(&[[1f32], [2.0], [3.0], [6.0]], test_device()).unwrap();
        network.forward(&x, &mut ForwardContext::train(&mut Rng::new(2))).unwrap();
        let stored = |i: usize| network.params()[i].tensor().unwrap().to_vec1::<f32>().unwrap()[0];
        assert!((stored(2) - 0.2 * 3.0).abs() < 1e-6);
        assert!((stored(3) - (0.8 + 0.2 * 3.5 * correction)).abs() < 1e-6, "{variance}");
        let before = stored(2);
        network.forward(&x, &mut ForwardContext::eval()).unwrap();
        assert_eq!(stored(2), before, "use changes nothing");
    }
}

#[test]
fn dropout_is_seeded_and_only_active_in_training() {
    let network = Network::new(
        "d",
        &[1000],
        &layers("[{ dropout = 0.25 }]"),
        Init::Pytorch,
        Reuse::Never,
        &mut Rng::new(1),
        test_device(),
    )
    .unwrap();
    let x = Tensor::ones((1, 1000), DType::F32, test_device()).unwrap();
    let run = |seed: u64| {
        network.forward(&x, &mut ForwardContext::train(&mut Rng::new(seed))).unwrap().to_vec2::<f32>().unwrap()
    };
    let dropped = run(5)[0].iter().filter(|v| **v == 0.0).count();
    assert!((200..300).contains(&dropped), "{dropped}");
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
    assert_eq!(
        network.forward(&x, &mut ForwardContext::eval()).unwrap().to_vec2::<f32>().unwrap(),
        x.to_vec2::<f32>().unwrap()
    );
}

#[test]
fn the_output_of_d_has_one_logit_per_sample_and_the_features_before_the_head() {
    let list = layers(r#"[{ conv = 4, kernel = 3 }, "global_max_pool", { dense = 1 }]"#);
    let d = LayeredDiscriminator::new(&[1, 5, 5], &list, Init::He, &mut Rng::new(1), test_device()).unwrap();
    let x = Rng::new(2).normal_tensor(0.0, 1.0, (3, 1, 5, 5), test_device()).unwrap();
    let verdict = d.forward(&x, &mut ForwardContext::eval().with_features()).unwrap();
    assert_eq!((verdict.logits.dims(), verdict.features.unwrap().dims()), (&[3][..], &[3, 4][..]));
    let plain = d.forward(&x, &mut ForwardContext::eval()).unwrap();
    assert!(plain.features.is_none());
    assert_eq!(plain.logits.to_vec1::<f32>().unwrap(), verdict.logits.to_vec1::<f32>().unwrap());
    let two = layers("[\"flatten\", { dense = 2 }]");
    let error = LayeredDiscriminator::new(&[1, 5, 5], &two, Init::He, &mut Rng::new(1), test_device()).unwrap_err();
    assert!(error.to_string().contains("[2]"), "{error}");
    let probability = layers("[\"flatten\", { dense = 1 }, \"sigmoid\"]");
    let error =
        LayeredDiscriminator::new(&[1, 5, 5], &probability, Init::He, &mut Rng::new(1), test_device()).unwrap_err();
    assert!(error.to_string().contains("logits"), "{error}");
}

#[test]
fn the_summary_counts_parameters_and_multiply_adds() {
    let summary = Summary::new("generator", &[100], &layers(KERAS)).unwrap();
    let (trained, fixed, multiply_adds) = summary.totals();
    let kernels = [6272 * 100, 128 * 128 * 16, 128 * 49];
    assert_eq!(trained, kernels.iter().sum::<usize>() + 6272 + 128 + 2 * 128 + 1);
    assert_eq!(fixed, 256);
    assert_eq!(multiply_adds, kernels[0] + kernels[1] * 49 + kernels[2] * 196);
    let text = summary.to_string();
    assert!(text.contains("[128, 14, 14]") && text.contains("262,272") && text.contains("running averages"), "{text}");
}

#[test]
fn a_summary_unfolds_residual_blocks() {
    let list: Vec<Layer> = serde_json::from_str(
        r#"[{"residual": [{"conv": 6, "kernel": 3, "padding": 1}, "relu", {"residual": [{"conv": 6, "kernel": 1}]}], "skip": [{"conv": 6, "kernel": 1, "spectral_norm": true}]}, "flatten", {"dense": 1}]"#,
    )
    .unwrap();
    let summary = Summary::new("d", &[2, 4, 4], &list).unwrap();
    let names: Vec<&str> = summary.rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "main.0",
            "main.0.body.0",
            "main.0.body.1",
            "main.0.body.2",
            "main.0.body.2.body.0",
            "main.0.skip.0",
            "main.1",
            "main.2"
        ]
    );
    let (first, inner, skip, last) = (6 * 2 * 9 + 6, 6 * 6 + 6, 6 * 2 + 6, 97);
    assert_eq!(summary.totals(), (first + inner + skip + last, 6, 16 * (6 * 2 * 9 + 6 * 6 + 6 * 2) + 96));
    assert!(summary.to_string().lines().all(|line| line.chars().count() < 120));
    // The sum is the number of parameters that the network itself reports.
    let network = gan_core::Network::new(
        "d",
        &[2, 4, 4],
        &list,
        gan_core::Init::He,
        gan_kernels::fused::Reuse::Never,
        &mut Rng::new(1),
        test_device(),
    )
    .unwrap();
    let all: usize = network.params().iter().map(gan_core::Param::elem_count).sum();
    assert_eq!(all, summary.totals().0 + summary.totals().1);
}

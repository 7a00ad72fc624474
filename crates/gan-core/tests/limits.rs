//! Networks that are too deep or too large for any machine are refused with a message before memory is allocated.

use gan_base::Rng;
use gan_core::layers::Residual;
use gan_core::samples_at_once;
use gan_core::summary::Summary;
use gan_core::{Distribution, Init, Latent, Layer, LayeredGenerator, Network, shape};
use gan_kernels::fused::Reuse;
use gan_kernels::testing::test_device;

#[derive(serde::Deserialize)]
struct List {
    layers: Vec<Layer>,
}

fn layers(text: &str) -> Vec<Layer> {
    toml::from_str::<List>(&format!("layers = {text}")).unwrap().layers
}

#[test]
fn nested_blocks_are_walked_once_and_limited_in_depth() {
    let chain = |levels: usize| {
        let inside = r#"{"conv": 2, "kernel": 1}"#.to_string();
        (0..levels).fold(inside, |inside, _| format!(r#"{{"residual": [{inside}, "relu"]}}"#))
    };
    let most = 16;
    // If each level walked all levels below it again, this would take hours.
    let list: Vec<Layer> = serde_json::from_str(&format!("[{}]", vec![chain(most); 50].join(","))).unwrap();
    let summary = Summary::new("d", &[2, 4, 4], &list).unwrap();
    assert_eq!(summary.totals(), (50 * 6, 0, 50 * 4 * 16));
    let network =
        Network::new("d", &[2, 4, 4], &list, Init::He, Reuse::Never, &mut Rng::new(1), test_device()).unwrap();
    assert_eq!(network.params().len(), 100);
    assert_eq!(network.params()[0].name, format!("main.0{}.weight", ".body.0".repeat(most)));

    for levels in [most + 1, 60] {
        let error = serde_json::from_str::<Vec<Layer>>(&format!("[{}]", chain(levels))).unwrap_err().to_string();
        assert!(error.contains("at most 16 deep"), "{error}");
    }
    assert!(serde_json::from_str::<Vec<Layer>>(&r#"[{"residual": "#.repeat(100_000)).is_err());
    // Lists that are built in Rust do not pass through the parser, which has its own limit.
    let inner = list[0].clone();
    let block = Residual { residual: vec![inner], skip: vec![] };
    let error = shape::infer("d", &[2, 4, 4], &[block.into()]).unwrap_err().to_string();
    assert!(error.contains("d layer 0 ({ residual = … })") && error.contains("at most 16 deep"), "{error}");
}

#[test]
fn sizes_beyond_any_memory_are_refused_with_a_message() {
    let huge = usize::MAX;
    for (input, text) in [
        (vec![1, 4, 4], r#"[{ bilinear = 1048576 }, { bilinear = 1048576 }, { bilinear = 1048576 }]"#.to_string()),
        (vec![1, 4, 4], r#"[{ upsample = [1048576, 1048576] }]"#.into()),
        (vec![1, 65536, 1], "[{ bilinear = [2, 1] }]".into()),
        (vec![1, 65536, 1], "[{ blur_pool = 1 }]".into()),
        (vec![8, 512, 512], "[{ attention = 8 }]".into()),
        (vec![1, 4, 4], r#"[{ conv = 1048577, kernel = 1048576, padding = 1048576 }]"#.into()),
        (vec![1, 4, 4], format!("[{{ conv = {}, kernel = 1 }}]", i64::MAX)),
        (vec![1, 4, 4], format!("[{{ conv = 1, kernel = 1, stride = {0}, dilation = {0} }}]", i64::MAX)),
        (
            vec![1, 4, 4],
            format!("[{{ conv_transpose = 1, kernel = {0}, stride = {0}, padding = \"same\" }}]", i64::MAX),
        ),
        (vec![4], format!("[{{ dense = {} }}]", i64::MAX)),
        (vec![4], format!("[{{ auxiliary = {} }}]", i64::MAX)),
        (vec![4], format!("[{{ concat_class = {} }}]", i64::MAX)),
        (vec![4], format!("[{{ reshape = [{0}, {0}, {0}] }}]", i64::MAX)),
        (vec![4], format!("[{{ reshape = [4{}] }}]", ", 1".repeat(1000))),
        (vec![huge, huge, huge], r#"["tanh"]"#.into()),
        (vec![1 << 31], r#"["tanh"]"#.into()),
        (vec![1; 1_000_000], r#"["tanh"]"#.into()),
        (vec![2, 2], r#"["tanh"]"#.into()),
        (vec![], r#"["tanh"]"#.into()),
    ] {
        let error = shape::infer("g", &input, &layers(&text)).unwrap_err().to_string();
        assert!(error.len() < 1000, "{}", error.len());
    }
    // Sizes within the limit are computed without overflow.
    let list = layers(&format!("[{}]", vec!["{ attention = 8 }"; 40].join(",")));
    let (trained, ..) = Summary::new("g", &[64, 128, 128], &list).unwrap().totals();
    assert_eq!(trained, 40 * (8 * 64 * 2 + 32 * 64 * 2 + 1));
}

#[test]
fn large_samples_are_generated_in_smaller_batches() {
    let latent = Latent { dim: 1, distribution: Distribution::Normal, truncation: None };
    let of = |text: &str| {
        let rng = &mut Rng::new(1);
        let g = LayeredGenerator::new(&latent, &[1, 1, 1], &layers(text), Init::He, rng, test_device()).unwrap();
        samples_at_once(&g).unwrap()
    };
    assert_eq!(of("[{ upsample = 64 }]"), 256);
    // 2²⁹ numbers in total: 128 samples with 2²² outputs and one input each.
    assert_eq!(of("[{ upsample = 2048 }]"), 127);
    assert_eq!(of("[{ residual = [{ upsample = 2048 }, \"tanh\"], skip = [{ upsample = 2048 }] }]"), 64);
}

#[test]
fn a_class_out_of_range_is_refused_with_and_without_an_embedding() {
    use candle_core::Tensor;
    use gan_core::ForwardContext;
    for text in ["[{ concat_class = 3 }]", "[{ concat_class = 3, embedding = 2 }]"] {
        let rng = &mut Rng::new(1);
        let network = Network::new("g", &[1], &layers(text), Init::He, Reuse::Never, rng, test_device()).unwrap();
        let x = Tensor::zeros((2, 1), candle_core::DType::F32, test_device()).unwrap();
        let run = |classes: [u32; 2]| {
            let classes = Tensor::new(&classes, test_device()).unwrap();
            network.forward(&x, &mut ForwardContext::eval().of_classes(Some(&classes)))
        };
        let y = run([2, 0]).unwrap();
        if y.dims() == [2, 4] {
            assert_eq!(y.to_vec2::<f32>().unwrap(), [[0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0]]);
        }
        if test_device().is_cpu() {
            assert!(run([0, 3]).unwrap_err().to_string().contains("class 3 of a sample is not among the 3 classes"));
        }
    }
}

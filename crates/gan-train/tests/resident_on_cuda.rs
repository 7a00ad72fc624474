//! Trains on the CUDA backend, over doubles of NVIDIA's libraries: as the CPU does, and with the same bits whether steps are captured or not.
#![allow(clippy::print_stdout, reason = "the device says why it is skipped")]

#[path = "../../gan-cuda/tests/common/device.rs"]
mod device;

use candle_core::Device;
use gan_core::Param;
use gan_cuda::{Cuda, Products};
use gan_train::{Trainer, layering, presets};

const STEPS: u64 = 6;

/// Small networks for images of 8×8: a plain pair, one with classes, residual blocks that are linear around each sample, newer layers,
/// spectral norm in both networks.
const NETWORKS: [[&str; 2]; 5] = [
    [
        r#"[{ dense = 32, bias = false }, { reshape = [8, 2, 2] }, { batch_norm = {} }, "relu",
            { conv_transpose = 6, kernel = 4, stride = 2, padding = 1, bias = false }, { batch_norm = {} }, "relu",
            { conv_transpose = 1, kernel = 4, stride = 2, padding = 1 }, "tanh"]"#,
        r#"[{ conv = 6, kernel = 4, stride = 2, padding = 1 }, { leaky_relu = 0.2 },
            { conv = 8, kernel = 3, stride = 2, padding = 1, bias = false }, { batch_norm = {} }, { leaky_relu = 0.2 }, "flatten", { dense = 1 }]"#,
    ],
    [
        r#"[{ concat_class = 10 }, { dense = 32 }, { reshape = [8, 2, 2] }, { upsample = 2 }, { conv = 6, kernel = 3, padding = 1 },
            { batch_norm = {} }, "relu", { upsample = 2 }, { conv = 1, kernel = 3, padding = 1 }, "tanh"]"#,
        r#"[{ conv = 6, kernel = 4, stride = 2, padding = 1 }, { leaky_relu = 0.2 }, "flatten", { dense = 8 }, { leaky_relu = 0.2 },
            { projection = 10 }]"#,
    ],
    [
        r#"[{ dense = 32 }, { reshape = [8, 2, 2] }, { bilinear = 2 }, { r3gan = 8, group_width = 4 }, { bilinear = 2 },
            { conv = 1, kernel = 1 }]"#,
        r#"[{ conv = 8, kernel = 1 }, { r3gan = 8, group_width = 4 }, { avg_pool = 2 }, "flatten", { dense = 1 }]"#,
    ],
    [
        r#"[{ dense = 64 }, { reshape = [16, 2, 2] }, "glu", { pixel_shuffle = 2 }, { conv = 16, kernel = 3, padding = 1 }, { instance_norm = {} },
            "silu", { pixel_shuffle = 2 }, { conv = 1, kernel = 3, padding = 1 }, "tanh"]"#,
        r#"[{ conv = 8, kernel = 3, stride = 2, padding = 1 }, { group_norm = 2 }, "silu", { attention = 4 }, { minibatch_std = 2 },
            { blur_pool = 2 }, "flatten", { dense = 8 }, "gelu", { dense = 1 }]"#,
    ],
    [
        r#"[{ dense = 32, spectral_norm = true }, { reshape = [8, 2, 2] }, { batch_norm = {} }, "relu",
            { conv_transpose = 6, kernel = 4, stride = 2, padding = 1, spectral_norm = true }, { batch_norm = {} }, "relu",
            { conv_transpose = 1, kernel = 4, stride = 2, padding = 1 }, "tanh"]"#,
        r#"[{ conv = 6, kernel = 4, stride = 2, padding = 1, spectral_norm = true }, { leaky_relu = 0.2 },
            { residual = [{ conv = 6, kernel = 1, spectral_norm = true }, { leaky_relu = 0.2 }] }, "flatten",
            { dense = 1, spectral_norm = true }]"#,
    ],
];

/// Returns a trainer of small networks.
fn trainer(network: usize, settings: &[&str]) -> Trainer {
    let [generator, discriminator] = NETWORKS[network];
    let text = format!(
        r#"data = {{ name = "synthetic", size = 8, workers = 0 }}
        latent = {{ dim = 8 }}
        generator = {{ input = [8], init = "dcgan", layers = {generator} }}
        discriminator = {{ input = [1, 8, 8], init = "he", layers = {discriminator} }}
        train = {{ batch = 6, ema = 0.9 }}
        penalties = []
        "#
    );
    // What is not written here is as in a preset whose networks are layer lists.
    let mut table = layering::from_preset(presets::get("mnist").unwrap()).unwrap();
    layering::overlay(&mut table, text.parse().unwrap());
    settings.iter().for_each(|setting| layering::set(&mut table, setting).unwrap());
    Trainer::new(layering::read(table).unwrap().check().unwrap(), &Device::Cpu).unwrap()
}

const R1: &str = r#"penalties=[{kind="r1",weight=1,every=2}]"#;
const BOTH: &str = r#"penalties=[{kind="r1",weight=1},{kind="r2",weight=1}]"#;

/// A discriminator with spectral norm that is not linear around each sample.
const CURVED: &str = r#"discriminator.layers=[{conv=6,kernel=3,stride=2,padding=1,spectral_norm=true},"silu","flatten",{dense=1,spectral_norm=true}]"#;

/// Networks and settings of steps without dropout, whose random numbers are the device's own.
const CASES: [(usize, &[&str]); 13] = [
    (0, &[]),
    (0, &["train.d_steps=2", "train.joint_batch=true", "loss.kind=wasserstein", "optimizer.generator.kind=rmsprop"]),
    (0, &["train.reuse_fakes=false", "train.fakes_mode=eval", "train.clip_norm=0.5", R1]),
    (0, &[r#"penalties=[{kind="gp",weight=10}]"#]),
    (1, &[R1]),
    (2, &["loss.kind=relativistic_pairing", BOTH]),
    (3, &["loss.kind=hinge", R1]),
    (3, &["loss.kind=relativistic_average"]),
    (4, &["loss.kind=hinge"]),
    (4, &["train.joint_batch=true", "train.reuse_fakes=false", "train.fakes_mode=eval", "train.d_steps=2"]),
    (4, &["loss.kind=relativistic_pairing", BOTH]),
    (4, &[r#"penalties=[{kind="r1",weight=1,share=0.5}]"#]),
    (4, &[CURVED, R1]),
];

/// Losses of each step, and the parameters after them.
type Results = (Vec<[f64; 2]>, Vec<(String, Vec<f32>)>);

fn results(trainer: &mut Trainer) -> Results {
    let losses =
        (0..STEPS).map(|_| trainer.advance().unwrap()).map(|step| [step.loss_d.unwrap(), step.loss_g.unwrap()]);
    let losses = losses.collect();
    let params = [trainer.generator().params(), trainer.discriminator().params()].concat();
    let numbers = |param: &Param| {
        let values = param.tensor().unwrap().flatten_all().unwrap().to_vec1().unwrap();
        (format!("{} {:?}", param.name, param.dims()), values)
    };
    (losses, params.iter().map(numbers).collect())
}

fn on(cuda: &Cuda, network: usize, settings: &[&str]) -> Results {
    let mut trainer = trainer(network, settings);
    trainer.move_to(cuda).unwrap();
    results(&mut trainer)
}

#[test]
fn networks_train_as_on_the_cpu() {
    let Some(cuda) = device::device(Products::F32) else { return };
    for (network, settings) in CASES {
        // With small learning rates, rounding errors do not grow. Adam turns even a gradient that consists of them into a full step.
        let settings = [settings, &["optimizer.generator.lr=1e-6", "optimizer.discriminator.lr=1e-6"]].concat();
        let (expected, _) = results(&mut trainer(network, &settings));
        let (found, _) = on(&cuda, network, &settings);
        for (step, (a, b)) in expected.iter().zip(&found).enumerate() {
            let is_close = a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4 * a.abs() + 1e-4);
            assert!(is_close, "{network} {settings:?}, step {step}: {a:?} on the CPU, {b:?} there");
        }
    }
}

#[test]
fn captured_steps_have_the_same_bits() {
    let Some(cuda) = device::device(Products::Tf32) else { return };
    let with_dropout = r#"discriminator.layers=["flatten",{dense=16},{leaky_relu=0.2},{dropout=0.5},{dense=1}]"#;
    for products in [Products::Tf32, Products::Bf16] {
        let cuda = cuda.with_products(products);
        for (network, settings) in CASES.into_iter().chain([(0, &[with_dropout, BOTH][..])]) {
            let captured = on(&cuda, network, settings);
            let run = on(&cuda.with_captures(false), network, settings);
            assert_eq!(captured.0, run.0, "{network} {settings:?} {products:?}: losses");
            for ((name, a), (_, b)) in captured.1.iter().zip(&run.1) {
                let differ = a.iter().zip(b).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
                assert_eq!(differ, 0, "{network} {settings:?} {products:?}: of {} numbers of {name}", a.len());
            }
        }
    }
}

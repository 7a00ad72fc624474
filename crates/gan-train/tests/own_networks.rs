//! Training of networks written in plain candle, alternation by epochs, and several steps per network.

use candle_core::{DType, Tensor};
use candle_nn::{Linear, Module, VarBuilder, VarMap};
use gan_core::{
    Discriminator, DiscriminatorOutput, ForwardContext, Generator, Labels, LossFunction, LossProperties, Param, Role,
    Side,
};
use gan_data::SyntheticSamples;
use gan_kernels::testing::test_device;
use gan_train::{Trainer, data, layering, presets};
use std::sync::Arc;

/// A dense layer from candle-nn.
struct Plain {
    linear: Linear,
    vars: VarMap,
}

impl Plain {
    fn new(inputs: usize, outputs: usize, scale: f64) -> Self {
        let vars = VarMap::new();
        let builder = VarBuilder::from_varmap(&vars, DType::F32, test_device());
        let linear = candle_nn::linear(inputs, outputs, builder).unwrap();
        for var in vars.all_vars() {
            let n = var.elem_count();
            let start: Vec<f32> =
                (0..n).map(|i| (((i * 31 + 7) % 17) as f64 / 17.0 - 0.5) as f32 * scale as f32).collect();
            var.set(&Tensor::from_vec(start, var.shape(), test_device()).unwrap()).unwrap();
        }
        Self { linear, vars }
    }

    fn params(&self) -> Vec<Param> {
        let vars = self.vars.data().lock().unwrap();
        let mut all: Vec<Param> =
            vars.iter().map(|(name, var)| Param::whole(name.clone(), var.clone(), Role::Weight)).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

struct PlainGenerator(Plain);

impl Generator for PlainGenerator {
    fn forward(&self, z: &Tensor, _: &mut ForwardContext) -> candle_core::Result<Tensor> {
        self.0.linear.forward(z)?.tanh()?.reshape(((), 1, 28, 28))
    }
    fn params(&self) -> Vec<Param> {
        self.0.params()
    }
}

struct PlainDiscriminator(Plain);

impl Discriminator for PlainDiscriminator {
    fn forward(&self, x: &Tensor, _: &mut ForwardContext) -> candle_core::Result<DiscriminatorOutput> {
        let features = x.flatten_from(1)?;
        let logits = self.0.linear.forward(&features)?.flatten_all()?;
        Ok(DiscriminatorOutput { features: Some(features), ..DiscriminatorOutput::of(logits) })
    }
    fn params(&self) -> Vec<Param> {
        self.0.params()
    }
}

fn trainer(settings: &[&str]) -> Trainer {
    let mut table = layering::from_preset(presets::get("dcgan-mnist").unwrap()).unwrap();
    let small = ["data.name=synthetic", "train.batch=100", "data.workers=0", "train.steps=12"];
    for setting in small.iter().chain(settings) {
        layering::set(&mut table, setting).unwrap();
    }
    let plan = layering::read(table).unwrap().check().unwrap();
    let images = SyntheticSamples::new(1, 300, [1, 28, 28]).unwrap();
    let loader = data::loader(&plan, Arc::new(images)).unwrap();
    let (g, d) = (Plain::new(100, 784, 0.1), Plain::new(784, 1, 0.01));
    let (g, d) = (Box::new(PlainGenerator(g)), Box::new(PlainDiscriminator(d)));
    Trainer::with_networks(plan, g, d, loader, test_device()).unwrap()
}

fn snapshot(params: &[Param]) -> Vec<Vec<f32>> {
    params.iter().map(|p| p.tensor().unwrap().flatten_all().unwrap().to_vec1().unwrap()).collect()
}

#[test]
fn plain_candle_networks_learn() {
    let mut trainer = trainer(&["optimizer.discriminator.lr=0.005"]);
    let before = (snapshot(&trainer.generator().params()), snapshot(&trainer.discriminator().params()));
    let reports: Vec<_> = (0..6).map(|_| trainer.advance().unwrap()).collect();
    assert_ne!(before.0, snapshot(&trainer.generator().params()));
    assert_ne!(before.1, snapshot(&trainer.discriminator().params()));
    let losses: Vec<f64> = reports.iter().map(|r| r.loss_d.unwrap()).collect();
    assert!(losses[5] < losses[0], "D learns to tell them apart: {losses:?}");
}

/// Least squares (Mao et al. 2017), written by a user.
#[derive(Debug)]
struct Squares;

impl LossFunction for Squares {
    fn properties(&self) -> LossProperties {
        LossProperties { is_relativistic: false, has_threshold: true, takes_labels: false, g_may_be_negative: false }
    }
    fn discriminator_part(&self, side: Side, logits: &Tensor, _: Labels) -> candle_core::Result<Tensor> {
        (logits - if side == Side::Real { 1.0 } else { 0.0 })?.sqr()? / 2.0
    }
    fn generator(&self, fake: &Tensor, _: Option<&Tensor>) -> candle_core::Result<Tensor> {
        (fake - 1.0)?.sqr()?.mean_all()? / 2.0
    }
}

#[test]
fn a_custom_loss_replaces_that_of_the_settings() {
    let losses = |mut trainer: Trainer| -> Vec<f64> {
        let reports = (0..5).map(|_| trainer.advance().unwrap());
        reports.flat_map(|report| [report.loss_d.unwrap(), report.loss_g.unwrap()]).collect()
    };
    let named = losses(trainer(&["loss.kind=least_squares"]));
    let mut trainer = trainer(&["loss.kind=hinge"]);
    trainer.set_loss(Squares);
    for (own, named) in losses(trainer).into_iter().zip(named) {
        assert!((own - named).abs() < 1e-5, "{own} instead of {named}");
    }
}

#[test]
fn alternating_by_epochs_freezes_the_other_player() {
    // An epoch is three steps: 300 images in batches of 100.
    let mut trainer = trainer(&["train.alternate=epochs", "train.reuse_fakes=false", "train.g_steps=2"]);
    let mut turns = String::new();
    for _ in 0..12 {
        let (g, d) = (snapshot(&trainer.generator().params()), snapshot(&trainer.discriminator().params()));
        let report = trainer.advance().unwrap();
        let g_moved = g != snapshot(&trainer.generator().params());
        let d_moved = d != snapshot(&trainer.discriminator().params());
        assert_eq!((report.loss_g.is_some(), report.loss_d.is_some()), (g_moved, d_moved));
        turns.push(if d_moved { 'd' } else { 'g' });
        assert!(g_moved != d_moved, "exactly one player moves");
    }
    assert_eq!(turns, "dddggggggddd");
}

#[test]
fn each_of_several_steps_draws_a_new_batch() {
    let mut trainer = trainer(&["train.d_steps=3", "train.g_steps=2"]);
    assert_eq!(trainer.steps_per_epoch(), 1);
    assert_eq!(trainer.advance().unwrap().epoch, 0);
    assert_eq!(trainer.advance().unwrap().epoch, 1);
}

#[test]
fn epochs_are_passes_of_d_over_the_data() {
    // An epoch is 3 batches, and a step uses 5, so 4 epochs are 12 batches.
    let trainer = trainer(&["train.d_steps=5", "train.epochs=4"]);
    assert_eq!(trainer.total_steps(), 3);
}

#[test]
fn weights_of_custom_networks_are_saved_and_loaded() {
    let mut trainer = trainer(&[]);
    trainer.advance().unwrap();
    let path = std::env::temp_dir().join(format!("gan-own-network-{}.safetensors", std::process::id()));
    std::fs::write(&path, trainer.generator_file().unwrap()).unwrap();
    let other = Plain::new(100, 784, 0.5);
    let load = |params: &[Param]| gan_core::weights::load_params(&path, params).map_err(|e| e.to_string());
    load(&other.params()).unwrap();
    let narrow = load(&Plain::new(100, 28, 0.5).params()).unwrap_err();
    let refused = gan_core::weights::read_generator(&path, test_device()).err().unwrap().to_string();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(snapshot(&other.params()), snapshot(&trainer.generator().params()));
    assert!(narrow.contains("tensor \"bias\" is [784], the network's layer list needs [28]"), "{narrow}");
    assert!(refused.contains("holds a network that Rust code defines, not a layer list"), "{refused}");
}

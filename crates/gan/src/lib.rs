//! Generative adversarial networks in Rust, on candle.
//!
//! This crate gathers the crates of the toolkit under one name; [`prelude`] has what most programs need. The program `gan` does the same from
//! the command line.
//!
//! Train a preset, one step at a time:
//! ```no_run
//! use gan::prelude::*;
//!
//! let mut trainer = Trainer::new(Plan::preset("dcgan-mnist")?, &Device::Cpu)?;
//! let report = trainer.advance()?;
//! println!("D {:?}, G {:?}", report.loss_d, report.loss_g);
//! # Ok::<(), gan::train::Error>(())
//! ```
//!
//! Load a generator and sample from it:
//! ```no_run
//! use gan::prelude::*;
//!
//! let (about, generator) = read_generator("runs/digits/generator.safetensors".as_ref(), &Device::Cpu)?;
//! let z = about.latent.sample(64, &mut Rng::new(1), &Device::Cpu)?;
//! let images = samples(&generator, &z, None)?; // [64, 1, 28, 28] in −1 to 1
//! # Ok::<(), gan::core::Error>(())
//! ```
//!
//! Compare two folders of images:
//! ```no_run
//! let card = gan::run::evaluate::distance("generated".as_ref(), "photos".as_ref(), "inception")?;
//! println!("{card}");
//! # Ok::<(), gan::run::Error>(())
//! ```
//!
//! The folder `examples` shows networks, layers, losses, optimizers, data sets and training steps of your own.
//!
//! | crate | holds |
//! |---|---|
//! | [`core`] | layers, networks, losses, penalties, latent noise, weight files |
//! | [`data`] | data sets, image decoding, packs, loaders |
//! | [`metrics`] | metrics and their cards, embedding networks |
//! | [`step`] | the training step, optimizers |
//! | [`train`] | settings, trainer, checkpoints |
//! | [`run`] | run folder, loop, observers, evaluation, report |
//! | [`report`] | grids, plots, animations, the HTML page |
//! | [`export`] | ONNX files, PyTorch modules, pages for the browser |
//! | [`import`] | weights trained elsewhere |
//! | [`kernels`] | the fused engine, candle operations |
//! | [`comm`] | processes that train one model |
//! | [`base`] | random numbers, atomic files, words for messages |

/// The version of candle whose tensors these crates take and return.
pub use candle_core as candle;
pub use gan_base as base;
pub use gan_comm as comm;
pub use gan_core as core;
pub use gan_data as data;
pub use gan_export as export;
pub use gan_import as import;
pub use gan_kernels as kernels;
pub use gan_metrics as metrics;
pub use gan_report as report;
pub use gan_run as run;
pub use gan_step as step;
pub use gan_train as train;

/// What most programs need, to be imported whole.
pub mod prelude {
    pub use candle_core::{DType, Device, Tensor};
    pub use gan_base::Rng;
    pub use gan_core::layers;
    pub use gan_core::penalties::{Penalty, PenaltyKind};
    pub use gan_core::weights::read_generator;
    pub use gan_core::{
        Discriminator, ForwardContext, Generator, Layer, Loss, LossFunction, discriminator_fn, generator_fn, pixels,
        samples,
    };
    pub use gan_data::{Dataset, DatasetSpec, OpenOptions};
    pub use gan_train::{Gan, Plan, Trainer};
}

/// The snippets of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! Training of GANs: takes settings and returns a trainer that does one step at a time.
//!
//! [`config::RunConfig`] (as written) is checked into a [`Plan`]; only a plan creates a [`Trainer`]. Everything around the steps, such as
//! files, pictures and evaluation, is in the crate
//! `gan-run`; the step itself ([`step`]) and the [`optimizers`] are in `gan-step`.
//!
//! In reading order: [`config`], [`presets`] and [`layering`] (preset < file < `--set`), [`Plan`], [`NetworkFile`] (one network alone), [`data`], [`device`],
//! [`Trainer`], [`distributed`] (several ranks), [`checkpoint`].

pub mod checkpoint;
pub mod config;
pub mod data;
pub mod device;
pub mod distributed;
mod ema;
mod error;
mod gan;
pub mod layering;
mod network_file;
mod plan;
pub mod presets;
pub mod recipe;
mod resident;
mod start;
mod trainer;

pub use gan_step::{optimizers, step};

use gan_step::{averages, keyed};

pub use error::{Error, Result};
pub use gan::Gan;
pub use network_file::NetworkFile;
pub use plan::{Architecture, Length, Plan};
pub use start::{TransferredParams, WeightTransfer, other_channels};
pub use trainer::{Moment, Parts, StepReport, Trainer};

/// The snippets of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! Training of GANs: takes settings and returns a trainer that does one step at a time.
//!
//! [`config::RunConfig`] (as written) is checked into a [`Plan`]; only a plan creates a [`Trainer`]. Everything around the steps, such as
//! files, pictures and evaluation, is in the crate `gan-run`.
//!
//! In reading order: [`config`], [`presets`] and [`layering`] (preset < file < `--set`), [`plan`], [`data`], [`device`],
//! [`optimizer`], [`ema`], [`step`] (the mathematics, one screen), [`trainer`], [`distributed`] (several ranks), [`checkpoint`].

pub mod checkpoint;
pub mod config;
pub mod data;
pub mod device;
pub mod distributed;
pub mod ema;
pub mod error;
mod gan;
pub mod layering;
pub mod optimizer;
pub mod plan;
pub mod presets;
pub mod step;
pub mod trainer;

pub use config::RunConfig;
pub use error::{Error, Result};
pub use gan::Gan;
pub use optimizer::Optimizer;
pub use plan::{Architecture, Length, Plan};
pub use trainer::{Moment, StepReport, Trainer};

//! Runs: the folder of a run, and everything that happens around a trainer's steps.
//!
//! [`run()`] steps a [`gan_train::Trainer`] while observers record. In reading order: [`observe`] and [`mod@run`] (the loop), [`folder`],
//! [`record`] (metrics, checkpoints), [`evaluate`] (sample quality) and [`gan_alarms`] (failures), [`run_summary`], [`pictures`] and
//! [`planes`] (drawing), [`mod@resume`], [`report`] (the folder as one page), [`project`] (latent vectors of images).

pub mod error;
pub mod evaluate;
mod evaluation_observer;
pub mod folder;
mod log;
pub mod observe;
pub mod pictures;
pub mod planes;
pub mod project;
pub mod record;
pub mod report;
pub mod resume;
pub mod run;
pub mod run_summary;

pub use error::{Error, Result};
pub use folder::{Existing, RunFolder};
pub use observe::{Observer, Outcome};
pub use resume::resume;
pub use run::{follow, run};
pub use run_summary::RunSummary;

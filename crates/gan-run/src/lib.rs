//! What turns a trainer into a run: the run's folder, and everything that happens around its steps.
//!
//! [`run()`] steps a [`gan_train::Trainer`] while observers record. In reading order: [`observe`] and [`mod@run`] (the loop),
//! [`folder`], [`record`] (metrics, checkpoints), [`evaluate`] (how good the samples are) and [`gan_alarms`] (what goes wrong), [`run_summary`],
//! [`pictures`] and [`planes`] (what is drawn), [`mod@resume`], [`report`] (the folder as one page), [`project`] (images back to
//! latent vectors).

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

//! Runs: the folder of a run, and everything that happens around a trainer's steps.
//!
//! [`run()`] steps a [`gan_train::Trainer`] while observers record. In reading order: `run` (the loop and its observers), [`RunFolder`],
//! `record` (metrics, checkpoints), [`RunLog`] (reading them, also while they grow), [`evaluate`] (sample quality) and [`gan_alarms`] (failures), [`RunSummary`], [`pictures`] and
//! [`planes`] (drawing), `resume`, [`report`] (the folder as one page), [`ModelCard`] (its page on the Hub), [`project`] (latent vectors of images, by an [`image_distance`];
//! [`ssim`](mod@ssim) measures the result).

mod error;
pub mod evaluate;
mod evaluation_observer;
mod folder;
pub mod image_distance;
mod log;
mod model_card;
pub mod pictures;
pub mod planes;
pub mod project;
mod record;
pub mod report;
mod resume;
mod run;
mod run_log;
mod run_summary;
pub mod ssim;
mod tail;

pub use error::{Error, Result};
pub use folder::{Existing, PICTURES, RunFolder, owner, resolved};
pub use model_card::ModelCard;
pub use record::observers;
pub use resume::resume;
pub use run::{Observer, Outcome, follow, run};
pub use run_log::{Growth, RunLog, is_alarm};
pub use run_summary::{Best, Raised, RunSummary};
pub use tail::{Fresh, Tail};

//! Training GANs: settings in, a run folder out.
//!
//! [`config::RunConfig`] (as written) is checked into a [`Plan`]; only a plan makes a [`Trainer`]; [`run()`] steps it while
//! observers record.
//!
//! In reading order: [`config`], [`presets`] and [`layering`] (preset < file < `--set`), [`plan`], [`data`], [`device`],
//! [`optimizer`], [`ema`], [`step`] (the mathematics, one screen), [`trainer`], [`observe`] and [`mod@run`] (the loop), [`crew`] (the loop on several ranks), [`folder`],
//! [`record`] (metrics, checkpoints), [`evaluate`] and [`alarms`] (how good the samples are, what goes wrong), [`verdict`], [`pictures`] and [`planes`] (what is drawn), [`checkpoint`] and [`mod@resume`], [`project`] (images back to latent vectors), [`report`] (the folder as one
//! page).

pub mod alarms;
pub mod checkpoint;
pub mod config;
pub mod crew;
pub mod data;
pub mod device;
pub mod ema;
pub mod error;
pub mod evaluate;
pub mod folder;
mod judging;
pub mod layering;
mod log;
pub mod observe;
pub mod optimizer;
pub mod pictures;
pub mod plan;
pub mod planes;
pub mod presets;
pub mod project;
pub mod record;
pub mod report;
pub mod resume;
pub mod run;
pub mod step;
pub mod trainer;
pub mod verdict;

pub use config::RunConfig;
pub use error::{Error, Result};
pub use folder::{Existing, RunFolder};
pub use observe::{Observer, Outcome};
pub use optimizer::Optimizer;
pub use plan::{Architecture, Length, Plan};
pub use resume::resume;
pub use run::run;
pub use trainer::{Moment, StepReport, Trainer};
pub use verdict::Verdict;

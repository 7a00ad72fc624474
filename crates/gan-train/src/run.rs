//! The loop.

use crate::error::Result;
use crate::observe::{Observer, Outcome};
use crate::trainer::{StepReport, Trainer};
use std::sync::atomic::{AtomicBool, Ordering};

/// Steps `trainer` to its end, or to the end of the step during which `stop` is set.
///
/// # Errors
/// The first error of a step or an observer.
pub fn run(trainer: &mut Trainer, observers: &mut [Box<dyn Observer + '_>], stop: &AtomicBool) -> Result<Outcome> {
    observers.iter_mut().try_for_each(|o| o.started(trainer))?;
    let mut outcome = Outcome::Done;
    while trainer.step() < trainer.total_steps() {
        if stop.load(Ordering::Relaxed) {
            outcome = Outcome::Stopped;
            break;
        }
        let report = step(trainer, observers)?;
        observers.iter_mut().try_for_each(|o| o.stepped(&report, trainer))?;
    }
    observers.iter_mut().try_for_each(|o| o.finished(outcome, trainer))?;
    Ok(outcome)
}

/// One step, with those observers looking into it that want to.
fn step(trainer: &mut Trainer, observers: &mut [Box<dyn Observer + '_>]) -> Result<StepReport> {
    let number = trainer.step() + 1;
    let mut watching: Vec<_> = observers.iter_mut().filter(|o| o.watches(number, trainer)).collect();
    trainer.advance_watched(&mut |moment, trainer| watching.iter_mut().try_for_each(|o| o.moment(moment, trainer)))
}

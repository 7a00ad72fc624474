//! The training loop, and the observers of its steps.

use crate::error::{Error, Result};
use crate::evaluate::Embedding;
use gan_alarms::Alarm;
use gan_train::config::Policy;
use gan_train::{Moment, StepReport, Trainer};
use std::sync::atomic::{AtomicBool, Ordering};

/// Reason for the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done.
    Done,
    /// The user stopped it.
    Stopped,
    /// An alarm ended it.
    Alarmed,
}

/// Observer of a run: everything that happens around the steps. The loop knows none of its files. An error stops the run.
pub trait Observer {
    /// Called before the first step of this process.
    fn started(&mut self, _trainer: &Trainer) -> Result<()> {
        Ok(())
    }

    /// Returns whether to call [`Observer::moment`] in step number `step`.
    fn watches(&self, _step: u64, _trainer: &Trainer) -> bool {
        false
    }

    /// Called in the middle of a step that it watches.
    fn moment(&mut self, _moment: Moment, _trainer: &Trainer) -> Result<()> {
        Ok(())
    }

    /// Called after each step.
    fn stepped(&mut self, _report: &StepReport, _trainer: &Trainer) -> Result<()> {
        Ok(())
    }

    /// Returns the alarms that it raises; called after each step.
    fn alarms(&mut self) -> Vec<Alarm> {
        vec![]
    }

    /// Returns whether the run has reached its goal and ends; called after each step.
    fn reached(&self) -> bool {
        false
    }

    /// Called after an alarm; `done` is the action taken: a warning, a rollback or the end.
    fn alarmed(&mut self, _alarm: &Alarm, _done: Policy, _trainer: &Trainer) -> Result<()> {
        Ok(())
    }

    /// Called after the alarms of a step are handled, when `trainer` is in the state from which the run continues. What is saved now
    /// persists.
    fn settled(&mut self, _trainer: &Trainer) -> Result<()> {
        Ok(())
    }

    /// Restores the best state that it keeps, and returns whether there was one.
    fn roll_back(&mut self, _trainer: &mut Trainer) -> Result<bool> {
        Ok(false)
    }

    /// Called after a rollback to an earlier step, when that state is [settled](Observer::settled): later lines and files are discarded.
    /// Calls [`Observer::started`] by default.
    fn rolled_back(&mut self, trainer: &Trainer) -> Result<()> {
        self.started(trainer)
    }

    /// Called after the last step of this process.
    fn finished(&mut self, _outcome: Outcome, _trainer: &Trainer) -> Result<()> {
        Ok(())
    }
}

type Observers<'a> = [Box<dyn Observer + 'a>];

/// Steps `trainer` to its end, or to the end of the step during which `stop` is set or an alarm ends the run. Releases the ranks that it
/// leads.
///
/// # Errors
/// The first error of a step or an observer.
pub fn run(trainer: &mut Trainer, observers: &mut [Box<dyn Observer + '_>], stop: &AtomicBool) -> Result<Outcome> {
    let ended = steps(trainer, observers, stop);
    trainer.shutdown();
    ended
}

/// Carries out the orders of rank 0 until the end of the run.
///
/// # Errors
/// If this rank alone fails; the others then wait for it.
pub fn follow(trainer: &mut Trainer) -> Result<()> {
    let mut embedding = None;
    gan_train::distributed::follow(trainer, &mut |trainer| {
        let embedding = match &mut embedding {
            Some(embedding) => embedding,
            none => none.insert(Embedding::for_trainer(trainer)?),
        };
        embedding.shared(trainer, &mut |_| {})
    })
}

fn steps(trainer: &mut Trainer, observers: &mut Observers, stop: &AtomicBool) -> Result<Outcome> {
    observers.iter_mut().try_for_each(|o| o.started(trainer))?;
    let mut outcome = respond(trainer, observers)?;
    while outcome.is_none() && trainer.step() < trainer.total_steps() {
        if observers.iter().any(|o| o.reached()) {
            break;
        }
        if stop.load(Ordering::Relaxed) {
            outcome = Some(Outcome::Stopped);
            break;
        }
        outcome = match step(trainer, observers) {
            Ok(report) => {
                observers.iter_mut().try_for_each(|o| o.stepped(&report, trainer))?;
                respond(trainer, observers)?
            }
            Err(error) => {
                recover(trainer, observers, error)?;
                None
            }
        };
    }
    let outcome = outcome.unwrap_or(Outcome::Done);
    observers.iter_mut().try_for_each(|o| o.finished(outcome, trainer))?;
    Ok(outcome)
}

/// Does one step, and calls the observers that watch it.
fn step(trainer: &mut Trainer, observers: &mut Observers) -> Result<StepReport> {
    let number = trainer.step() + 1;
    let mut watching: Vec<_> = observers.iter_mut().filter(|o| o.watches(number, trainer)).collect();
    trainer.advance_watched(&mut |moment, trainer| watching.iter_mut().try_for_each(|o| o.moment(moment, trainer)))
}

/// Applies the settings' policies to the alarms that observers raise, informs all observers, and lets them save. The strongest policy wins.
/// Returns an outcome if it ends the run.
fn respond(trainer: &mut Trainer, observers: &mut Observers) -> Result<Option<Outcome>> {
    let mut alarms: Vec<Alarm> = observers.iter_mut().flat_map(|o| o.alarms()).collect();
    let settings = trainer.plan().config().alarms.clone();
    alarms.retain(|alarm| settings.policy(alarm.rule) != Policy::Off);
    let asked = alarms.iter().map(|alarm| settings.policy(alarm.rule)).max().unwrap_or(Policy::Off);
    let done = match asked {
        Policy::Rollback if roll_back(trainer, observers)? => Policy::Rollback,
        // Without a state to return to, or after too many rollbacks, continuing would only repeat the failure.
        Policy::Rollback => Policy::Stop,
        other => other,
    };
    settle(trainer, observers, &alarms, done)?;
    Ok((done == Policy::Stop).then_some(Outcome::Alarmed))
}

/// Records the alarms and the actions, saves, and only then discards what a rollback undid: a process that is killed in between leaves
/// either none of it or everything that the checkpoint refers to.
fn settle(trainer: &Trainer, observers: &mut Observers, alarms: &[Alarm], done: Policy) -> Result<()> {
    for alarm in alarms {
        observers.iter_mut().try_for_each(|o| o.alarmed(alarm, done, trainer))?;
    }
    observers.iter_mut().try_for_each(|o| o.settled(trainer))?;
    if done == Policy::Rollback { observers.iter_mut().try_for_each(|o| o.rolled_back(trainer)) } else { Ok(()) }
}

/// Restores the best checkpoint with lower learning rates, and returns whether that was possible.
fn roll_back(trainer: &mut Trainer, observers: &mut Observers) -> Result<bool> {
    let before = trainer.rollbacks();
    if before >= trainer.plan().config().alarms.rollbacks {
        return Ok(false);
    }
    let mut done = false;
    for observer in observers.iter_mut() {
        done = done || observer.roll_back(trainer)?;
    }
    if done {
        trainer.set_rollbacks(before + 1);
    }
    Ok(done)
}

/// Handles a failed step: rolls back if the settings allow it and it is possible; otherwise returns the error.
fn recover(trainer: &mut Trainer, observers: &mut Observers, error: Error) -> Result<()> {
    let Error::Train(gan_train::Error::NotFinite { step, what, value }) = &error else { return Err(error) };
    let alarm = Alarm::not_finite(*step, format!("{what} is {value}"));
    let asked = trainer.plan().config().alarms.policy(alarm.rule);
    if asked == Policy::Rollback && roll_back(trainer, observers)? {
        return settle(trainer, observers, &[alarm], Policy::Rollback);
    }
    // The failed step left the trainer in an intermediate state, so nothing of it is saved.
    observers.iter_mut().try_for_each(|o| o.alarmed(&alarm, Policy::Stop, trainer))?;
    Err(error)
}

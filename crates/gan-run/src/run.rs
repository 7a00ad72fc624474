//! The loop.

use crate::error::{Error, Result};
use crate::evaluate::Embedding;
use crate::observe::{Observer, Outcome};
use gan_alarms::Alarm;
use gan_train::config::Policy;
use gan_train::trainer::{StepReport, Trainer};
use std::sync::atomic::{AtomicBool, Ordering};

type Observers<'a> = [Box<dyn Observer + 'a>];

/// Steps `trainer` to its end, or to the end of the step during which `stop` is set or an alarm asks for it. Ranks that it leads
/// are let go then.
///
/// # Errors
/// The first error of a step or an observer.
pub fn run(trainer: &mut Trainer, observers: &mut [Box<dyn Observer + '_>], stop: &AtomicBool) -> Result<Outcome> {
    let ended = steps(trainer, observers, stop);
    trainer.shutdown();
    ended
}

/// Does this rank's share of what rank 0 says, until that ends the run.
///
/// # Errors
/// What this rank alone cannot do; the others wait for it then.
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
    let mut outcome = outcome_of(respond(trainer, observers)?);
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
                outcome_of(respond(trainer, observers)?)
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

fn outcome_of(policy: Policy) -> Option<Outcome> {
    (policy == Policy::Stop).then_some(Outcome::Alarmed)
}

/// One step, with those observers looking into it that want to.
fn step(trainer: &mut Trainer, observers: &mut Observers) -> Result<StepReport> {
    let number = trainer.step() + 1;
    let mut watching: Vec<_> = observers.iter_mut().filter(|o| o.watches(number, trainer)).collect();
    trainer.advance_watched(&mut |moment, trainer| watching.iter_mut().try_for_each(|o| o.moment(moment, trainer)))
}

/// Does what the settings say about the alarms that observers raise, tells all of them, and lets them save. The strongest policy wins.
fn respond(trainer: &mut Trainer, observers: &mut Observers) -> Result<Policy> {
    let mut alarms: Vec<Alarm> = observers.iter_mut().flat_map(|o| o.alarms()).collect();
    let settings = trainer.plan().config().alarms.clone();
    alarms.retain(|alarm| settings.policy(alarm.rule) != Policy::Off);
    let asked = alarms.iter().map(|alarm| settings.policy(alarm.rule)).max().unwrap_or(Policy::Off);
    let done = match asked {
        Policy::Rollback if roll_back(trainer, observers)? => Policy::Rollback,
        // Where there is nothing to go back to, or it was done too often, going on would only repeat it.
        Policy::Rollback => Policy::Stop,
        other => other,
    };
    settle(trainer, observers, &alarms, done)?;
    Ok(done)
}

/// Writes down the alarms and what was done about them, saves, and only then gives up what a rollback took back: a process that is
/// killed in between finds either none of it done or all that the checkpoint claims.
fn settle(trainer: &Trainer, observers: &mut Observers, alarms: &[Alarm], done: Policy) -> Result<()> {
    for alarm in alarms {
        observers.iter_mut().try_for_each(|o| o.alarmed(alarm, done, trainer))?;
    }
    observers.iter_mut().try_for_each(|o| o.settled(trainer))?;
    match done {
        Policy::Rollback => observers.iter_mut().try_for_each(|o| o.rolled_back(trainer)),
        _ => Ok(()),
    }
}

/// Takes the trainer back to the best checkpoint with lower rates. Whether that could be done.
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

/// After a step that failed: goes back if the settings say so and it can be done. Else the error stands.
fn recover(trainer: &mut Trainer, observers: &mut Observers, error: Error) -> Result<()> {
    let Error::Train(gan_train::Error::NotFinite { step, what, value }) = &error else { return Err(error) };
    let alarm = Alarm::not_finite(*step, format!("{what} is {value}"));
    let asked = trainer.plan().config().alarms.policy(alarm.rule);
    let done = asked == Policy::Rollback && roll_back(trainer, observers)?;
    let policy = if done { Policy::Rollback } else { Policy::Stop };
    if done {
        return settle(trainer, observers, &[alarm], policy);
    }
    // The step that failed left the trainer in between: nothing of it is saved.
    observers.iter_mut().try_for_each(|o| o.alarmed(&alarm, policy, trainer))?;
    Err(error)
}

//! Observer that evaluates G at intervals, keeps the best, and raises alarms.

use crate::error::{Error, Result};
use crate::evaluate::{self, Evaluated, Evaluator};
use crate::folder::{BEST_STATE, EVALUATIONS, RunFolder};
use crate::log::{Cut, Log, append, write_line};
use crate::pictures::make;
use crate::run::Observer;
use crate::run_summary::Raised;
use gan_alarms::{Alarm, RunContext, Watch};
use gan_base::atomic;
use gan_metrics::{Card, Metric};
use gan_train::checkpoint;
use gan_train::config::Policy;
use gan_train::{StepReport, Trainer};
use serde_json::{Map, Value};

pub(crate) struct EvaluationObserver {
    folder: RunFolder,
    log: Log,
    evaluator: Option<Evaluator>,
    watch: Option<Watch>,
    best: Option<f64>,
    raised: Vec<Alarm>,
    /// Whether the last evaluation reached everything in `train.until`.
    reached: bool,
}

impl EvaluationObserver {
    pub(crate) fn new(folder: &RunFolder, log: Log) -> Self {
        Self { folder: folder.clone(), log, evaluator: None, watch: None, best: None, raised: vec![], reached: false }
    }

    /// Evaluates G, writes the card and the figures, and keeps G if it is the best so far.
    fn evaluate(&mut self, trainer: &Trainer) -> Result<()> {
        let Some(evaluator) = &self.evaluator else { return Ok(()) };
        let step = trainer.step();
        let card = match evaluator.of_trainer(trainer) {
            Ok(card) => card,
            Err(error) => {
                // Samples that are not finite are a fault of the run, not of the evaluation.
                let Error::Metrics(inner) = &error else { return Err(error) };
                let gan_metrics::Error::Values { what, .. } = inner.as_ref() else { return Err(error) };
                self.raised.push(Alarm::not_finite(step, format!("{what} are not all numbers")));
                return Ok(());
            }
        };
        let best = evaluator.best().and_then(|best| Some((best.better, card.value(best)?)));
        let is_measured = |name: &str| Metric::find(name).and_then(|metric| card.value(metric)).is_some();
        if let Some(name) = trainer.plan().config().train.until.keys().find(|name| !is_measured(name)) {
            let problem = "is not measured in this run: add it to evaluate.metrics";
            return Err(Error::config(format!("train.until.{name}"), problem));
        }
        self.reached = reaches(&card, trainer);
        self.write(step, card)?;
        match best {
            Some((better, value)) if better.prefers(value, self.best.unwrap_or(f64::NAN)) => self.keep(value, trainer),
            _ => Ok(()),
        }
    }

    fn write(&self, step: u64, card: Card) -> Result<()> {
        let mut line = Map::from_iter([("step".to_string(), Value::from(step))]);
        line.extend(card.figures.iter().map(|figure| (figure.metric.key.to_string(), figure.value.into())));
        let evaluated = Evaluated { step, best: self.evaluator.as_ref().and_then(Evaluator::best), card };
        let path = self.folder.join(EVALUATIONS);
        write_line(&append(&path)?, &path, &serde_json::to_string(&evaluated).unwrap_or_default())?;
        self.log.write(step, Value::Object(line))
    }

    /// Saves the best generator so far, and the whole state if an alarm may roll back to it.
    fn keep(&mut self, value: f64, trainer: &Trainer) -> Result<()> {
        self.best = Some(value);
        atomic::write(&self.folder.best_generator(), &trainer.generator_file()?)?;
        if trainer.plan().may_roll_back() {
            let dir = self.folder.join(BEST_STATE);
            make(&dir)?;
            checkpoint::save(trainer, &dir, 1)?;
        }
        Ok(())
    }

    /// Passes lines of the log to the rules.
    fn watch(&mut self, lines: &[Value]) -> Vec<Alarm> {
        let Some(watch) = &mut self.watch else { return vec![] };
        lines.iter().flat_map(|line| watch.see(line)).collect()
    }
}

/// Returns the alarm that ended the run at the step of `trainer`, unless the settings now allow the run to continue. A step that failed
/// raises its own alarm again when it is repeated.
fn ended_by(lines: &[Value], trainer: &Trainer) -> Option<Alarm> {
    let raised = lines.iter().rev().find_map(|line| serde_json::from_value::<Raised>(line.clone()).ok())?;
    let ends = |policy| matches!(policy, Policy::Stop | Policy::Rollback);
    let stands = raised.done == Policy::Stop && raised.alarm.at == trainer.step();
    (stands && ends(trainer.plan().config().alarms.policy(raised.alarm.rule))).then_some(raised.alarm)
}

/// Returns a trainer's evaluator; `None` if there are too few real samples to compare with, which does not prevent training.
fn evaluator(trainer: &Trainer) -> Result<Option<Evaluator>> {
    match Evaluator::for_trainer(trainer) {
        Ok(evaluator) => Ok(Some(evaluator)),
        Err(Error::Metrics(inner)) if matches!(*inner, gan_metrics::Error::TooFew { .. }) => {
            tracing::warn!("nothing is measured in this run: {inner}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Returns whether a card reaches everything in `train.until`, if it is set.
fn reaches(card: &Card, trainer: &Trainer) -> bool {
    let until = &trainer.plan().config().train.until;
    let reached = |(name, wanted): (&String, &f64)| {
        let Some(metric) = Metric::find(name) else { return false };
        card.value(metric).is_some_and(|value| value == *wanted || metric.better.prefers(value, *wanted))
    };
    !until.is_empty() && until.iter().all(reached)
}

impl Observer for EvaluationObserver {
    fn started(&mut self, trainer: &Trainer) -> Result<()> {
        let path = self.folder.join(EVALUATIONS);
        Cut::of(trainer).apply(&path)?;
        if self.evaluator.is_none() && trainer.plan().config().evaluate.every > 0 {
            self.evaluator = evaluator(trainer)?;
        }
        let best = self.evaluator.as_ref().and_then(Evaluator::best);
        self.watch = Some(Watch::new(RunContext {
            total: trainer.total_steps(),
            best: best.map(|best| (best.key.to_string(), best.better)),
            floor: best.and_then(|best| self.evaluator.as_ref()?.floor(best)),
            loss: trainer.loss().properties(),
        }));
        let before = evaluate::read(&path);
        self.reached = before.last().is_some_and(|last| reaches(&last.card, trainer));
        self.best = best.and_then(|best| evaluate::best_of(&before, best)).map(|(_, value)| value);
        // The alarms of earlier lines were handled before the checkpoint was saved, except for one that ended the run.
        let lines = self.log.take_fresh();
        self.watch(&lines);
        self.raised = ended_by(&lines, trainer).into_iter().collect();
        // A run that was rolled back to its start was evaluated there before.
        if trainer.step() == 0 && before.is_empty() { self.evaluate(trainer) } else { Ok(()) }
    }

    fn stepped(&mut self, report: &StepReport, trainer: &Trainer) -> Result<()> {
        let every = trainer.plan().config().evaluate.every;
        if every > 0 && (report.step.is_multiple_of(every) || report.step == trainer.total_steps()) {
            self.evaluate(trainer)?;
        }
        let lines = self.log.take_fresh();
        let found = self.watch(&lines);
        self.raised.extend(found);
        Ok(())
    }

    fn reached(&self) -> bool {
        self.reached
    }

    fn alarms(&mut self) -> Vec<Alarm> {
        std::mem::take(&mut self.raised)
    }

    fn alarmed(&mut self, _: &Alarm, _: Policy, _: &Trainer) -> Result<()> {
        self.log.take_fresh();
        Ok(())
    }

    fn roll_back(&mut self, trainer: &mut Trainer) -> Result<bool> {
        Ok(checkpoint::restore(trainer, &self.folder.join(BEST_STATE), None)?.is_some())
    }
}

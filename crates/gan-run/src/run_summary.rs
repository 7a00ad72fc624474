//! Summary of a finished run: the best value and its step, alarms, and what to try next.

use crate::evaluate::{self, Evaluated, best_of};
use crate::folder::{EVALUATIONS, METRICS, MOST_LINES, written_number};
use crate::run_log::is_alarm;
use gan_alarms::Alarm;
use gan_base::messages::counted;
use gan_base::regular_file;
use gan_core::summary::grouped;
use gan_metrics::{Card, Metric, format_value};
use gan_train::config::Policy;
use serde::Deserialize;
use serde_json::Value;
use std::fmt;
use std::path::Path;

/// Fraction of the run after which the best value counts as one at the end.
const AT_THE_END: f64 = 0.9;

/// Minimum number of steps for a meaningful summary.
const FEW: u64 = 300;

/// Alarm, as in metrics.jsonl.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Raised {
    /// The alarm with its step and evidence.
    #[serde(flatten)]
    pub alarm: Alarm,
    /// Action that was taken.
    pub done: Policy,
}

/// Best evaluation of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Best {
    /// Metric of the comparison.
    pub metric: &'static Metric,
    /// Value of the metric.
    pub value: f64,
    /// Step of the evaluation.
    pub step: u64,
    /// Card of the evaluation.
    pub card: Card,
    /// Value of the last evaluation, and its step.
    pub last: (u64, f64),
}

impl Best {
    /// Returns the value of real samples, if it was measured.
    pub(crate) fn floor(&self) -> Option<f64> {
        self.card.figure(self.metric)?.floor
    }

    /// Returns the value of real samples as it follows the best value in a text; nothing if it was not measured.
    pub(crate) fn beside_floor(&self) -> String {
        self.floor().map(|floor| format!("; real samples: {}", format_value(floor))).unwrap_or_default()
    }
}

/// Summary of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSummary {
    /// Best evaluation; `None` if nothing was evaluated.
    pub best: Option<Best>,
    /// Alarms, in their order.
    pub alarms: Vec<Raised>,
    /// Number of completed steps.
    pub steps: u64,
    /// Whether the settings enable evaluations.
    pub evaluates: bool,
}

impl RunSummary {
    /// Summarizes the run in the folder `run`, whose best evaluation is selected by `metric`, or by the first metric that was measured if
    /// that is not known.
    pub fn of(run: &Path, metric: Option<&'static Metric>) -> Self {
        // Runs of millions of lines have few alarms, so only lines of alarms are fully parsed.
        let bytes = regular_file::read(&run.join(METRICS), MOST_LINES).unwrap_or_default();
        let lines = || bytes.split(|byte| *byte == b'\n');
        let alarms =
            lines().filter(|line| is_alarm(line)).filter_map(|line| serde_json::from_slice(line).ok()).collect();
        let step = |line: &[u8]| serde_json::from_slice::<Value>(line).ok()?["step"].as_u64();
        let steps = lines().rev().find_map(step).unwrap_or(0);
        Self::of_log(run, metric, alarms, steps)
    }

    /// Returns the same for a run whose alarms and number of steps are known.
    pub fn of_log(run: &Path, metric: Option<&'static Metric>, alarms: Vec<Raised>, steps: u64) -> Self {
        let evaluations = evaluate::read(&run.join(EVALUATIONS));
        Self {
            best: best(&evaluations, metric),
            alarms,
            steps,
            evaluates: written_number(run, "evaluate", "every") > Some(0),
        }
    }

    /// Returns advice on what to do next.
    pub fn next(&self) -> String {
        if let Some(raised) = self.alarms.last() {
            return raised.alarm.advice.clone();
        }
        let Some(best) = &self.best else {
            if self.evaluates {
                return "there are too few images to measure samples by: add some, or compare by hand: gan evaluate RUN --data DIR".into();
            }
            return "measure while training, and keep the best generator: --set evaluate.every=200".into();
        };
        if self.steps < FEW {
            let (steps, longer) = (counted(self.steps, "step"), FEW.max(10 * self.steps));
            return format!("{steps} cannot show how good it gets: train longer, e.g. --resume --steps {longer}");
        }
        let part = best.step as f64 / self.steps.max(1) as f64;
        match (part >= AT_THE_END, best.floor()) {
            (true, Some(floor)) if floor > 0.0 && best.value < 2.0 * floor => {
                "it is nearly as good as real samples are".into()
            }
            (true, _) => format!(
                "it was still getting better at the end: train longer, e.g. --resume --steps {}",
                2 * self.steps
            ),
            (false, _) => format!(
                "it was best at {:.0} % of the run: use the best generator; lower rates or train.ema = 0.999 keep a run from getting worse",
                100.0 * part
            ),
        }
    }
}

fn best(evaluations: &[Evaluated], metric: Option<&'static Metric>) -> Option<Best> {
    let metric =
        metric.or_else(|| evaluations.first()?.best.or(Some(evaluations.first()?.card.figures.first()?.metric)))?;
    let (step, value) = best_of(evaluations, metric)?;
    let card = evaluations.iter().find(|e| e.step == step)?.card.clone();
    let last = evaluations.iter().rev().find_map(|e| Some((e.step, e.card.value(metric)?)))?;
    Some(Best { metric, value, step, card, last })
}

impl fmt::Display for RunSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.best {
            None => writeln!(f, "best       not measured")?,
            Some(best) => {
                let (step, value) = (grouped(best.step as usize), format_value(best.value));
                let is_last = best.last.0 == best.step;
                let end = if is_last { "".into() } else { format!("; {} at the end", format_value(best.last.1)) };
                let floor = best.beside_floor();
                writeln!(f, "best       {} {value} at step {step}{end}{floor}", best.metric.title)?;
                for (name, value) in best.card.provenance() {
                    writeln!(f, "           {name}: {value}")?;
                }
            }
        }
        match self.alarms.as_slice() {
            [] => writeln!(f, "alarms     none")?,
            all => all.iter().try_for_each(|raised| {
                let done = if raised.done == Policy::Rollback { ", taken back" } else { "" };
                let at = grouped(raised.alarm.at as usize);
                writeln!(f, "alarm      {} at step {at}{done}: {}", raised.alarm.rule.title, raised.alarm.evidence)
            })?,
        }
        write!(f, "next       {}", self.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_summary(best: Option<(u64, f64)>, alarms: Vec<Raised>) -> RunSummary {
        let card: Card = serde_json::from_value(serde_json::json!({
            "subject": "x", "figures": [{"metric": "fid", "value": best.map_or(0.0, |b| b.1), "floor": 0.5}], "samples": 2000, "seed": 1,
            "reference": {"data": "mnist", "split": "test", "samples": 10000, "floor_split": "training samples", "hash": "00"},
            "embedder": {"name": "digits", "hash": "11", "dim": 64}, "library": "0"
        }))
        .unwrap();
        let best = best.map(|(step, value)| Best {
            metric: Metric::find("fd_digits").unwrap(),
            value,
            step,
            card,
            last: (1000, 9.0),
        });
        RunSummary { best, alarms, steps: 1000, evaluates: false }
    }

    #[test]
    fn the_summary_names_the_next_command() {
        assert!(run_summary(Some((500, 5.0)), vec![]).next().contains("best at 50 %"));
        assert!(run_summary(Some((1000, 5.0)), vec![]).next().contains("--steps 2000"));
        assert!(run_summary(Some((1000, 0.8)), vec![]).next().contains("nearly as good"));
        let short = RunSummary { steps: 4, ..run_summary(Some((2, 5.0)), vec![]) };
        assert_eq!(short.next(), "4 steps cannot show how good it gets: train longer, e.g. --resume --steps 300");
        assert!(run_summary(None, vec![]).next().contains("evaluate.every"));
        let tried = RunSummary { evaluates: true, ..run_summary(None, vec![]) };
        assert!(tried.next().contains("too few images") && !tried.next().contains("evaluate.every"));
        let collapse = gan_alarms::RULES.iter().find(|rule| rule.key == "collapse").unwrap();
        let raised = Raised { alarm: Alarm::new(collapse, 700, "diversity 0.1".into()), done: Policy::Warn };
        let text = run_summary(Some((500, 5.0)), vec![raised]).to_string();
        assert!(text.contains("mode collapse at step 700: diversity 0.1") && text.contains("β1 = 0.5"), "{text}");
        assert!(
            text.contains("5.00 at step 500; 9.00 at the end; real samples: 0.500") && text.contains("sha256 11"),
            "{text}"
        );
    }
}

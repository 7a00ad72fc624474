//! What rules know of a run: its newest line, both networks' recent numbers, G's loss in parts, and every evaluation.

use gan_core::LossProperties;
use gan_metrics::{Better, Metric};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, VecDeque};

/// The window that rules look back over is this fraction of the run, within these limits in steps.
const SHARE: u64 = 20;
const SHORTEST: u64 = 100;
const LONGEST: u64 = 2000;
/// Minimum number of logged lines in the window.
const FEWEST: usize = 20;
/// Factor by which samples must beat the best so far to be improving.
const IMPROVING: f64 = 1.05;
/// Factor by which samples must beat the last evaluation to be rising again.
const RISING: f64 = 0.8;

/// What rules need to know of a run besides its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct RunContext {
    /// Number of steps of the whole run.
    pub total: u64,
    /// Name in metrics.jsonl of the metric that selects the best generator, and its direction.
    pub best: Option<(String, Better)>,
    /// Value of this metric for real samples.
    pub floor: Option<f64>,
    /// Properties of the loss: not every loss has probabilities, or values whose ratios are meaningful.
    pub loss: LossProperties,
}

/// A line of metrics.jsonl.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// Number of steps after which it was written.
    pub step: u64,
    /// All its fields.
    pub values: Map<String, Value>,
}

impl Line {
    /// Returns the number in a field, if there is one.
    pub fn number(&self, field: &str) -> Option<f64> {
        self.values.get(field)?.as_f64()
    }

    /// Returns the value of a metric, if it was measured.
    pub fn metric(&self, metric: &Metric) -> Option<f64> {
        self.number(metric.key)
    }
}

/// Kind of the newest line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Other,
    /// Numbers of both networks' updates.
    Players {
        ends_loss_part: bool,
    },
    /// Evaluation of a trained G.
    Evaluation,
}

/// A run's numbers so far.
#[derive(Clone, Debug)]
pub struct History {
    context: RunContext,
    newest: Line,
    kind: Kind,
    span: u64,
    window: Window,
    loss_parts: Vec<LossPart>,
    open_part: OpenPart,
    /// The selecting metric at every evaluation, including the one before training.
    values: Vec<f64>,
    /// Evaluations after the start of training.
    evaluations: Vec<Line>,
}

/// The most recent lines of both networks' numbers, column by column, so that a mean reads one column only.
#[derive(Clone, Debug, Default)]
struct Window {
    steps: VecDeque<u64>,
    /// The numbers of each field, NaN for lines without one; lines after the last that has one are left out.
    columns: BTreeMap<String, VecDeque<f64>>,
}

/// Mean of G's loss over a part of the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LossPart {
    pub end: u64,
    pub mean: f64,
}

/// The part that is not complete yet.
#[derive(Clone, Debug)]
struct OpenPart {
    end: u64,
    sum: f64,
    lines: u64,
}

impl Window {
    fn push(&mut self, line: &Line) {
        for (field, value) in &line.values {
            let Some(number) = value.as_f64() else { continue };
            if !self.columns.contains_key(field) {
                self.columns.insert(field.clone(), VecDeque::new());
            }
            if let Some(column) = self.columns.get_mut(field) {
                column.resize(self.steps.len(), f64::NAN);
                column.push_back(number);
            }
        }
        self.steps.push_back(line.step);
    }

    fn pop(&mut self) {
        self.steps.pop_front();
        for column in self.columns.values_mut() {
            column.pop_front();
        }
    }
}

impl History {
    /// Returns the history before the first line.
    pub fn new(context: RunContext) -> Self {
        let span = (context.total / SHARE).clamp(SHORTEST, LONGEST);
        Self {
            context,
            newest: Line::default(),
            kind: Kind::Other,
            span,
            window: Window::default(),
            loss_parts: vec![],
            open_part: OpenPart { end: span / 4, sum: 0.0, lines: 0 },
            values: vec![],
            evaluations: vec![],
        }
    }

    /// Adds a line of metrics.jsonl. Returns whether the line counts: lines of alarms, lines without a step, and lines of an earlier step
    /// than the last do not.
    pub fn add(&mut self, line: &Value) -> bool {
        let Some(values) = line.as_object().filter(|values| !values.contains_key("alarm")) else { return false };
        let step = values.get("step").and_then(Value::as_u64).filter(|step| *step >= self.newest.step);
        let Some(step) = step else { return false };
        self.newest = Line { step, values: values.clone() };
        let is_number = |field: &&str| self.newest.number(field).is_some();
        self.kind = if ["accuracy_d", "d_real", "d_fake_before"].iter().all(is_number) {
            self.add_players()
        } else {
            self.add_evaluation()
        };
        true
    }

    fn add_players(&mut self) -> Kind {
        let step = self.newest.step;
        let ends_loss_part = self.newest.number("loss_g").is_some_and(|loss| self.add_loss(loss));
        self.window.push(&self.newest);
        // If lines are logged rarely, rules look further back rather than at too few.
        let is_old = |first: &u64| first.saturating_add(self.span) < step;
        while self.window.steps.len() > FEWEST && self.window.steps.front().is_some_and(is_old) {
            self.window.pop();
        }
        Kind::Players { ends_loss_part }
    }

    /// Adds G's loss to its part. Returns whether it is the first after a part that has lines.
    fn add_loss(&mut self, loss: f64) -> bool {
        let mut ended = false;
        if self.newest.step > self.open_part.end {
            let OpenPart { end, sum, lines } = self.open_part;
            ended = lines > 0;
            if ended {
                self.loss_parts.push(LossPart { end, mean: sum / lines as f64 });
            }
            let end = self.newest.step.checked_next_multiple_of(self.part_steps()).unwrap_or(u64::MAX);
            self.open_part = OpenPart { end, sum: 0.0, lines: 0 };
        }
        self.open_part.sum += loss;
        self.open_part.lines += 1;
        ended
    }

    fn add_evaluation(&mut self) -> Kind {
        let value = self.context.best.as_ref().and_then(|(name, _)| self.newest.number(name));
        self.values.extend(value);
        if value.is_none() || self.newest.step == 0 {
            return Kind::Other;
        }
        self.evaluations.push(self.newest.clone());
        Kind::Evaluation
    }

    /// Returns what is known of the run besides its numbers.
    pub fn context(&self) -> &RunContext {
        &self.context
    }

    /// Returns the newest line.
    pub fn newest(&self) -> &Line {
        &self.newest
    }

    /// Returns the step of the newest line.
    pub fn step(&self) -> u64 {
        self.newest.step
    }

    /// Returns the fraction of the run that is done.
    pub fn progress(&self) -> f64 {
        self.step() as f64 / self.context.total.max(1) as f64
    }

    /// Returns whether the newest line has the numbers of both networks' updates.
    pub fn is_players_line(&self) -> bool {
        matches!(self.kind, Kind::Players { .. })
    }

    /// Returns the evaluation in the newest line, if it has one, and all earlier ones except one before training.
    pub fn evaluation(&self) -> Option<(&Line, &[Line])> {
        self.evaluations.split_last().filter(|_| self.kind == Kind::Evaluation)
    }

    /// Returns the number of steps that rules look back over.
    pub fn span(&self) -> u64 {
        self.span
    }

    /// Returns whether there are enough lines to look back over.
    pub fn is_full(&self) -> bool {
        let is_old = self.window.steps.front().is_some_and(|first| self.step() - first >= self.span * 9 / 10);
        is_old && self.window.steps.len() >= FEWEST
    }

    /// Returns the mean of a field over the lines that rules look back over, of those that have it.
    pub fn mean(&self, field: &str) -> Option<f64> {
        let there = || self.window.columns.get(field).into_iter().flatten().filter(|value| !value.is_nan());
        let count = there().count();
        (count > 0).then(|| there().sum::<f64>() / count as f64)
    }

    /// Returns the number of steps between the first and the last of those lines.
    pub fn window_steps(&self) -> u64 {
        let steps = &self.window.steps;
        steps.back().zip(steps.front()).map_or(0, |(last, first)| last - first)
    }

    /// Returns the number of steps over which G's loss is averaged.
    pub fn part_steps(&self) -> u64 {
        self.span / 4
    }

    /// Returns whether the newest line is the first after a part of G's loss.
    pub(crate) fn ends_loss_part(&self) -> bool {
        self.kind == Kind::Players { ends_loss_part: true }
    }

    pub(crate) fn loss_parts(&self) -> &[LossPart] {
        &self.loss_parts
    }

    /// Returns the selecting metric at every evaluation, including the one before training.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Returns the best of `values`.
    pub fn best_of(&self, values: &[f64]) -> Option<f64> {
        let (_, better) = self.context.best.as_ref()?;
        values.iter().copied().reduce(|best, value| if better.prefers(value, best) { value } else { best })
    }

    /// Returns whether the samples of the last evaluation are clearly better than the best before.
    pub fn is_improving(&self) -> bool {
        let Some((value, before)) = self.values.split_last() else { return false };
        let better = self.context.best.as_ref().map(|(_, better)| better);
        better.zip(self.best_of(before)).is_some_and(|(better, best)| match better {
            Better::Lower => value * IMPROVING < best,
            Better::Higher => *value > best * IMPROVING,
        })
    }

    /// Returns whether they are, or are clearly better than those of the evaluation before: the gray images of an untrained G are closer
    /// to digits than its first attempts.
    pub fn is_rising(&self) -> bool {
        let [.., last, value] = self.values[..] else { return false };
        let is_better = match self.context.best {
            Some((_, Better::Lower)) => value < last * RISING,
            Some((_, Better::Higher)) => value > last * RISING.powi(-1),
            None => false,
        };
        is_better || self.is_improving()
    }

    /// Returns whether samples were improving when they were last evaluated, or have not been evaluated since training began: D may be
    /// far ahead of a G that still follows.
    pub fn samples_improve(&self) -> bool {
        self.context.best.is_some() && (self.is_rising() || self.values.len() < 2)
    }
}

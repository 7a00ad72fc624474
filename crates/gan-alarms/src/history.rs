//! What a run's lines have shown so far: the players' numbers lately, G's loss in parts, and every evaluation.

use gan_core::Loss;
use gan_metrics::metrics::diversity::RelativeDiversity;
use gan_metrics::metrics::memorisation::{NearCopies, NearestDistance};
use gan_metrics::metrics::prdc::Coverage;
use gan_metrics::metrics::{Better, Metric};
use serde_json::Value;
use std::collections::VecDeque;

/// The part of a run that rules look back over.
const PART: u64 = 20;
/// At least this many steps.
const SHORTEST: u64 = 100;
/// At most this many.
const LONGEST: u64 = 2000;
/// Fewer logged lines say nothing.
const FEWEST: usize = 20;
/// Samples whose value beats the best so far by this factor are improving.
const IMPROVING: f64 = 1.05;
/// Samples whose value is better than the last by this factor are rising again.
const RISING: f64 = 0.8;

/// What rules need to know of a run beside its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct RunContext {
    /// Steps of the whole run.
    pub total: u64,
    /// The name in metrics.jsonl of the metric that chooses the best generator, and which way is better.
    pub best: Option<(String, Better)>,
    /// What real samples reach in it.
    pub floor: Option<f64>,
    /// What G and D minimise: not every loss has probabilities, or values that factors fit.
    pub loss: Loss,
}

/// A logged line of the players' numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlayersLine {
    /// After which step.
    pub step: u64,
    /// Share of samples that D takes for what they are.
    pub accuracy: f64,
    /// D(x).
    pub real: f64,
    /// D(G(z)) before D's update.
    pub fake: f64,
    /// D(G(z)) in G's update, where it had one.
    pub fake_after: Option<f64>,
    /// The norm of G's gradient in that update.
    pub grad_norm_g: Option<f64>,
    /// Whether the line is the first after a part of G's loss.
    pub ends_loss_part: bool,
}

/// A line of what an evaluation measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// After which step.
    pub step: u64,
    /// Diversity, real samples having 1.
    pub diversity: Option<f64>,
    /// Share of the real samples that generated ones cover.
    pub coverage: Option<f64>,
    /// Distance to the training samples, real ones having 1.
    pub memorisation: Option<f64>,
    /// Share of samples that are nearly training samples.
    pub near_copies: Option<f64>,
}

/// G's loss, averaged over a part of the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LossPart {
    pub end: u64,
    pub mean: f64,
}

/// What the newest line holds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Line {
    /// Nothing that rules know.
    Other,
    /// The players' numbers.
    Players(PlayersLine),
    /// An evaluation of a trained G.
    Evaluation,
}

/// A run's numbers so far.
#[derive(Clone, Debug)]
pub struct History {
    context: RunContext,
    step: u64,
    newest: Line,
    /// What the newest line has in place of a number.
    not_a_number: Option<&'static str>,
    span: u64,
    window: VecDeque<PlayersLine>,
    loss_parts: Vec<LossPart>,
    current_part: OpenPart,
    /// The choosing metric at every evaluation, the one before training included.
    values: Vec<f64>,
    /// Evaluations after training has begun.
    evaluations: Vec<Evaluation>,
}

/// The part of G's loss that lines are still added to.
#[derive(Clone, Debug)]
struct OpenPart {
    end: u64,
    sum: f64,
    lines: u64,
}

/// Fields whose values have to be numbers, and what people call them.
const NUMBERS: [(&str, &str); 4] = [
    ("loss_d", "D's loss"),
    ("loss_g", "G's loss"),
    ("grad_norm_d", "the norm of D's gradient"),
    ("grad_norm_g", "the norm of G's gradient"),
];

impl History {
    /// Before the first line.
    pub fn new(context: RunContext) -> Self {
        let span = (context.total / PART).clamp(SHORTEST, LONGEST);
        Self {
            context,
            step: 0,
            newest: Line::Other,
            not_a_number: None,
            span,
            window: VecDeque::new(),
            loss_parts: vec![],
            current_part: OpenPart { end: part_steps(span), sum: 0.0, lines: 0 },
            values: vec![],
            evaluations: vec![],
        }
    }

    /// Adds a line of metrics.jsonl. Returns whether it has a place in the history: lines of alarms, without a step, or of an earlier
    /// step than the last have none.
    pub fn add(&mut self, line: &Value) -> bool {
        let Some(step) = line["step"].as_u64().filter(|step| *step >= self.step) else { return false };
        if line.get("alarm").is_some() {
            return false;
        }
        self.step = step;
        self.not_a_number =
            NUMBERS.iter().find(|(field, _)| line.get(field).is_some_and(Value::is_null)).map(|(_, what)| *what);
        self.newest = self.add_players(line).or_else(|| self.add_evaluation(line)).unwrap_or(Line::Other);
        true
    }

    fn add_players(&mut self, line: &Value) -> Option<Line> {
        let number = |key: &str| line[key].as_f64();
        let mut players = PlayersLine {
            step: self.step,
            accuracy: number("accuracy_d")?,
            real: number("d_real")?,
            fake: number("d_fake_before")?,
            fake_after: number("d_fake_after"),
            grad_norm_g: number("grad_norm_g"),
            ends_loss_part: false,
        };
        if let Some(loss) = number("loss_g") {
            players.ends_loss_part = self.add_loss(loss);
        }
        self.window.push_back(players);
        // Where lines are logged seldom, rules look further back rather than at too few.
        let is_old = |first: &PlayersLine| first.step.saturating_add(self.span) < self.step;
        while self.window.len() > FEWEST && self.window.front().is_some_and(is_old) {
            self.window.pop_front();
        }
        Some(Line::Players(players))
    }

    /// Adds G's loss to its part. Returns whether it is the first after a part that has lines.
    fn add_loss(&mut self, loss: f64) -> bool {
        let mut ended = false;
        if self.step > self.current_part.end {
            let OpenPart { end, sum, lines } = self.current_part;
            ended = lines > 0;
            if ended {
                self.loss_parts.push(LossPart { end, mean: sum / lines as f64 });
            }
            let end = self.step.checked_next_multiple_of(self.part_steps()).unwrap_or(u64::MAX);
            self.current_part = OpenPart { end, sum: 0.0, lines: 0 };
        }
        self.current_part.sum += loss;
        self.current_part.lines += 1;
        ended
    }

    fn add_evaluation(&mut self, line: &Value) -> Option<Line> {
        let (name, _) = self.context.best.as_ref()?;
        let number = |key: &str| line[key].as_f64();
        let figure = |metric: &dyn Metric| number(metric.info().key);
        self.values.push(number(name)?);
        if self.step == 0 {
            return None;
        }
        self.evaluations.push(Evaluation {
            step: self.step,
            diversity: figure(&RelativeDiversity),
            coverage: figure(&Coverage),
            memorisation: figure(&NearestDistance),
            near_copies: figure(&NearCopies),
        });
        Some(Line::Evaluation)
    }

    /// Returns what is known of the run beside its numbers.
    pub fn context(&self) -> &RunContext {
        &self.context
    }

    /// Returns the step of the newest line.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Returns the share of the run that is done.
    pub fn progress(&self) -> f64 {
        self.step as f64 / self.context.total.max(1) as f64
    }

    /// Returns which of the newest line's numbers is not one.
    pub fn not_a_number(&self) -> Option<&'static str> {
        self.not_a_number
    }

    /// Returns the newest line if it has the players' numbers.
    pub fn players(&self) -> Option<PlayersLine> {
        match self.newest {
            Line::Players(line) => Some(line),
            Line::Evaluation | Line::Other => None,
        }
    }

    /// Returns the evaluation in the newest line, if there is one, and all those before it (but for one before training).
    pub fn evaluation(&self) -> Option<(&Evaluation, &[Evaluation])> {
        match self.newest {
            Line::Evaluation => self.evaluations.split_last(),
            Line::Players(_) | Line::Other => None,
        }
    }

    /// Returns the steps that rules look back over.
    pub fn span(&self) -> u64 {
        self.span
    }

    /// Returns whether there are enough lines to look back over.
    pub fn is_full(&self) -> bool {
        let is_old = self.window.front().is_some_and(|first| self.step - first.step >= self.span * 9 / 10);
        is_old && self.window.len() >= FEWEST
    }

    /// Returns the mean of a number over the lines that rules look back over, of those that have it.
    pub fn mean(&self, of: impl Fn(&PlayersLine) -> Option<f64>) -> Option<f64> {
        let all: Vec<f64> = self.window.iter().filter_map(of).collect();
        (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
    }

    /// Returns the steps between the first and the last of those lines.
    pub fn window_steps(&self) -> u64 {
        self.window.back().zip(self.window.front()).map_or(0, |(last, first)| last.step - first.step)
    }

    /// Returns the steps over which G's loss is averaged.
    pub fn part_steps(&self) -> u64 {
        part_steps(self.span)
    }

    pub(crate) fn loss_parts(&self) -> &[LossPart] {
        &self.loss_parts
    }

    /// Returns the choosing metric at every evaluation, the one before training included.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Returns the best of `values`.
    pub fn best_of(&self, values: &[f64]) -> Option<f64> {
        let (_, better) = self.context.best.as_ref()?;
        values.iter().copied().reduce(|best, value| if better.prefers(value, best) { value } else { best })
    }

    /// Returns whether the last evaluation's samples are clearly better than the best before.
    pub fn is_improving(&self) -> bool {
        let Some((value, before)) = self.values.split_last() else { return false };
        let better = self.context.best.as_ref().map(|(_, better)| better);
        better.zip(self.best_of(before)).is_some_and(|(better, best)| match better {
            Better::Lower => value * IMPROVING < best,
            Better::Higher => *value > best * IMPROVING,
        })
    }

    /// Returns whether they are, or are clearly better than those of the evaluation before: an untrained G's grey pictures are nearer
    /// to digits than what it makes first on its way.
    pub fn is_rising(&self) -> bool {
        let [.., last, value] = self.values[..] else { return false };
        let is_better = match self.context.best {
            Some((_, Better::Lower)) => value < last * RISING,
            Some((_, Better::Higher)) => value > last * RISING.powi(-1),
            None => false,
        };
        is_better || self.is_improving()
    }

    /// Returns whether samples were getting better when they were last evaluated, or have not been evaluated since training began: D may
    /// be far ahead of a G that still follows.
    pub fn samples_improve(&self) -> bool {
        self.context.best.is_some() && (self.is_rising() || self.values.len() < 2)
    }
}

fn part_steps(span: u64) -> u64 {
    (span / 4).max(1)
}

//! Rules over the players' own numbers: who is winning, and whether they chase each other.

use super::{Found, Kind, short};
use gan_base::messages::counted;
use gan_core::Loss;
use serde_json::Value;
use std::collections::VecDeque;

/// The part of a run that a rule looks back over, at least and at most so many steps.
const PART: u64 = 20;
const SHORTEST: u64 = 100;
const LONGEST: u64 = 2000;
/// Fewer logged lines say nothing.
const FEWEST: usize = 20;

/// D is right about at least so many of the samples, and gives G's at most so much when G is to learn from it.
const ALMOST_ALL: f64 = 0.99;
const NOTHING: f64 = 0.03;
/// Swings that make an oscillation, and how wide each is: G's loss, smoothed, from low to high.
const SWINGS: usize = 6;
const WIDE: f64 = 3.0;

/// What the players' numbers were lately.
pub(super) struct Players {
    loss: Loss,
    span: u64,
    lately: VecDeque<Point>,
    swings: Swings,
}

/// A logged line.
#[derive(Clone, Copy)]
struct Point {
    step: u64,
    accuracy: f64,
    real: f64,
    fake: f64,
    /// D(G(z)) and the norm of G's gradient in G's update, where it had one.
    after: Option<f64>,
    gradient: Option<f64>,
}

impl Players {
    pub(super) fn new(total: u64, loss: Loss) -> Self {
        let span = (total / PART).clamp(SHORTEST, LONGEST);
        Self { loss, span, lately: VecDeque::new(), swings: Swings::new(span) }
    }

    pub(super) fn see(&mut self, step: u64, line: &Value) -> Vec<Found> {
        let number = |key: &str| line[key].as_f64();
        let (Some(accuracy), Some(real), Some(fake)) =
            (number("accuracy_d"), number("d_real"), number("d_fake_before"))
        else {
            return vec![];
        };
        let (after, gradient) = (number("d_fake_after"), number("grad_norm_g"));
        self.lately.push_back(Point { step, accuracy, real, fake, after, gradient });
        // Where lines are logged seldom, the rules look further back rather than at too few.
        while self.lately.len() > FEWEST && self.lately.front().is_some_and(|first| first.step + self.span < step) {
            self.lately.pop_front();
        }
        let mut found = vec![];
        // Of a logit whose zero is anywhere neither right nor wrong can be said.
        if self.is_full(step) && self.loss.has_decision_threshold() {
            found.push((Kind::DWon, self.d_won()));
        }
        // Elsewhere G's loss may be negative.
        let has_factors = !self.loss.properties().g_loss_may_be_negative;
        if let Some(loss) = number("loss_g").filter(|_| has_factors) {
            found.extend(self.swings.see(step, loss).map(|said| (Kind::Oscillation, said)));
        }
        found
    }

    fn is_full(&self, step: u64) -> bool {
        let old = self.lately.front().is_some_and(|first| step - first.step >= self.span * 9 / 10);
        old && self.lately.len() >= FEWEST
    }

    fn mean(&self, of: impl Fn(&Point) -> Option<f64>) -> Option<f64> {
        let all: Vec<f64> = self.lately.iter().filter_map(of).collect();
        (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
    }

    fn d_won(&self) -> Option<String> {
        let accuracy = self.mean(|p| Some(p.accuracy))?;
        let after = self.mean(|p| p.after)?;
        let gradient = self.mean(|p| p.gradient)?;
        let steps = self.lately.back()?.step - self.lately.front()?.step;
        (accuracy >= ALMOST_ALL && after <= NOTHING).then(|| {
            format!(
                "over the last {} D was right about {:.1} % of the samples and gave G's {} when G was to learn from it (norm of G's gradient: {})",
                counted(steps, "step"), 100.0 * accuracy, short(after), short(gradient)
            )
        })
    }

    /// How D's answers to real and generated samples differ lately, where that can be said.
    pub(super) fn gap(&self, step: u64) -> Option<f64> {
        let can_be_said = self.is_full(step) && self.loss.has_decision_threshold();
        if can_be_said { Some(self.mean(|p| Some(p.real))? - self.mean(|p| Some(p.fake))?) } else { None }
    }
}

/// Up and down of G's loss: means over parts of the run, and how often they turn.
struct Swings {
    part: u64,
    /// End of the current part, the sum over it, and how many lines it has.
    current: (u64, f64, u64),
    /// The last turning point, and which way it goes since.
    extreme: Option<f64>,
    way: Way,
    /// Ends of the parts in which a swing was complete.
    turned: VecDeque<u64>,
    /// Turns are counted over so many steps.
    over: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Unknown,
    Up,
    Down,
}

impl Swings {
    fn new(span: u64) -> Self {
        let part = (span / 4).max(1);
        Self {
            part,
            current: (part, 0.0, 0),
            extreme: None,
            way: Way::Unknown,
            turned: VecDeque::new(),
            over: 8 * span,
        }
    }

    /// Sees G's loss; says something at the end of each part.
    fn see(&mut self, step: u64, loss: f64) -> Option<Option<String>> {
        let mut said = None;
        if step > self.current.0 {
            if self.current.2 > 0 {
                self.part_done(self.current.0, self.current.1 / self.current.2 as f64);
                said = Some(self.verdict(step));
            }
            self.current = (step.next_multiple_of(self.part), 0.0, 0);
        }
        self.current.1 += loss;
        self.current.2 += 1;
        said
    }

    fn part_done(&mut self, end: u64, mean: f64) {
        let extreme = self.extreme.unwrap_or(mean);
        let (rises, falls) = (mean > extreme * WIDE, mean < extreme / WIDE);
        let turns = match self.way {
            Way::Unknown => rises || falls,
            Way::Up => falls,
            Way::Down => rises,
        };
        if turns {
            if self.way != Way::Unknown {
                self.turned.push_back(end);
            }
            self.way = if rises { Way::Up } else { Way::Down };
        }
        let further = (self.way == Way::Up && mean > extreme) || (self.way == Way::Down && mean < extreme);
        if turns || further || self.extreme.is_none() {
            self.extreme = Some(mean);
        }
    }

    fn verdict(&mut self, step: u64) -> Option<String> {
        self.turned.retain(|end| end + self.over >= step);
        let turns = self.turned.len();
        (turns >= SWINGS).then(|| {
            format!("G's loss, averaged over {} steps at a time, turned {turns} times by a factor of over {WIDE} in the last {} steps", self.part, self.over)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(step: u64, accuracy: f64, fake: f64, after: f64, loss: f64) -> Value {
        json!({"step": step, "accuracy_d": accuracy, "d_real": 1.0 - fake, "d_fake_before": fake, "d_fake_after": after, "grad_norm_g": 0.1, "loss_g": loss})
    }

    /// The kinds found standing after the steps up to `total`.
    fn kinds(total: u64, of: impl Fn(u64) -> Value) -> Vec<Kind> {
        kinds_with(Loss::NonSaturating, total, of)
    }

    fn kinds_with(loss: Loss, total: u64, of: impl Fn(u64) -> Value) -> Vec<Kind> {
        let mut players = Players::new(total, loss);
        let found = (1..=total).flat_map(|step| players.see(step, &of(step))).collect::<Vec<_>>();
        let mut last: Vec<Kind> = found.iter().filter(|(_, said)| said.is_some()).map(|(kind, _)| *kind).collect();
        last.dedup();
        last
    }

    #[test]
    fn a_d_that_is_always_right_has_won_unless_g_still_fools_it() {
        assert_eq!(kinds(1000, |step| line(step, 1.0, 0.005, 0.005, 5.0)), [Kind::DWon]);
        // keras-mnist: D sees samples as in use, G learns from others.
        assert_eq!(kinds(1000, |step| line(step, 1.0, 0.02, 0.9, 0.1)), []);
        assert_eq!(kinds(1000, |step| line(step, 0.97, 0.1, 0.1, 2.5)), []);
        assert_eq!(kinds(1000, |step| line(step, 0.5, 0.5, 0.5, 0.7)), []);
    }

    #[test]
    fn losses_without_probabilities_or_factors_are_not_judged_by_them() {
        let won = |step| line(step, 1.0, 0.005, 0.005, 5.0);
        let swings = |step: u64| line(step, 0.8, 0.3, 0.3, if (step / 150).is_multiple_of(2) { -5.0 } else { -0.1 });
        for loss in [Loss::Wasserstein, Loss::RelativisticAverage, Loss::RelativisticPairing] {
            assert_eq!(kinds_with(loss, 1000, won), []);
        }
        for loss in [Loss::Minimax, Loss::Hinge, Loss::Wasserstein] {
            assert_eq!(kinds_with(loss, 4000, swings), []);
        }
        assert_eq!(kinds_with(Loss::Hinge, 1000, won), [Kind::DWon]);
    }

    #[test]
    fn seldom_lines_are_looked_at_over_a_longer_time() {
        let mut players = Players::new(1000, Loss::NonSaturating);
        let won = |step: u64, players: &mut Players| {
            players
                .see(step, &line(step, 1.0, 0.005, 0.005, 5.0))
                .iter()
                .any(|(kind, said)| *kind == Kind::DWon && said.is_some())
        };
        let first = (1..=40).map(|i| 20 * i).find(|step| won(*step, &mut players));
        assert_eq!(first, Some(400));
    }

    #[test]
    fn swings_count_when_they_are_wide_and_many() {
        let wave = |low: f64, high: f64, period: u64| {
            move |step: u64| line(step, 0.8, 0.3, 0.3, if (step / period).is_multiple_of(2) { low } else { high })
        };
        assert_eq!(kinds(4000, wave(0.5, 3.0, 150)), [Kind::Oscillation]);
        assert_eq!(kinds(4000, wave(1.0, 2.0, 150)), []);
        // One fall and one rise are no oscillation.
        assert_eq!(kinds(4000, wave(0.5, 3.0, 1500)), []);
    }

    #[test]
    fn nothing_is_said_before_there_is_enough_to_see() {
        let mut players = Players::new(1000, Loss::NonSaturating);
        let found: Vec<Found> = (1..80).flat_map(|step| players.see(step, &line(step, 1.0, 0.0, 0.0, 9.0))).collect();
        assert!(found.iter().all(|(kind, said)| *kind != Kind::DWon && said.is_none()));
        assert!(players.see(90, &json!({"step": 90, "fid": 3.0})).is_empty());
    }
}

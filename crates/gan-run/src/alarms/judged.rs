//! Rules over what the judge measures: whether samples become alike, are copies, or do not get better.

use super::players::Players;
use super::{Found, Kind, Setting, short};
use gan_metrics::metrics::Better;
use serde_json::Value;

/// Before this part of the run nothing is expected of the samples.
const START: f64 = 0.25;
/// Nor before these steps, however short the run is: a network that has hardly moved tells nothing, and least of all whether it will.
const EARLIEST: u64 = 50;
const EARLIEST_STALL: u64 = 300;
/// Diversity that is too little, real samples having 1, and what it may have fallen to of its own best.
const ALIKE: f64 = 0.5;
const FALLEN: f64 = 0.6;
/// Diversity that grows by this factor from one evaluation to the next is on the way, and so are samples whose value beats the best
/// so far by this one.
const RISING: f64 = 1.1;
const IMPROVING: f64 = 1.05;
/// Coverage that it may have fallen to of its own best, where that was something.
const UNCOVERED: f64 = 0.3;
const SOMETHING: f64 = 0.2;
/// Difference of D's answers that is none, and coverage that the judge calls none.
const NO_GAP: f64 = 0.1;
const NO_COVERAGE: f64 = 0.1;
/// Distance to the training samples, real ones having 1, and the share of near copies, that mean memorisation.
const CLOSE: f64 = 0.5;
const COPIES: f64 = 0.2;
/// From the start on, the best value must be better than the first by this factor.
const BETTER: f64 = 0.8;

/// What the judge has measured so far.
pub(super) struct Judged {
    setting: Setting,
    /// The first value of the metric that chooses, and the best.
    first: Option<f64>,
    best: Option<f64>,
    /// The one before this.
    last: Option<f64>,
    most_diverse: f64,
    most_covered: f64,
    evaluations: u64,
    /// Copies were found at the evaluation before this one.
    copied: Option<String>,
    /// So was a loss of coverage, which swings where modes are few.
    uncovered: bool,
    /// Samples were better at the last evaluation than at the one before.
    rising: bool,
}

impl Judged {
    pub(super) fn new(setting: Setting) -> Self {
        let (first, best, last, copied) = (None, None, None, None);
        Self {
            setting,
            first,
            best,
            last,
            most_diverse: 0.0,
            most_covered: 0.0,
            evaluations: 0,
            copied,
            uncovered: false,
            rising: false,
        }
    }

    pub(super) fn see(&mut self, step: u64, line: &Value, players: &Players) -> Vec<Found> {
        let number = |key: &str| line[key].as_f64();
        let Some((name, better)) = self.setting.best.clone() else { return vec![] };
        let Some(value) = number(&name) else { return vec![] };
        self.evaluations += 1;
        let improving = self.best.is_some_and(|best| match better {
            Better::Lower => value * IMPROVING < best,
            Better::Higher => value > best * IMPROVING,
        });
        // The untrained G's grey pictures are nearer to digits than what it makes first on its way.
        let rising = improving || self.last.is_some_and(|last| better.prefers(value, last * BETTER.powi(sign(better))));
        self.rising = rising;
        self.last = Some(value);
        self.first = self.first.or(Some(value));
        self.best = self.best.filter(|best| !better.prefers(value, *best)).or(Some(value));
        if step == 0 {
            return vec![];
        }
        let (diversity, coverage) = (number("diversity"), number("coverage"));
        let copies = copies(number("memorisation"), number("near_copies"));
        let memorised = copies.clone().filter(|_| self.copied.is_some() && step >= EARLIEST);
        self.copied = copies;
        let mut found = vec![(Kind::Memorisation, memorised)];
        if self.part(step) >= START && step >= EARLIEST {
            found.push((Kind::Collapse, self.collapsed(diversity, coverage, improving)));
            found.push((Kind::GWon, g_won(coverage, players.gap(step)).filter(|_| !improving)));
        }
        if self.part(step) >= START && step >= EARLIEST_STALL {
            found.push((Kind::Stalled, self.stalled(&name, better).filter(|_| !rising)));
        }
        self.uncovered = coverage.is_some_and(|c| self.is_low(c));
        self.most_diverse = self.most_diverse.max(diversity.unwrap_or(0.0));
        self.most_covered = self.most_covered.max(coverage.unwrap_or(0.0));
        found
    }

    /// Whether samples were getting better when they were last judged, or have not been judged since training began: D may be far ahead
    /// of a G that still follows.
    pub(super) fn follows(&self) -> bool {
        self.setting.best.is_some() && (self.rising || self.evaluations < 2)
    }

    fn part(&self, step: u64) -> f64 {
        step as f64 / self.setting.total.max(1) as f64
    }

    fn collapsed(&self, diversity: Option<f64>, coverage: Option<f64>, improving: bool) -> Option<String> {
        // Fallen from what it was, or never there and not on the way.
        let most = self.most_diverse;
        let lower = |d: f64| d < FALLEN * most || (most < ALIKE && d < RISING * most && !improving);
        let alike = diversity.filter(|d| *d < ALIKE && lower(*d));
        let uncovered = coverage.filter(|c| self.uncovered && self.is_low(*c));
        let alike =
            alike.map(|d| format!("diversity {} of real samples' (its best: {})", short(d), short(self.most_diverse)));
        let uncovered = uncovered.map(|c| format!("coverage {} (its best: {})", short(c), short(self.most_covered)));
        match (alike, uncovered) {
            (Some(a), Some(b)) => Some(format!("{a}, {b}")),
            (a, b) => a.or(b),
        }
    }

    /// Whether coverage was something and is next to nothing of it.
    fn is_low(&self, coverage: f64) -> bool {
        self.most_covered > SOMETHING && coverage < UNCOVERED * self.most_covered
    }

    fn stalled(&self, name: &str, better: Better) -> Option<String> {
        let (first, best) = (self.first?, self.best?);
        let improved = match better {
            Better::Lower => best < BETTER * first,
            Better::Higher => best * BETTER > first,
        };
        (!improved && self.evaluations > 2).then(|| {
            let floor = self.setting.floor.map(|floor| format!("; real samples: {}", short(floor))).unwrap_or_default();
            format!("{name} was {} before training and is {} at its best{floor}", short(first), short(best))
        })
    }
}

/// 1 where lower values are better, −1 where higher ones are.
fn sign(better: Better) -> i32 {
    if better == Better::Lower { 1 } else { -1 }
}

fn copies(memorisation: Option<f64>, near: Option<f64>) -> Option<String> {
    let (ratio, near) = (memorisation?, near?);
    (ratio < CLOSE && near > COPIES).then(|| {
        format!(
            "generated samples are {} times as far from the training data as real ones are, {:.0} % are near copies",
            short(ratio),
            100.0 * near
        )
    })
}

fn g_won(coverage: Option<f64>, gap: Option<f64>) -> Option<String> {
    let (coverage, gap) = (coverage?, gap?);
    (gap.abs() < NO_GAP && coverage < NO_COVERAGE).then(|| {
        format!(
            "D gives real samples only {} more than generated ones, though those cover {} of the real ones",
            short(gap),
            short(coverage)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::Watch;
    use super::*;
    use serde_json::json;

    fn watch() -> Watch {
        Watch::new(Setting {
            total: 1000,
            best: Some(("fid".into(), Better::Lower)),
            floor: Some(0.5),
            loss: gan_core::Loss::NonSaturating,
        })
    }

    /// The alarms that evaluations every 100 steps raise: kind and step.
    fn raised(figures: &[Value]) -> Vec<(Kind, u64)> {
        let mut watch = watch();
        let mut all = vec![];
        for (i, figures) in (0u64..).zip(figures) {
            let mut line = figures.clone();
            line["step"] = (100 * i).into();
            all.extend(watch.see(&line).into_iter().map(|alarm| (alarm.kind, alarm.at)));
        }
        all
    }

    #[test]
    fn a_d_far_ahead_has_not_won_while_samples_get_better() {
        let ahead = |step: u64| json!({"step": step, "accuracy_d": 1.0, "d_real": 1.0, "d_fake_before": 0.01, "d_fake_after": 0.01, "grad_norm_g": 1.0, "loss_g": 5.0});
        let first_won = |fids: [f64; 5]| {
            let mut watch = watch();
            let mut won = None;
            for step in 0..=450u64 {
                let mut raised = watch.see(&ahead(step));
                if step.is_multiple_of(100) {
                    let fid = fids[step as usize / 100];
                    raised.extend(watch.see(&json!({"step": step, "fid": fid, "diversity": 0.9, "coverage": 0.5})));
                }
                won = won.or(raised.iter().find(|alarm| alarm.kind == Kind::DWon).map(|alarm| alarm.at));
            }
            won
        };
        assert_eq!(first_won([90.0, 50.0, 30.0, 20.0, 10.0]), None);
        // It no longer follows from the evaluation at step 200 on.
        assert_eq!(first_won([90.0, 50.0, 51.0, 52.0, 53.0]), Some(201));
    }

    #[test]
    fn samples_that_become_alike_have_collapsed_and_are_said_once() {
        let good = |fid: f64| json!({"fid": fid, "diversity": 0.95, "coverage": 0.6});
        let alike = json!({"fid": 90.0, "diversity": 0.2, "coverage": 0.05});
        let run = [
            json!({"fid": 200.0, "diversity": 0.01}),
            good(50.0),
            good(30.0),
            alike.clone(),
            alike.clone(),
            good(40.0),
            alike,
        ];
        assert_eq!(raised(&run), [(Kind::Collapse, 300), (Kind::Collapse, 600)]);
        assert_eq!(raised(&[good(200.0), good(100.0), good(50.0), good(20.0), good(10.0)]), []);
        // A young generator is allowed to make what is alike.
        let young = |diversity: f64| json!({"fid": 120.0, "diversity": diversity, "coverage": 0.0});
        assert_eq!(raised(&[json!({"fid": 200.0}), young(0.2), young(0.28), young(0.39), good(50.0)]), []);
        let better = |fid: f64| json!({"fid": fid, "diversity": 0.4, "coverage": 0.0});
        assert_eq!(raised(&[json!({"fid": 200.0}), better(100.0), better(80.0), better(70.0), better(60.0)]), []);
    }

    #[test]
    fn coverage_is_lost_when_it_is_lost_twice() {
        let covered = |coverage: f64| json!({"fid": 50.0, "diversity": 0.95, "coverage": coverage});
        let first = json!({"fid": 200.0, "diversity": 0.9, "coverage": 0.0});
        assert_eq!(raised(&[first.clone(), covered(0.5), covered(0.1), covered(0.4), covered(0.1)]), []);
        assert_eq!(raised(&[first, covered(0.5), covered(0.1), covered(0.1)]), [(Kind::Collapse, 300)]);
    }

    #[test]
    fn samples_that_were_never_diverse_have_collapsed_too() {
        let alike = |fid: f64| json!({"fid": fid, "diversity": 0.1, "coverage": 0.01});
        assert_eq!(raised(&[alike(200.0), alike(130.0), alike(131.0), alike(130.0)]), [(Kind::Collapse, 300)]);
    }

    #[test]
    fn what_never_gets_better_has_stalled() {
        let same = |fid: f64| json!({"fid": fid, "diversity": 0.9, "coverage": 0.0});
        assert_eq!(raised(&[same(200.0), same(199.0), same(190.0), same(195.0)]), [(Kind::Stalled, 300)]);
        assert_eq!(raised(&[same(200.0), same(100.0), same(100.0), same(100.0), same(100.0)]), []);
        // Worse than before training, and on the way back.
        assert_eq!(raised(&[same(120.0), same(220.0), same(110.0), same(60.0)]), []);
    }

    #[test]
    fn a_few_steps_say_nothing() {
        let worse = json!({"fid": 200.0, "diversity": 0.01, "coverage": 0.0, "memorisation": 0.1, "near_copies": 0.9});
        let kinds = |every: u64, evaluations: u64| {
            let mut watch = Watch::new(Setting {
                total: every * evaluations,
                best: Some(("fid".into(), Better::Lower)),
                floor: Some(0.5),
                loss: gan_core::Loss::NonSaturating,
            });
            let mut kinds = vec![];
            for step in (0..=evaluations).map(|i| i * every) {
                let mut line = worse.clone();
                line["step"] = step.into();
                kinds.extend(watch.see(&line).into_iter().map(|alarm| (alarm.kind, alarm.at)));
            }
            kinds
        };
        assert_eq!(kinds(1, 4), []);
        assert_eq!(kinds(10, 4), []);
        assert!(kinds(50, 5).iter().all(|(kind, _)| *kind != Kind::Stalled), "{:?}", kinds(50, 5));
        assert!(kinds(100, 5).contains(&(Kind::Stalled, 300)), "{:?}", kinds(100, 5));
    }

    #[test]
    fn copies_are_said_when_they_are_found_twice() {
        let copied = json!({"fid": 10.0, "diversity": 1.0, "memorisation": 0.1, "near_copies": 0.9});
        let own = json!({"fid": 10.0, "diversity": 1.0, "memorisation": 1.1, "near_copies": 0.01});
        assert_eq!(
            raised(&[json!({"fid": 90.0}), copied.clone(), own, copied.clone(), copied]),
            [(Kind::Memorisation, 400)]
        );
    }

    #[test]
    fn a_d_that_cannot_tell_what_the_judge_can_has_lost() {
        let mut watch = watch();
        let lines = (1..=300).map(|step| {
            json!({"step": step, "accuracy_d": 0.5, "d_real": 0.5, "d_fake_before": 0.49, "d_fake_after": 0.5, "grad_norm_g": 0.0, "loss_g": 0.7})
        });
        assert!(lines.flat_map(|line| watch.see(&line)).next().is_none());
        let alarms = watch.see(&json!({"step": 300, "fid": 80.0, "coverage": 0.02, "diversity": 0.9}));
        assert_eq!(alarms.iter().map(|alarm| alarm.kind).collect::<Vec<_>>(), [Kind::GWon]);
        assert!(alarms[0].evidence.contains("0.020") && alarms[0].advice.contains("train.d_steps"), "{}", alarms[0]);
    }
}

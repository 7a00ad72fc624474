//! Sequences of metrics lines, some that raise an alarm and some that only come close.

use crate::{Alarm, RULES, RunContext, Watch};
use gan_core::Loss;
use gan_metrics::Better;
use serde_json::{Value, json};

const NOTHING: [&str; 0] = [];

fn watch() -> Watch {
    Watch::new(RunContext {
        total: 1000,
        best: Some(("fd_digits".into(), Better::Lower)),
        floor: Some(0.5),
        loss: Loss::NonSaturating.properties(),
    })
}

/// Returns the alarms that evaluations every 100 steps raise: key and step.
fn raised(figures: &[Value]) -> Vec<(&'static str, u64)> {
    let mut watch = watch();
    let mut all = vec![];
    for (i, figures) in (0u64..).zip(figures) {
        let mut line = figures.clone();
        line["step"] = (100 * i).into();
        all.extend(watch.see(&line).into_iter().map(|alarm| (alarm.rule.key, alarm.at)));
    }
    all
}

#[test]
fn d_far_ahead_raises_no_d_won_while_samples_improve() {
    let ahead = |step: u64| json!({"step": step, "accuracy_d": 1.0, "d_real": 1.0, "d_fake_before": 0.01, "d_fake_after": 0.01, "grad_norm_g": 1.0, "loss_g": 5.0});
    let first_won = |fids: [f64; 5]| {
        let mut watch = watch();
        let mut won = None;
        for step in 0..=450u64 {
            let mut raised = watch.see(&ahead(step));
            if step.is_multiple_of(100) {
                let fid = fids[step as usize / 100];
                raised.extend(watch.see(&json!({"step": step, "fd_digits": fid, "diversity": 0.9, "coverage": 0.5})));
            }
            won = won.or(raised.iter().find(|alarm| alarm.rule.key == "d_won").map(|alarm| alarm.at));
        }
        won
    };
    assert_eq!(first_won([90.0, 50.0, 30.0, 20.0, 10.0]), None);
    // From the evaluation at step 200 on, samples no longer improve.
    assert_eq!(first_won([90.0, 50.0, 51.0, 52.0, 53.0]), Some(201));
}

#[test]
fn samples_that_become_alike_raise_collapse_once() {
    let good = |fid: f64| json!({"fd_digits": fid, "diversity": 0.95, "coverage": 0.6});
    let alike = json!({"fd_digits": 90.0, "diversity": 0.2, "coverage": 0.05});
    let run = [
        json!({"fd_digits": 200.0, "diversity": 0.01}),
        good(50.0),
        good(30.0),
        alike.clone(),
        alike.clone(),
        good(40.0),
        alike,
    ];
    assert_eq!(raised(&run), [("collapse", 300), ("collapse", 600)]);
    assert_eq!(raised(&[good(200.0), good(100.0), good(50.0), good(20.0), good(10.0)]), []);
    // Similar samples are normal early in training, as long as they improve.
    let young = |diversity: f64| json!({"fd_digits": 120.0, "diversity": diversity, "coverage": 0.0});
    assert_eq!(raised(&[json!({"fd_digits": 200.0}), young(0.2), young(0.28), young(0.39), good(50.0)]), []);
    let better = |fid: f64| json!({"fd_digits": fid, "diversity": 0.4, "coverage": 0.0});
    assert_eq!(raised(&[json!({"fd_digits": 200.0}), better(100.0), better(80.0), better(70.0), better(60.0)]), []);
}

#[test]
fn coverage_that_is_lost_twice_in_a_row_raises_collapse() {
    let covered = |coverage: f64| json!({"fd_digits": 50.0, "diversity": 0.95, "coverage": coverage});
    let first = json!({"fd_digits": 200.0, "diversity": 0.9, "coverage": 0.0});
    assert_eq!(raised(&[first.clone(), covered(0.5), covered(0.1), covered(0.4), covered(0.1)]), []);
    assert_eq!(raised(&[first, covered(0.5), covered(0.1), covered(0.1)]), [("collapse", 300)]);
}

#[test]
fn samples_that_were_never_diverse_raise_collapse() {
    let alike = |fid: f64| json!({"fd_digits": fid, "diversity": 0.1, "coverage": 0.01});
    assert_eq!(raised(&[alike(200.0), alike(130.0), alike(131.0), alike(130.0)]), [("collapse", 300)]);
}

#[test]
fn a_run_that_never_improves_raises_stalled() {
    let same = |fid: f64| json!({"fd_digits": fid, "diversity": 0.9, "coverage": 0.0});
    assert_eq!(raised(&[same(200.0), same(199.0), same(190.0), same(195.0)]), [("stalled", 300)]);
    assert_eq!(raised(&[same(200.0), same(100.0), same(100.0), same(100.0), same(100.0)]), []);
    // Worse than before training at first, then improving.
    assert_eq!(raised(&[same(120.0), same(220.0), same(110.0), same(60.0)]), []);
}

#[test]
fn evaluations_in_the_first_steps_raise_no_alarm() {
    let worse =
        json!({"fd_digits": 200.0, "diversity": 0.01, "coverage": 0.0, "memorisation": 0.1, "near_copies": 0.9});
    let kinds = |every: u64, evaluations: u64| {
        let mut watch = Watch::new(RunContext {
            total: every * evaluations,
            best: Some(("fd_digits".into(), Better::Lower)),
            floor: Some(0.5),
            loss: Loss::NonSaturating.properties(),
        });
        let mut kinds = vec![];
        for step in (0..=evaluations).map(|i| i * every) {
            let mut line = worse.clone();
            line["step"] = step.into();
            kinds.extend(watch.see(&line).into_iter().map(|alarm| (alarm.rule.key, alarm.at)));
        }
        kinds
    };
    assert_eq!(kinds(1, 4), []);
    assert_eq!(kinds(10, 4), []);
    assert!(kinds(50, 5).iter().all(|(kind, _)| *kind != "stalled"), "{:?}", kinds(50, 5));
    assert!(kinds(100, 5).contains(&("stalled", 300)), "{:?}", kinds(100, 5));
}

#[test]
fn copies_found_twice_in_a_row_raise_memorisation() {
    let copied = json!({"fd_digits": 10.0, "diversity": 1.0, "memorisation": 0.1, "near_copies": 0.9});
    let own = json!({"fd_digits": 10.0, "diversity": 1.0, "memorisation": 1.1, "near_copies": 0.01});
    assert_eq!(
        raised(&[json!({"fd_digits": 90.0}), copied.clone(), own, copied.clone(), copied]),
        [("memorisation", 400)]
    );
}

#[test]
fn an_undecided_d_and_a_bad_evaluation_raise_g_won() {
    let mut watch = watch();
    let lines = (1..=300).map(|step| {
        json!({"step": step, "accuracy_d": 0.5, "d_real": 0.5, "d_fake_before": 0.49, "d_fake_after": 0.5, "grad_norm_g": 0.0, "loss_g": 0.7})
    });
    assert!(lines.flat_map(|line| watch.see(&line)).next().is_none());
    let alarms = watch.see(&json!({"step": 300, "fd_digits": 80.0, "coverage": 0.02, "diversity": 0.9}));
    assert_eq!(alarms.iter().map(|alarm| alarm.rule.key).collect::<Vec<_>>(), ["g_won"]);
    assert!(alarms[0].evidence.contains("0.020") && alarms[0].advice.contains("train.d_steps"), "{}", alarms[0]);
}

#[test]
fn a_d_that_recognises_real_samples_raises_d_overfits_once_samples_get_worse() {
    let first = |rt: f64, values: [f64; 6]| {
        let mut watch = watch();
        let mut raised = vec![];
        for step in 0..=500u64 {
            let line =
                json!({"step": step, "accuracy_d": 0.9, "d_real": 0.9, "d_fake_before": 0.2, "rt": rt, "loss_g": 1.5});
            raised.extend(watch.see(&line));
            if step.is_multiple_of(100) {
                let value = values[step as usize / 100];
                raised.extend(watch.see(&json!({"step": step, "fd_digits": value, "diversity": 0.9, "coverage": 0.5})));
            }
        }
        raised.iter().find(|alarm| alarm.rule.key == "d_overfits").map(|alarm| alarm.at)
    };
    assert_eq!(first(0.95, [90.0, 20.0, 10.0, 12.0, 13.0, 15.0]), Some(400));
    assert_eq!(first(0.7, [90.0, 20.0, 10.0, 12.0, 13.0, 15.0]), None);
    assert_eq!(first(0.95, [90.0, 50.0, 30.0, 20.0, 15.0, 12.0]), None);
    // One bad evaluation is noise.
    assert_eq!(first(0.95, [90.0, 20.0, 10.0, 13.0, 10.0, 9.0]), None);
}

#[test]
fn samples_that_look_augmented_raise_augment_leak_only_where_images_are_augmented() {
    let first = |probability: f64, shares: [f64; 6]| {
        let mut watch = watch();
        let mut raised = vec![];
        for step in 0..=500u64 {
            let line = json!({"step": step, "accuracy_d": 0.7, "d_real": 0.6, "d_fake_before": 0.4, "augment": probability, "loss_g": 1.0});
            raised.extend(watch.see(&line));
            if step.is_multiple_of(100) {
                let share = shares[step as usize / 100];
                let value = 100.0 - step as f64 / 10.0;
                raised.extend(watch.see(&json!({"step": step, "fd_digits": value, "diversity": 0.9, "coverage": 0.5, "augment_leak": share})));
            }
        }
        raised.iter().find(|alarm| alarm.rule.key == "augment_leak").map(|alarm| alarm.at)
    };
    assert_eq!(first(0.8, [0.9, 0.3, 0.05, 0.2, 0.3, 0.4]), Some(400));
    assert_eq!(first(0.0, [0.9, 0.3, 0.05, 0.2, 0.3, 0.4]), None);
    assert_eq!(first(0.8, [0.9, 0.3, 0.05, 0.2, 0.05, 0.2]), None);
}

fn line(step: u64, accuracy: f64, fake: f64, after: f64, loss: f64) -> Value {
    json!({"step": step, "accuracy_d": accuracy, "d_real": 1.0 - fake, "d_fake_before": fake, "d_fake_after": after, "grad_norm_g": 0.1, "loss_g": loss})
}

fn watch_without_evaluations(total: u64, loss: Loss) -> Watch {
    Watch::new(RunContext { total, best: None, floor: None, loss: loss.properties() })
}

/// Returns the alarms of steps 1 to `total`.
fn kinds(total: u64, of: impl Fn(u64) -> Value) -> Vec<&'static str> {
    kinds_with(Loss::NonSaturating, total, of)
}

fn kinds_with(loss: Loss, total: u64, of: impl Fn(u64) -> Value) -> Vec<&'static str> {
    let mut watch = watch_without_evaluations(total, loss);
    (1..=total).flat_map(|step| watch.see(&of(step))).map(|alarm| alarm.rule.key).collect()
}

#[test]
fn a_d_that_is_always_right_raises_d_won_unless_g_still_fools_it() {
    assert_eq!(kinds(1000, |step| line(step, 1.0, 0.005, 0.005, 5.0)), ["d_won"]);
    // As in keras-mnist: D's samples are generated in eval mode, and G learns from samples in train mode.
    assert_eq!(kinds(1000, |step| line(step, 1.0, 0.02, 0.9, 0.1)), NOTHING);
    assert_eq!(kinds(1000, |step| line(step, 0.97, 0.1, 0.1, 2.5)), NOTHING);
    assert_eq!(kinds(1000, |step| line(step, 0.5, 0.5, 0.5, 0.7)), NOTHING);
}

#[test]
fn losses_without_probabilities_raise_neither_d_won_nor_oscillation() {
    let won = |step| line(step, 1.0, 0.005, 0.005, 5.0);
    let swings = |step: u64| line(step, 0.8, 0.3, 0.3, if (step / 150).is_multiple_of(2) { -5.0 } else { -0.1 });
    for loss in [Loss::Wasserstein, Loss::RelativisticAverage, Loss::RelativisticPairing] {
        assert_eq!(kinds_with(loss, 1000, won), NOTHING);
    }
    for loss in [Loss::Minimax, Loss::Hinge, Loss::Wasserstein] {
        assert_eq!(kinds_with(loss, 4000, swings), NOTHING);
    }
    assert_eq!(kinds_with(Loss::Hinge, 1000, won), ["d_won"]);
}

#[test]
fn rare_lines_are_checked_over_a_longer_window() {
    let mut watch = watch_without_evaluations(1000, Loss::NonSaturating);
    let raised: Vec<Alarm> = (1..=40).flat_map(|i| watch.see(&line(20 * i, 1.0, 0.005, 0.005, 5.0))).collect();
    assert_eq!(raised.iter().map(|alarm| (alarm.rule.key, alarm.at)).collect::<Vec<_>>(), [("d_won", 400)]);
}

#[test]
fn only_wide_and_frequent_swings_raise_oscillation() {
    let wave = |low: f64, high: f64, period: u64| {
        move |step: u64| line(step, 0.8, 0.3, 0.3, if (step / period).is_multiple_of(2) { low } else { high })
    };
    assert_eq!(kinds(4000, wave(0.5, 3.0, 150)), ["oscillation"]);
    assert_eq!(kinds(4000, wave(1.0, 2.0, 150)), NOTHING);
    // One fall and one rise are not an oscillation.
    assert_eq!(kinds(4000, wave(0.5, 3.0, 1500)), NOTHING);
}

#[test]
fn few_lines_raise_no_alarm() {
    let mut watch = watch_without_evaluations(1000, Loss::NonSaturating);
    assert!((1..80).all(|step| watch.see(&line(step, 1.0, 0.0, 0.0, 9.0)).is_empty()));
    assert!(watch.see(&json!({"step": 90, "fd_digits": 3.0})).is_empty());
}

#[test]
fn a_loss_that_is_not_a_number_is_named() {
    let mut watch = watch_without_evaluations(1000, Loss::NonSaturating);
    assert!(watch.see(&json!({"step": 1, "loss_g": 1.0})).is_empty());
    let alarms = watch.see(&json!({"step": 2, "loss_g": null}));
    assert_eq!(alarms[0].to_string().split(". What").next(), Some("step 2: not finite: G's loss is not a number"));
}

#[test]
fn decreasing_and_skipped_steps_are_accepted() {
    let mut watch = watch_without_evaluations(1000, Loss::NonSaturating);
    for step in [10, 5, u64::MAX - 1, u64::MAX, 0] {
        watch.see(&line(step, 1.0, 0.0, 0.0, 9.0));
    }
}

#[test]
fn keys_are_snake_case_and_differ() {
    let mut keys: Vec<&str> = RULES.iter().map(|rule| rule.key).collect();
    assert!(keys.iter().all(|key| key.chars().all(|c| c.is_ascii_lowercase() || c == '_')), "{keys:?}");
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), RULES.len());
}

#[test]
fn alarms_are_written_and_read_under_their_keys() {
    let alarm = Alarm::new(RULES[1], 7, "e".into());
    let line = serde_json::to_value(&alarm).unwrap();
    assert_eq!(line, json!({"alarm": "d_won", "at": 7, "evidence": "e", "advice": RULES[1].advice}));
    assert_eq!(serde_json::from_value::<Alarm>(line).unwrap(), alarm);
    assert!(serde_json::from_value::<Alarm>(json!({"alarm": "x", "at": 7, "evidence": "", "advice": ""})).is_err());
}

//! Every loss and penalty trains and resumes exactly.

use crate::common::{SMALL, WorkDir, assert_same, metrics, results};
use gan_core::Loss;

const PENALTIES: &str = "--set penalties=[{kind=\"r1\",weight=2.0,every=2},{kind=\"gp\",weight=10.0}]";

#[test]
fn every_loss_trains_in_separate_and_in_joint_batches() {
    let dir = WorkDir::new();
    for loss in Loss::ALL.iter().map(|loss| loss.name()) {
        for joint in [false, true] {
            let line = format!(
                "train {SMALL} --set loss.kind={loss} --set train.joint_batch={joint} --steps 2 --out run --overwrite"
            );
            dir.succeeds(&line);
            for line in metrics(&dir.path("run")) {
                let number = |key: &str| line[key].as_f64().unwrap_or(f64::NAN);
                assert!(number("loss_d").is_finite() && number("loss_g").is_finite(), "{loss}: {line}");
                assert!((0.0..=1.0).contains(&number("d_fake_after")), "{loss}: {line}");
            }
        }
    }
}

#[test]
fn penalties_are_added_to_the_loss_and_resume_exactly() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} --steps 3 --out plain"));
    dir.succeeds(&format!(
        "train {SMALL} {PENALTIES} --set loss.kind=relativistic_pairing --set samples.every=3 --steps 6 --out straight"
    ));
    dir.succeeds(&format!(
        "train {SMALL} {PENALTIES} --set loss.kind=relativistic_pairing --set samples.every=3 --steps 3 --out parts"
    ));
    dir.succeeds("train parts --resume --steps 6");
    assert_same(&results(&dir.path("straight")), &results(&dir.path("parts")));
    assert!(metrics(&dir.path("plain")).iter().all(|line| line.get("penalty_d").is_none()));
    assert!(metrics(&dir.path("straight")).iter().all(|line| line["penalty_d"].as_f64() > Some(0.0)));
}

#[test]
fn a_lazy_penalty_is_applied_every_n_updates() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} --set penalties=[{{kind=\"r2\",weight=1.0,every=3}}] --steps 5 --out run"));
    let there: Vec<bool> = metrics(&dir.path("run")).iter().map(|line| line["penalty_d"].is_number()).collect();
    assert_eq!(there, [true, false, false, true, false]);
}

#[test]
fn learning_rates_decay_over_the_end_of_a_run() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} --steps 5 --out steady"));
    dir.succeeds(&format!("train {SMALL} --set train.decay=0.5 --steps 5 --out falling"));
    let [steady, falling] = ["steady", "falling"].map(|run| metrics(&dir.path(run)));
    // Before the fourth step, 2 of 5 steps are left, and the learning rates are 0.8 of the initial ones.
    assert_eq!(steady[..3], falling[..3]);
    assert_ne!(steady[3]["d_fake_after"], falling[3]["d_fake_after"]);
    assert_eq!(steady[3]["d_fake_before"], falling[3]["d_fake_before"]);
}

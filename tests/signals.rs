//! Ctrl-C and SIGTERM: the run finishes its step, saves everything, and can be resumed.
#![cfg(unix)]

use crate::common::{SMALL, WorkDir, assert_same, results, steps};
use std::time::{Duration, Instant};

fn stopped_equals_straight(signal: &str) {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} --steps 150 --out straight"));
    let mut run = dir.start(&format!("train {SMALL} --steps 150 --out stopped"));
    run.reaches(&dir.path("stopped"), 20);
    run.signal(signal);
    assert_eq!(run.end().code(), Some(130), "{}", run.stderr());
    let at = steps(&dir.path("stopped")).len();
    let words = format!("stopped after step {at} of 150; all is saved. Go on with: gan train stopped --resume");
    assert!(at < 150 && run.stderr().contains(&words), "{}", run.stderr());
    dir.succeeds("generate stopped --count 4");
    let finished = dir.succeeds("train stopped --resume");
    assert!(finished.stderr.contains(&format!("resuming after step {at} of 150")), "{}", finished.stderr);
    assert_same(&results(&dir.path("straight")), &results(&dir.path("stopped")));
}

#[test]
fn ctrl_c_saves_and_prints_how_to_resume() {
    stopped_equals_straight("INT");
}

#[test]
fn sigterm_saves_and_prints_how_to_resume() {
    stopped_equals_straight("TERM");
}

/// Arguments of a run whose steps take seconds.
const SLOW: &str = "dcgan-mnist --threads 1 --set train.batch=1024 --set generator.width=32 --set discriminator.width=32 --set evaluate.every=0";

#[test]
fn a_second_ctrl_c_exits_immediately() {
    let dir = WorkDir::new();
    let mut run = dir.start(&format!("train {SLOW} --steps 9 --out run"));
    run.reaches(&dir.path("run"), 1);
    run.signal("INT");
    run.waits_for_output("once more to leave at once");
    let second = Instant::now();
    run.signal("INT");
    assert_eq!(run.end().code(), Some(130), "{}", run.stderr());
    assert!(second.elapsed() < Duration::from_millis(800), "{:?}", second.elapsed());
    assert!(!run.stderr().contains("all is saved"), "{}", run.stderr());
    assert_eq!(steps(&dir.path("run")), [1]);
}

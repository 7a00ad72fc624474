//! Ctrl-C and SIGTERM: the run finishes its step, saves everything, and can be resumed.
#![cfg(unix)]

use crate::common::{Place, SMALL, assert_same, results, steps};
use std::time::{Duration, Instant};

fn stopped_equals_straight(signal: &str) {
    let place = Place::new();
    place.good(&format!("train {SMALL} --steps 150 --out straight"));
    let mut run = place.start(&format!("train {SMALL} --steps 150 --out stopped"));
    run.reaches(&place.path("stopped"), 20);
    run.signal(signal);
    assert_eq!(run.end().code(), Some(130), "{}", run.stderr());
    let at = steps(&place.path("stopped")).len();
    let words = format!("stopped after step {at} of 150; all is saved. Go on with: gan train stopped --resume");
    assert!(at < 150 && run.stderr().contains(&words), "{}", run.stderr());
    place.good("generate stopped --count 4");
    let ran = place.good("train stopped --resume");
    assert!(ran.stderr.contains(&format!("resuming after step {at} of 150")), "{}", ran.stderr);
    assert_same(&results(&place.path("straight")), &results(&place.path("stopped")));
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
    let place = Place::new();
    let mut run = place.start(&format!("train {SLOW} --steps 9 --out run"));
    run.reaches(&place.path("run"), 1);
    run.signal("INT");
    run.says("once more to leave at once");
    let second = Instant::now();
    run.signal("INT");
    assert_eq!(run.end().code(), Some(130), "{}", run.stderr());
    assert!(second.elapsed() < Duration::from_millis(800), "{:?}", second.elapsed());
    assert!(!run.stderr().contains("all is saved"), "{}", run.stderr());
    assert_eq!(steps(&place.path("run")), [1]);
}

//! SIGKILL at chosen system calls, with everything enabled that writes: evaluations, EMA, penalties, alarms with every policy.
//! Nothing that a run has recorded may be lost, repeated or left undone.
//!
//! `strace` sends the signal. Without it the tests print SKIPPED and pass; if the environment variable CI is set, they fail.

use crate::common::{Finished, WorkDir, assert_same, files, skipped};
use std::collections::BTreeMap;
use std::path::Path;

/// A short run on points that writes every kind of file.
const RUN: &str = "train curve2d --set train.threads=1 --set data.workers=0 --set train.log_every=50 --set train.ema=0.9 --set evaluate.every=50 \
                   --set evaluate.samples=100 --set checkpoint.every=100 --set checkpoint.keep=2 --set samples.every=150 \
                   --set samples.rows=2 --set samples.columns=2 --set penalties=[{kind=\"r1\",weight=0.1,every=4}]";
/// Learning rates so small that the run stalls at step 300 and its best state is the initial one.
const LAZY: &str =
    "--set optimizer.generator.lr=1e-30 --set optimizer.discriminator.lr=1e-30 --set alarms.collapse=off";

/// The system calls at which a process is killed.
const CALLS: [&str; 3] = ["fsync,fdatasync", "rename,renameat,renameat2", "write"];

/// Number of kills for each kind of call. In these runs, they are a few calls apart.
const KILLS: usize = 9;

fn has_strace() -> bool {
    let found = Finished::try_of(std::process::Command::new("strace").arg("-V"))
        .is_some_and(|finished| finished.code == Some(0));
    if !found {
        skipped("kills at system calls, for there is no strace");
    }
    found
}

/// Runs `gan LINE` without interruption and returns the files in `folder`.
fn straight(dir: &WorkDir, line: &str, folder: &str) -> BTreeMap<String, Vec<u8>> {
    dir.gan(&format!("{line} --out {folder}"));
    files(&dir.path(folder))
}

/// Counts the `calls` that the main thread of `gan LINE` makes.
fn count(dir: &WorkDir, line: &str, calls: &str) -> usize {
    let args = format!(
        "-qq -e trace={calls} -e signal=none -o trace.txt {} {line} --out counted --overwrite",
        env!("CARGO_BIN_EXE_gan")
    );
    Finished::of(&mut dir.program("strace", args.split_whitespace()));
    std::fs::read_to_string(dir.path("trace.txt")).expect("a trace").lines().filter(|line| line.contains('(')).count()
}

/// Runs `gan LINE`, kills it at number `when` of `calls`, and returns whether it was still running then.
fn killed(dir: &WorkDir, line: &str, calls: &str, when: usize) -> bool {
    let args = format!(
        "-qq -o /dev/null -e trace={calls} -e inject={calls}:signal=KILL:when={when} {} {line}",
        env!("CARGO_BIN_EXE_gan")
    );
    // strace ends with the status of its child.
    Finished::of(&mut dir.program("strace", args.split_whitespace())).code.is_none_or(|code| code > 2)
}

/// Kills runs at calls that are spread over the whole run, and asserts that each resumes to the same bytes.
fn kills_lose_nothing(settings: &str) {
    if !has_strace() {
        return;
    }
    let dir = WorkDir::new();
    let line = format!("{RUN} {settings} --steps 400");
    let wanted = straight(&dir, &line, "straight");
    let mut kills = 0;
    for calls in CALLS {
        let all = count(&dir, &line, calls);
        assert!(all > KILLS, "{calls}: {all} calls");
        for i in 0..KILLS {
            let name = format!("killed-{}-{i}", calls.split(',').next().unwrap_or_default());
            let when = 1 + (all - 1) * i / (KILLS - 1);
            kills += usize::from(killed(&dir, &format!("{line} --out {name}"), calls, when));
            let finished = dir.gan(&go_on(&dir.path(&name), &name, &line));
            assert!(finished.code.is_some_and(|code| code <= 1), "{calls} {when}: {}", finished.stderr);
            assert_same(&wanted, &files(&dir.path(&name)));
        }
    }
    assert!(kills > 2 * KILLS, "only {kills} runs were killed");
}

fn go_on(folder: &Path, name: &str, line: &str) -> String {
    if folder.join("config.toml").exists() { format!("train {name} --resume") } else { format!("{line} --out {name}") }
}

#[test]
fn warnings_and_evaluations_survive_a_kill_at_any_call() {
    kills_lose_nothing(&format!("{LAZY} --set alarms.stalled=warn"));
}

#[test]
fn an_alarm_that_ends_the_run_survives_a_kill_at_any_call() {
    kills_lose_nothing(&format!("{LAZY} --set alarms.stalled=stop"));
}

#[test]
fn rollbacks_survive_a_kill_at_any_call() {
    let back = "--set alarms.stalled=rollback --set alarms.rollbacks=1 --set alarms.lr_factor=0.5";
    kills_lose_nothing(&format!("{LAZY} {back}"));
}

#[test]
fn a_run_that_learns_survives_a_kill_at_any_call() {
    kills_lose_nothing("");
}

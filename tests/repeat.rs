//! The same seed and settings give the same bytes for any number of threads and workers.

use crate::common::{SMALL, WorkDir, assert_same, files, results};
use std::collections::BTreeMap;

fn trained(dir: &WorkDir, more: &str, out: &str) -> BTreeMap<String, Vec<u8>> {
    dir.succeeds(&format!("train {SMALL} --steps 12 --set samples.every=5 {more} --out {out}"));
    results(&dir.path(out))
}

#[test]
fn results_do_not_depend_on_the_number_of_workers() {
    let dir = WorkDir::new();
    let one = trained(&dir, "--set data.workers=1", "one");
    assert_same(&one, &trained(&dir, "--set data.workers=4", "four"));
    assert_same(&one, &trained(&dir, "--set data.workers=0", "none"));
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let dir = WorkDir::new();
    let one = trained(&dir, "--threads 1", "one");
    assert_same(&one, &trained(&dir, "--threads 2", "two"));
    assert_same(&one, &trained(&dir, "--threads 3", "three"));
}

#[test]
fn full_width_results_do_not_depend_on_the_number_of_threads() {
    let dir = WorkDir::new();
    for threads in [1, 2] {
        dir.succeeds(&format!("train dcgan-mnist --set train.batch=16 --set evaluate.samples=200 --steps 4 --threads {threads} --out {threads}"));
    }
    assert_same(&results(&dir.path("1")), &results(&dir.path("2")));
}

#[test]
fn the_config_of_a_run_repeats_it() {
    let dir = WorkDir::new();
    let settings = "--seed 7 --set checkpoint.every=5 --set optimizer.generator.lr=1e-3";
    trained(&dir, settings, "first");
    dir.succeeds("train first/config.toml --out again");
    assert_same(&files(&dir.path("first")), &files(&dir.path("again")));
}

#[test]
fn another_seed_gives_another_run() {
    let dir = WorkDir::new();
    let (one, two) = (trained(&dir, "--seed 1", "one"), trained(&dir, "--seed 2", "two"));
    assert!(one.iter().all(|(name, bytes)| two[name] != *bytes));
}

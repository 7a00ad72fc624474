//! The same seed and settings give the same bytes for any number of threads and workers.

use crate::common::{Place, SMALL, assert_same, files, results};
use std::collections::BTreeMap;

fn trained(place: &Place, more: &str, out: &str) -> BTreeMap<String, Vec<u8>> {
    place.good(&format!("train {SMALL} --steps 12 --set samples.every=5 {more} --out {out}"));
    results(&place.path(out))
}

#[test]
fn results_do_not_depend_on_the_number_of_workers() {
    let place = Place::new();
    let one = trained(&place, "--set data.workers=1", "one");
    assert_same(&one, &trained(&place, "--set data.workers=4", "four"));
    assert_same(&one, &trained(&place, "--set data.workers=0", "none"));
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let place = Place::new();
    let one = trained(&place, "--threads 1", "one");
    assert_same(&one, &trained(&place, "--threads 2", "two"));
    assert_same(&one, &trained(&place, "--threads 3", "three"));
}

#[test]
fn full_width_results_do_not_depend_on_the_number_of_threads() {
    let place = Place::new();
    for threads in [1, 2] {
        place.good(&format!("train dcgan-mnist --set train.batch=16 --set evaluate.samples=200 --steps 4 --threads {threads} --out {threads}"));
    }
    assert_same(&results(&place.path("1")), &results(&place.path("2")));
}

#[test]
fn the_config_of_a_run_repeats_it() {
    let place = Place::new();
    let settings = "--seed 7 --set checkpoint.every=5 --set optimizer.generator.lr=1e-3";
    trained(&place, settings, "first");
    place.good("train first/config.toml --out again");
    assert_same(&files(&place.path("first")), &files(&place.path("again")));
}

#[test]
fn another_seed_gives_another_run() {
    let place = Place::new();
    let (one, two) = (trained(&place, "--seed 1", "one"), trained(&place, "--seed 2", "two"));
    assert!(one.iter().all(|(name, bytes)| two[name] != *bytes));
}

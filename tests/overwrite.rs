//! Existing files in a folder are kept unless the user passes `--overwrite`.

use crate::common::{SMALL, WorkDir, assert_same, files, steps};
use std::fs;

#[test]
fn a_run_is_not_overwritten_without_the_flag() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} --steps 2 --out run"));
    let before = files(&dir.path("run"));
    dir.gan(&format!("train {SMALL} --steps 1 --out run")).expect(2, &["run", "--resume", "--overwrite"]);
    dir.gan("train run").expect(2, &["run", "--resume", "run/config.toml"]);
    assert_same(&before, &files(&dir.path("run")));
}

#[test]
fn overwrite_replaces_the_run_and_keeps_other_files() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} --steps 3 --set samples.every=1 --set checkpoint.every=1 --out run"));
    dir.succeeds(&format!("train {SMALL} --steps 2 --seed 5 --out fresh"));
    fs::write(dir.path("run/notes.txt"), "mine").unwrap();
    fs::write(dir.path("run/.losses.svg.7-7.tmp"), "left by a killed process").unwrap();
    dir.succeeds(&format!("train {SMALL} --steps 2 --seed 5 --out run --overwrite"));
    let mut run = files(&dir.path("run"));
    assert_eq!(run.remove("notes.txt").as_deref(), Some(&b"mine"[..]));
    assert_same(&files(&dir.path("fresh")), &run);
    let events = fs::read_dir(dir.path("run")).unwrap().flatten();
    assert_eq!(events.filter(|e| e.file_name().to_string_lossy().starts_with("events.")).count(), 1);
}

#[test]
fn invalid_settings_overwrite_nothing() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} --steps 2 --out run"));
    let before = files(&dir.path("run"));
    assert_eq!(dir.gan(&format!("train {SMALL} --set train.batch=0 --out run --overwrite")).code, Some(2));
    assert_ne!(dir.gan(&format!("train {SMALL} --set data.dir=nowhere --out run --overwrite")).code, Some(0));
    assert_same(&before, &files(&dir.path("run")));
}

#[test]
fn a_folder_that_is_not_a_run_is_never_changed() {
    let dir = WorkDir::new();
    fs::create_dir_all(dir.path("thesis/samples")).unwrap();
    for (name, text) in [("thesis/chapter.tex", "one"), ("thesis/config.toml", "a = 1"), ("thesis/samples/a.png", "p")]
    {
        fs::write(dir.path(name), text).unwrap();
    }
    let before = files(&dir.path("thesis"));
    for more in ["", "--overwrite", "--resume"] {
        dir.gan(&format!("train {SMALL} --steps 1 --out thesis {more}")).expect(2, &["thesis"]);
    }
    assert_same(&before, &files(&dir.path("thesis")));
}

#[test]
fn an_output_that_is_a_file_is_refused() {
    let dir = WorkDir::new();
    fs::write(dir.path("taken"), "mine").unwrap();
    dir.gan(&format!("train {SMALL} --steps 1 --out taken --overwrite")).expect(2, &["taken", "is a file"]);
    assert_eq!(fs::read(dir.path("taken")).unwrap(), b"mine");
}

#[test]
fn an_empty_folder_is_accepted() {
    let dir = WorkDir::new();
    fs::create_dir(dir.path("empty")).unwrap();
    dir.succeeds(&format!("train {SMALL} --steps 1 --out empty"));
    assert_eq!(steps(&dir.path("empty")), [1]);
}

#[test]
fn without_out_each_run_gets_its_own_folder() {
    let dir = WorkDir::new();
    for _ in 0..2 {
        dir.succeeds(&format!("train {SMALL} --steps 1"));
    }
    let names: Vec<_> = fs::read_dir(dir.path("runs")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.len() == 2 && names.iter().all(|n| n.to_string_lossy().starts_with("dcgan-mnist-2")), "{names:?}");
}

#[test]
fn two_processes_never_use_the_same_folder() {
    let dir = WorkDir::new();
    let mut run = dir.start(&format!("train {SMALL} --steps 100000 --set checkpoint.every=2 --out busy"));
    run.reaches(&dir.path("busy"), 2);
    dir.gan("train busy --resume").expect(2, &["busy", "another gan train is working in this folder"]);
    let other = format!("train {SMALL} --steps 1 --out busy --overwrite");
    dir.gan(&other).expect(2, &["another gan train is working in this folder"]);
    run.kill();
    dir.succeeds(&other);
}

#[test]
fn the_folder_of_a_run_that_was_killed_at_the_start_is_accepted() {
    let dir = WorkDir::new();
    fs::create_dir(dir.path("early")).unwrap();
    fs::write(dir.path("early/.lock"), "").unwrap();
    dir.succeeds(&format!("train {SMALL} --steps 1 --out early"));
}

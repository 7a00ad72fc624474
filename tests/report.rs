//! `gan report` writes a page for every run, whether it is running, finished or was killed.

use crate::common::{SMALL, WorkDir};
use std::fs;

#[test]
fn training_writes_the_page_and_report_writes_the_same_again() {
    let dir = WorkDir::new();
    let finished = dir.succeeds(&format!("train {SMALL} --steps 6 --set samples.every=2 --out run"));
    assert!(finished.text().contains("report     run/report.html"), "{}", finished.text());
    let page = fs::read_to_string(dir.path("run/report.html")).unwrap();
    assert!(page.contains("6 of 6") && page.contains("conv_transpose 8") && !page.contains("What is missing"));
    fs::remove_file(dir.path("run/report.html")).unwrap();
    assert_eq!(dir.succeeds("report run").text(), "run/report.html\n");
    assert_eq!(fs::read_to_string(dir.path("run/report.html")).unwrap(), page);
    assert_eq!(dir.succeeds("report run/ --out elsewhere.html").text(), "elsewhere.html\n");
    assert_eq!(fs::read_to_string(dir.path("elsewhere.html")).unwrap(), page);
}

#[test]
fn a_running_or_killed_run_has_a_page() {
    let dir = WorkDir::new();
    let mut run = dir.start(&format!("train {SMALL} --steps 100000 --set samples.every=50 --out run"));
    run.reaches(&dir.path("run"), 40);
    dir.succeeds("report run");
    let page = fs::read_to_string(dir.path("run/report.html")).unwrap();
    assert!(page.contains("still going on") && page.contains("of 100,000"));
    run.kill();
    dir.succeeds("report run");
    let page = fs::read_to_string(dir.path("run/report.html")).unwrap();
    assert!(!page.contains("still going on") && page.contains("of 100,000"));
}

#[test]
fn folders_that_are_not_runs_are_refused() {
    let dir = WorkDir::new();
    fs::create_dir(dir.path("empty")).unwrap();
    fs::write(dir.path("file"), "x").unwrap();
    for (name, words) in [("empty", "holds no run"), ("file", "is a file"), ("nowhere", "there is no such folder")] {
        dir.gan(&format!("report {name}")).expect(2, &[name, words]);
    }
    assert!(!dir.path("empty/report.html").exists());
    dir.succeeds(&format!("train {SMALL} --steps 1 --out run"));
    dir.gan("report run --out no/such/folder.html").expect(1, &["no/such/folder.html"]);
}

#[test]
#[cfg(target_os = "linux")]
fn open_without_a_browser_writes_the_page_and_prints_a_note() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} --steps 1 --out run"));
    let mut command = dir.command("report run --open");
    let finished = crate::common::Finished::of(command.env("PATH", ""));
    finished.expect(0, &["xdg-open", "open the file in a browser"]);
    assert_eq!(finished.text(), "run/report.html\n");
}

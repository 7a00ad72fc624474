//! `gan report` writes a page for every run, whether it is running, finished or was killed.

use crate::common::{Place, SMALL};
use std::fs;

#[test]
fn training_writes_the_page_and_report_writes_the_same_again() {
    let place = Place::new();
    let ran = place.good(&format!("train {SMALL} --steps 6 --set samples.every=2 --out run"));
    assert!(ran.text().contains("report     run/report.html"), "{}", ran.text());
    let page = fs::read_to_string(place.path("run/report.html")).unwrap();
    assert!(page.contains("6 of 6") && page.contains("conv_transpose 8") && !page.contains("What is missing"));
    fs::remove_file(place.path("run/report.html")).unwrap();
    assert_eq!(place.good("report run").text(), "run/report.html\n");
    assert_eq!(fs::read_to_string(place.path("run/report.html")).unwrap(), page);
    assert_eq!(place.good("report run/ --out elsewhere.html").text(), "elsewhere.html\n");
    assert_eq!(fs::read_to_string(place.path("elsewhere.html")).unwrap(), page);
}

#[test]
fn a_running_or_killed_run_has_a_page() {
    let place = Place::new();
    let mut run = place.start(&format!("train {SMALL} --steps 100000 --set samples.every=50 --out run"));
    run.reaches(&place.path("run"), 40);
    place.good("report run");
    let page = fs::read_to_string(place.path("run/report.html")).unwrap();
    assert!(page.contains("still going on") && page.contains("of 100,000"));
    run.kill();
    place.good("report run");
    let page = fs::read_to_string(place.path("run/report.html")).unwrap();
    assert!(!page.contains("still going on") && page.contains("of 100,000"));
}

#[test]
fn folders_that_are_not_runs_are_refused() {
    let place = Place::new();
    fs::create_dir(place.path("empty")).unwrap();
    fs::write(place.path("file"), "x").unwrap();
    for (name, words) in [("empty", "holds no run"), ("file", "is a file"), ("nowhere", "there is no such folder")] {
        place.gan(&format!("report {name}")).expect(2, &[name, words]);
    }
    assert!(!place.path("empty/report.html").exists());
    place.good(&format!("train {SMALL} --steps 1 --out run"));
    place.gan("report run --out no/such/folder.html").expect(1, &["no/such/folder.html"]);
}

#[test]
#[cfg(target_os = "linux")]
fn open_without_a_browser_writes_the_page_and_prints_a_note() {
    let place = Place::new();
    place.good(&format!("train {SMALL} --steps 1 --out run"));
    let mut command = place.command("report run --open");
    let ran = crate::common::Ran::of(command.env("PATH", ""));
    ran.expect(0, &["xdg-open", "open the file in a browser"]);
    assert_eq!(ran.text(), "run/report.html\n");
}

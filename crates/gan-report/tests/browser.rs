//! Opens the page in a browser: it runs without errors, requests nothing, and reacts to keys and mouse.
//!
//! The tests need Chromium on the PATH. Without it they print SKIPPED and pass; if the environment variable CI is set, they fail.
#![cfg(unix)]

#[path = "browser/devtools.rs"]
mod devtools;

use devtools::Tab;
use gan_report::{Colour, Metrics, Picture};
use gan_report::{Diagnosis, Frame, Page, Sequence, Severity, Single};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const STEPS: u64 = 5000;

/// A browser with the page of a synthetic run: 5,000 steps, a gap, a spike, eight sheets of samples.
struct OpenPage {
    tab: Tab,
    file: PathBuf,
    _dir: TempDir,
}

fn open_page() -> Option<OpenPage> {
    let Some(program) = devtools::installed() else {
        assert!(std::env::var_os("CI").is_none(), "CI is set, but there is no chromium on the PATH");
        // Written to standard error directly, because the test harness captures printed text.
        writeln!(std::io::stderr(), "SKIPPED: the page in a browser, for there is no chromium on the PATH").ok();
        return None;
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("report.html");
    page(dir.path()).save(&file).unwrap();
    Some(OpenPage { tab: Tab::open(&program, &dir.path().join("profile")), file, _dir: dir })
}

fn page(dir: &Path) -> Page {
    let line = |step: u64| {
        let wave = (step as f64 / 300.0).sin();
        let loss_g = if step == 2500 { json!(null) } else { json!(1.5 + wave) };
        let d = if step == 4000 { 40.0 } else { 1.0 + 0.1 * wave };
        json!({ "step": step, "loss_d": d, "loss_g": loss_g, "d_real": 0.6, "d_fake_before": 0.4, "fid": 30.0 })
            .to_string()
            + "\n"
    };
    let png = |name: String, shade: u8| {
        let path = dir.join(name);
        Picture::new(Colour::Grey, [64, 64], vec![shade; 64 * 64]).unwrap().save_png(&path).unwrap();
        path
    };
    let metrics = Metrics::of_lines((1..=STEPS).map(line).collect::<String>().as_bytes()).0;
    let frames = (1..=8).map(|i| Frame { step: i * 500, path: png(format!("{i}.png"), i as u8 * 20) }).collect();
    Page {
        title: "A made run </title><script>window.broken = 1</script>".into(),
        diagnoses: vec![Diagnosis { severity: Severity::Warn, text: "D has won".into() }],
        metrics: metrics.into(),
        sequences: vec![Sequence { name: "Samples".into(), caption: "Grey".into(), frames }],
        pictures: vec![Single { caption: "A batch".into(), path: png("batch.png".into(), 200) }],
        settings_toml: "seed = 1\n".into(),
        ..Page::default()
    }
}

#[test]
fn the_page_runs_without_errors_or_network_requests() {
    let Some(mut at) = open_page() else { return };
    for size in [[1280, 900], [390, 844]] {
        at.tab.go(&at.file, size);
        assert_eq!(at.tab.value("document.documentElement.dataset.fault ?? 'none'"), "none");
        assert_eq!(at.tab.value("document.querySelectorAll('.plot svg').length"), 3);
        assert_eq!(
            at.tab.value("[...document.querySelectorAll('.plot path')].every(p => p.getAttribute('d').length > 100)"),
            true
        );
        assert_eq!(at.tab.value("window.broken === undefined"), true);
        assert_eq!(at.tab.value("document.documentElement.scrollWidth <= innerWidth"), true, "wider than {size:?}");
    }
    let asked: Vec<&str> = at.tab.events.iter().filter_map(|e| e["params"]["request"]["url"].as_str()).collect();
    assert!(
        !asked.is_empty() && asked.iter().all(|url| url.starts_with("data:") || url.ends_with("/report.html")),
        "{asked:?}"
    );
    let told = ["Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"];
    let faults: Vec<_> = at.tab.events.iter().filter(|e| told.iter().any(|name| e["method"] == *name)).collect();
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn injected_scripts_do_not_run() {
    let Some(mut at) = open_page() else { return };
    let html = std::fs::read_to_string(&at.file).unwrap();
    let slipped = "<script>window.broken = 1</script><img src=\"https://example.org/x.png\" alt=\"\">";
    std::fs::write(&at.file, html.replacen("<header>", &format!("{slipped}<header>"), 1)).unwrap();
    at.tab.go(&at.file, [800, 600]);
    assert_eq!(at.tab.value("window.broken === undefined"), true);
    let blocked =
        |e: &&serde_json::Value| e["method"] == "Network.loadingFailed" && e["params"]["blockedReason"] == "csp";
    at.tab.wait("document.readyState === 'complete'");
    assert_eq!(at.tab.events.iter().filter(blocked).count(), 1);
}

#[test]
fn charts_react_to_keys() {
    let Some(mut at) = open_page() else { return };
    at.tab.go(&at.file, [1280, 900]);
    let chart = "document.querySelector('.plot svg')";
    at.tab.value(&format!("{chart}.focus()"));
    for (key, says) in [("Home", "step 1: "), ("ArrowRight", "step "), ("End", "step 5,000: D 0.9")] {
        at.tab.press(key);
        let text = at.tab.value(&format!("{chart}.getAttribute('aria-valuetext')"));
        assert!(text.as_str().unwrap().starts_with(says), "{key}: {text}");
    }
    at.tab.press("+");
    assert_eq!(at.tab.value("document.getElementById('whole').disabled"), false);
    at.tab.press("0");
    assert_eq!(at.tab.value("document.getElementById('whole').disabled"), true);
    // The slider also moves the cursor of the charts. The gap and the spike are preserved among the 2,000 points.
    for (step, says) in [(2500, "G –"), (4000, "D 40")] {
        let slider = "document.querySelector('.film input')";
        let input = format!("{slider}.value = {} / 500 - 1; {slider}.dispatchEvent(new Event('input'))", step);
        at.tab.value(&input);
        let text = at.tab.value(&format!("{chart}.getAttribute('aria-valuetext')"));
        assert!(text.as_str().unwrap().contains(says), "{step}: {text}");
    }
}

#[test]
fn dragging_zooms_all_charts_and_a_double_click_shows_the_whole_run() {
    let Some(mut at) = open_page() else { return };
    at.tab.go(&at.file, [1280, 900]);
    at.tab.value("document.querySelector('.plot svg').scrollIntoView({ block: 'center', behavior: 'instant' })");
    let place = at.tab.value("(({ x, y, width, height }) => [x, y, width, height])(document.querySelector('.plot svg').getBoundingClientRect())");
    let [x, y, width, height] = [0, 1, 2, 3].map(|i| place[i].as_f64().unwrap());
    let ticks = "document.querySelectorAll('.plot')[1].textContent";
    let before = at.tab.value(ticks);
    let point = |share: f64| [x + width * share, y + height / 2.0];
    at.tab.mouse("mouseMoved", point(0.4));
    at.tab.mouse("mousePressed", point(0.4));
    at.tab.mouse("mouseMoved", point(0.6));
    at.tab.mouse("mouseReleased", point(0.6));
    assert_ne!(at.tab.value(ticks), before);
    at.tab.value("document.querySelector('.plot svg').dispatchEvent(new MouseEvent('dblclick', { bubbles: true }))");
    assert_eq!(at.tab.value(ticks), before);
}

#[test]
fn the_sample_slider_reacts_to_keys_and_plays_to_the_end() {
    let Some(mut at) = open_page() else { return };
    at.tab.go(&at.file, [1280, 900]);
    at.tab.value("document.querySelector('.film input').focus()");
    let said = "document.querySelector('.film output').textContent";
    let picture = "document.querySelector('.film img').src";
    let last = at.tab.value(picture);
    assert_eq!(at.tab.value(said), "step 4,000");
    at.tab.press("ArrowLeft");
    assert_eq!(at.tab.value(said), "step 3,500");
    assert_ne!(at.tab.value(picture), last);
    at.tab.press("Home");
    assert_eq!(at.tab.value(said), "step 500");
    at.tab.value("document.querySelector('.film .play').focus()");
    at.tab.press("Enter");
    at.tab.wait("document.querySelector('.film output').textContent === 'step 4,000'");
    assert_eq!(at.tab.value(picture), last);
}

#[test]
fn every_control_has_a_name_and_is_reachable_by_tab() {
    let Some(mut at) = open_page() else { return };
    at.tab.go(&at.file, [1280, 900]);
    let reached = "document.activeElement.id || document.activeElement.getAttribute('aria-label') || document.activeElement.textContent";
    let mut names = Vec::new();
    for _ in 0..60 {
        at.tab.press("Tab");
        names.push(at.tab.value(reached).as_str().unwrap_or_default().to_string());
    }
    let wanted = [
        "Skip to the run",
        "theme",
        "Play Samples",
        "Step of Samples",
        "smoothing",
        "Losses, over the steps",
        "Enlarge: A batch",
    ];
    assert!(wanted.iter().all(|name| names.iter().any(|found| found == name)), "{names:?}");
    assert!(names.iter().all(|name| !name.trim().is_empty()), "{names:?}");
}

#[test]
fn the_color_switch_cycles_through_its_modes() {
    let Some(mut at) = open_page() else { return };
    at.tab.ask(
        "Emulation.setEmulatedMedia",
        json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] }),
    );
    at.tab.go(&at.file, [1280, 900]);
    let ground = "getComputedStyle(document.body).backgroundColor";
    let dark = at.tab.value(ground);
    at.tab.value("document.getElementById('theme').click()");
    let light = at.tab.value(ground);
    assert_ne!(dark, light);
    at.tab.value("document.getElementById('theme').click()");
    assert_eq!(at.tab.value(ground), dark);
}

#[test]
fn a_picture_opens_larger_and_closes_by_escape() {
    let Some(mut at) = open_page() else { return };
    at.tab.go(&at.file, [1280, 900]);
    at.tab.value("document.querySelector('.gallery .zoomable').focus()");
    at.tab.press("Enter");
    assert_eq!(at.tab.value("document.getElementById('zoom').open"), true);
    assert_eq!(at.tab.value("document.querySelector('#zoom p').textContent"), "A batch");
    assert_eq!(at.tab.value("document.querySelector('#zoom img').naturalWidth"), 64);
    at.tab.value("document.getElementById('zoom-close').focus()");
    at.tab.press("Enter");
    assert_eq!(at.tab.value("document.getElementById('zoom').open"), false);
}

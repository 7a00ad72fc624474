//! Pages for the browser: `gan export --format html` and `gan lab`, opened in Chromium.
//!
//! The tests need Chromium on the PATH. Without it they print SKIPPED and pass; if the environment variable CI is set, they fail.

#[allow(dead_code)]
#[path = "../crates/gan-report/tests/browser/devtools.rs"]
mod devtools;

use crate::common::WorkDir;
use devtools::Tab;
use std::fs;
use std::io::Write;

/// Opens a page in a window of this size and checks that it works.
fn open(dir: &WorkDir, name: &str, size: [u32; 2]) -> Option<Tab> {
    let Some(program) = devtools::installed() else {
        assert!(std::env::var_os("CI").is_none(), "CI is set, but there is no chromium on the PATH");
        writeln!(std::io::stderr(), "SKIPPED: {name} in a browser, for there is no chromium on the PATH").ok();
        return None;
    };
    let mut tab = Tab::open(&program, &dir.path("profile"));
    tab.go(&fs::canonicalize(dir.path(name)).expect("a page"), size);
    assert_eq!(fault(&mut tab), "none");
    Some(tab)
}

fn fault(tab: &mut Tab) -> String {
    tab.value("document.documentElement.dataset.fault ?? 'none'").as_str().unwrap_or_default().to_string()
}

/// Checks that the browser reported no error and requested nothing but the page.
fn check_silence(tab: &mut Tab, name: &str) {
    assert_eq!(fault(tab), "none");
    let asked: Vec<&str> = tab.events.iter().filter_map(|e| e["params"]["request"]["url"].as_str()).collect();
    assert!(asked.iter().all(|url| url.starts_with("data:") || url.ends_with(name)), "{asked:?}");
    let told = ["Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"];
    let faults: Vec<_> = tab.events.iter().filter(|e| told.iter().any(|name| e["method"] == *name)).collect();
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn an_exported_page_shows_what_gan_generate_makes() {
    let dir = WorkDir::with_generator();
    dir.succeeds("export generator.safetensors --out g.html");
    dir.succeeds("generate generator.safetensors --seed 3 --count 1 --out one.npy");
    let Some(mut tab) = open(&dir, "g.html", [1280, 900]) else { return };
    tab.value("(s => { s.value = 3; s.dispatchEvent(new Event('change')) })(document.getElementById('seed'))");
    tab.wait("document.getElementById('caption').textContent.startsWith('Seed 3') && !explorer.pending");
    let read =
        "(c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data])(document.getElementById('sample'))";
    let found = tab.value(read);
    let found = found.as_array().expect("an array");
    let npy = fs::read(dir.path("one.npy")).expect("an array");
    let values = npy[npy.len() - 28 * 28 * 4..].as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    assert_eq!(found.len(), 4 * 28 * 28);
    for (pixel, value) in found.chunks_exact(4).zip(values) {
        let expected = ((f64::from(value) + 1.0) * 127.5).round();
        let shown = pixel[0].as_f64().expect("a number");
        assert!((shown - expected).abs() <= 1.0, "{shown} {expected}");
    }
    check_silence(&mut tab, "g.html");
}

#[test]
fn the_laboratory_shows_each_update() {
    let dir = WorkDir::new();
    assert_eq!(dir.succeeds("lab").text(), "lab.html\n");
    for size in [[1280, 900], [390, 844]] {
        let Some(mut tab) = open(&dir, "lab.html", size) else { return };
        assert_eq!(tab.value("document.documentElement.scrollWidth <= innerWidth"), true, "wider than {size:?}");
        let movement = "document.getElementById('movement').textContent";
        tab.value("document.getElementById('step-d').click()");
        assert!(tab.value(movement).as_str().is_some_and(|text| text.starts_with("D's update changed the distance")));
        let points = tab.value("[...lab.module.numbers('lab_points')]");
        tab.value("document.getElementById('step-g').click()");
        let text = tab.value(movement);
        let words = ["D's update", "G's update", "moved the real features by 0."];
        assert!(words.iter().all(|word| text.as_str().is_some_and(|text| text.contains(word))), "{text}");
        let after = tab.value("[...lab.module.numbers('lab_points')]");
        let half = points.as_array().map_or(0, |all| all.len() / 2);
        assert_eq!(points.as_array().map(|all| &all[..half]), after.as_array().map(|all| &all[..half]));
        assert_ne!(points, after);
        // A shown curve has different pixels than the empty chart.
        tab.value("document.getElementById('round').click()");
        assert_eq!(tab.value("lab.rounds"), 2);
        check_silence(&mut tab, "lab.html");
    }
}

#[test]
fn the_laboratory_learns_the_curve() {
    let dir = WorkDir::new();
    dir.succeeds("lab --out curve.html");
    let Some(mut tab) = open(&dir, "curve.html", [1280, 900]) else { return };
    tab.value("document.getElementById('play').click()");
    // Half of the data's range is 1. The devtools wait at most 30 seconds.
    tab.wait("lab.rounds > 1000 && lab.distance[0] < 0.03 && lab.distance[1] < 0.06");
    tab.value("document.getElementById('play').click()");
    assert_eq!(tab.value("lab.playing"), serde_json::Value::Null);
    check_silence(&mut tab, "curve.html");
}

#[test]
fn the_laboratorys_settings_data_and_exercises_work() {
    let dir = WorkDir::new();
    dir.succeeds("lab");
    let Some(mut tab) = open(&dir, "lab.html", [1280, 900]) else { return };
    let hidden = |value: &str| {
        format!(
            "(i => {{ i.value = '{value}'; i.dispatchEvent(new Event('change')) }})(document.querySelector('#settings input[type=text]'))"
        )
    };
    tab.value(&hidden("8"));
    assert_eq!(tab.value("lab.about.parameters[0]"), 2 * 8 + 8 + 8 * 2 + 2);
    tab.value(&hidden("8, 0"));
    let problem = tab.value("document.getElementById('problem').textContent");
    assert!(problem.as_str().is_some_and(|text| text.contains("generator.hidden: expected up to")), "{problem}");
    tab.value(&hidden("16, 16"));
    assert_eq!(tab.value("document.getElementById('problem').hidden"), true);
    // Every data set and every exercise trains.
    for list in ["#data button:not(:last-child)", "#exercises button"] {
        let count = tab.value(&format!("document.querySelectorAll('{list}').length")).as_u64().unwrap_or(0);
        assert!(count >= 7, "{list}: {count}");
        for index in 0..count {
            tab.value(&format!("document.querySelectorAll('{list}')[{index}].click()"));
            tab.value("lab.pause(); lab.single(...lab.turns)");
            let state = tab.value("[lab.error, lab.rounds > 0, document.getElementById('problem').hidden]");
            assert_eq!(state, serde_json::json!([null, true, true]), "{list} {index}");
        }
    }
    // Points are drawn with the mouse.
    tab.value("document.querySelector('#data button:last-child').click(); window.scrollTo(0, 0)");
    let place = tab.value("(({ x, y, width, height }) => [x, y, width, height])(document.getElementById('plane').getBoundingClientRect())");
    let [x, y, width, height] = [0, 1, 2, 3].map(|i| place[i].as_f64().unwrap_or(0.0));
    tab.mouse("mousePressed", [x + 0.3 * width, y + 0.5 * height]);
    for step in 1..20 {
        tab.mouse("mouseMoved", [x + (0.3 + 0.02 * f64::from(step)) * width, y + 0.5 * height]);
    }
    tab.mouse("mouseReleased", [x + 0.7 * width, y + 0.5 * height]);
    assert!(tab.value("lab.drawn.length").as_u64().is_some_and(|count| count > 15));
    tab.value("lab.single(1, 1)");
    assert_eq!(tab.value("[lab.error, lab.rounds]"), serde_json::json!([null, 1]));
    check_silence(&mut tab, "lab.html");
}

//! Opens the pages in a browser: they run without errors, show what is new without a reload, and every control does what it says.
//!
//! The tests need Chromium on the PATH. Without it they print SKIPPED and pass; if the environment variable CI is set, they fail. With
//! `GAN_SCREENSHOTS=FOLDER` they save what they see.
#![cfg(unix)]

#[allow(dead_code)]
#[path = "../../gan-report/tests/browser/devtools.rs"]
mod devtools;
#[allow(dead_code)]
#[path = "common/site.rs"]
mod site;

use devtools::Tab;
use serde_json::json;
use site::Site;
use std::io::Write;
use std::path::Path;

const SCREEN: [u32; 2] = [1280, 900];
const PHONE: [u32; 2] = [390, 844];

struct Browser {
    tab: Tab,
    site: Site,
    _profile: tempfile::TempDir,
}

impl Browser {
    fn open(site: Site) -> Option<Self> {
        let Some(program) = devtools::installed() else {
            assert!(std::env::var_os("CI").is_none(), "CI is set, but there is no chromium on the PATH");
            writeln!(std::io::stderr(), "SKIPPED: the server in a browser, for there is no chromium on the PATH").ok();
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        Some(Self { tab: Tab::open(&program, profile.path()), site, _profile: profile })
    }

    fn visit(&mut self, path: &str, size: [u32; 2]) {
        self.tab.visit(&format!("http://{}{path}", self.site.address()), size);
        assert_eq!(self.tab.value("document.documentElement.dataset.fault ?? 'none'"), "none", "{path}");
        assert_eq!(
            self.tab.value("document.documentElement.scrollWidth <= innerWidth"),
            true,
            "{path}: wider than {size:?}"
        );
    }

    /// Saves what is to be seen, if somebody wants to.
    fn shot(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("GAN_SCREENSHOTS") else { return };
        let shot = self.tab.ask("Page.captureScreenshot", json!({ "captureBeyondViewport": true }));
        let bytes =
            self.tab.value(&format!("[...atob('{}')].map(c => c.charCodeAt(0))", shot["data"].as_str().unwrap()));
        let bytes: Vec<u8> = bytes.as_array().unwrap().iter().map(|byte| byte.as_u64().unwrap() as u8).collect();
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), bytes).unwrap();
    }

    /// Checks that the browser reported no error and that nothing came from elsewhere.
    fn check_silence(&mut self) {
        assert_eq!(self.tab.value("document.documentElement.dataset.fault ?? 'none'"), "none");
        let own = format!("http://{}/", self.site.address());
        let asked: Vec<&str> = self.tab.events.iter().filter_map(|e| e["params"]["request"]["url"].as_str()).collect();
        assert!(asked.iter().all(|url| url.starts_with(&own) || url.starts_with("data:")), "{asked:?}");
        let told = ["Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"];
        let faults: Vec<_> = self.tab.events.iter().filter(|e| told.iter().any(|name| e["method"] == *name)).collect();
        assert!(faults.is_empty(), "{faults:?}");
    }

    fn dark(&mut self) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
        self.tab.ask("Emulation.setEmulatedMedia", features);
    }
}

fn three_runs() -> Site {
    let site = Site::new();
    site.run("first", 400, 400);
    site.run("second", 300, 500);
    site.run("third", 100, 800);
    site.append(
        "third",
        "{\"step\":100,\"alarm\":\"collapse\",\"at\":100,\"evidence\":\"e\",\"advice\":\"a\",\"done\":\"warn\"}\n",
    );
    site
}

#[test]
fn the_list_updates_itself_and_leads_to_runs_and_to_a_comparison() {
    let Some(mut at) = Browser::open(three_runs()) else { return };
    at.visit("/", SCREEN);
    at.shot("list");
    at.tab.wait("document.querySelectorAll('.row').length === 3");
    assert_eq!(at.tab.value("document.getElementById('compare').disabled"), true);
    at.tab.value("[...document.querySelectorAll('.row input')].slice(0, 2).forEach(box => box.click())");
    assert_eq!(at.tab.value("document.getElementById('compare').disabled"), false);
    // A new run and new steps appear; what was chosen stays.
    at.site.run("fourth", 7, 50);
    at.site.append("second", "{\"step\":301,\"loss_d\":1}\n");
    at.tab.wait("document.querySelectorAll('.row').length === 4");
    at.tab.wait("document.querySelector('[data-run=second] .steps').textContent.startsWith('301 of')");
    assert_eq!(at.tab.value("document.querySelectorAll('.row input:checked').length"), 2);
    at.tab.value("document.getElementById('compare').click()");
    at.tab.wait("location.pathname === '/compare' && document.documentElement?.dataset.ready === 'yes'");
    at.visit("/", PHONE);
    at.shot("list-phone");
    at.dark();
    at.visit("/", SCREEN);
    at.shot("list-dark");
    at.check_silence();
}

#[test]
fn a_run_grows_on_its_page() {
    let Some(mut at) = Browser::open(three_runs()) else { return };
    at.visit("/runs/third", SCREEN);
    at.shot("run");
    let chart = "document.querySelector('.plot svg').getAttribute('aria-valuetext')";
    at.tab.wait("document.documentElement.dataset.updated > 0");
    at.site.append("third", "{\"step\":101,\"epoch\":0,\"loss_d\":7.5,\"loss_g\":2}\n");
    at.tab.wait(&format!("{chart}.startsWith('step 101: D 7.5')"));
    at.tab.wait("document.getElementById('run').textContent.includes('101 of 800')");
    at.tab.wait("document.getElementById('diagnosis') !== null");
    // The slider follows the newest samples.
    at.site.picture("third", "samples/step-0000101.png");
    at.tab.wait("document.querySelector('.film output').textContent === 'step 101'");
    // A zoomed view and the smoothing stay, also when the page is made anew for another chart.
    at.tab.value("started.shared.show(20, 40)");
    at.tab.value("(s => { s.value = 0.5; s.dispatchEvent(new Event('input')) })(document.getElementById('smoothing'))");
    at.site.append("third", "{\"step\":102,\"epoch\":0,\"loss_d\":7.5,\"loss_g\":2,\"fd_digits\":4}\n");
    at.tab.wait("[...document.querySelectorAll('.chart h3')].some(h => h.textContent.startsWith('Fréchet'))");
    assert_eq!(at.tab.value("started.shared.view.join()"), "20,40");
    assert_eq!(at.tab.value("document.getElementById('smoothing').value"), "0.5");
    at.tab.value("document.getElementById('whole').click()");
    at.tab.wait(&format!("{chart}.startsWith('step 102')"));
    // Numbers that were replaced vanish.
    at.site.cut("third", 50);
    at.tab.wait(&format!("{chart}.startsWith('step 50')"));
    // A picture is enlarged by the keyboard.
    at.tab.value("document.querySelector('.zoomable').focus()");
    at.tab.press("Enter");
    assert_eq!(at.tab.value("document.getElementById('zoom').open"), true);
    at.tab.value("document.getElementById('zoom-close').click()");
    at.visit("/runs/third", PHONE);
    at.shot("run-phone");
    at.dark();
    at.visit("/runs/first", SCREEN);
    at.shot("run-dark");
    at.check_silence();
}

#[test]
fn runs_are_compared() {
    let Some(mut at) = Browser::open(three_runs()) else { return };
    for (over, name) in [("steps", "step 400"), ("images", "image 51,200"), ("minutes", "minute 6.67")] {
        at.visit(&format!("/compare?run=first&run=second&run=third&over={over}"), SCREEN);
        let text = at.tab.value("document.querySelector('.plot svg').getAttribute('aria-valuetext')");
        assert!(text.as_str().is_some_and(|text| text.starts_with(name)), "{text}");
        assert_eq!(at.tab.value("document.querySelectorAll('.chart:first-child .legend button').length"), 3);
        assert_eq!(at.tab.value("document.querySelectorAll('.film').length"), 3);
        at.shot(&format!("compare-{over}"));
    }
    at.tab.value("document.querySelector('.legend button').click()");
    assert_eq!(at.tab.value("document.querySelector('.legend button').getAttribute('aria-pressed')"), "false");
    at.visit("/compare?run=first&run=second&run=third", PHONE);
    at.shot("compare-phone");
    at.check_silence();
}

#[test]
fn every_control_has_a_name_and_is_reachable_by_tab() {
    let Some(mut at) = Browser::open(three_runs()) else { return };
    at.site.generator("first");
    let reached = "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent || document.activeElement.id";
    for (page, wanted) in [
        ("/", vec!["Skip to the contents", "Colours: system", "Compare first", "first"]),
        ("/runs/first", vec!["All runs", "Play Samples", "Step of Samples", "Losses, over the steps"]),
        ("/explore/first", vec!["Pin", "Random", "Reset", "Save as PNG"]),
        ("/compare?run=first&run=second", vec!["steps", "minutes", "Play first", "Settings that differ"]),
    ] {
        at.visit(page, SCREEN);
        let mut names = Vec::new();
        for _ in 0..40 {
            at.tab.press("Tab");
            names.push(at.tab.value(reached).as_str().unwrap_or_default().trim().to_string());
        }
        assert!(wanted.iter().all(|name| names.iter().any(|found| found == name)), "{page}: {names:?}");
        assert!(names.iter().all(|name| !name.is_empty()), "{page}: {names:?}");
    }
}

#[test]
fn a_generator_is_explored() {
    let Some(mut at) = Browser::open(three_runs()) else { return };
    at.site.generator("first");
    at.visit("/explore/first", SCREEN);
    let drawn = "Number(document.documentElement.dataset.drawn ?? 0)";
    at.tab.wait(&format!("{drawn} === 1 && document.getElementById('sample').naturalWidth === 64"));
    assert!(
        at.tab
            .value("document.querySelector('header p:last-of-type').textContent")
            .as_str()
            .unwrap()
            .contains("step 1,234")
    );
    // Every control changes the sample, and one computation at a time is asked for.
    let picture = "document.getElementById('sample').src";
    let mut before = at.tab.value(picture);
    let set = |id: &str, value: &str, event: &str| {
        format!(
            "(c => {{ c.value = '{value}'; c.dispatchEvent(new Event('{event}')) }})(document.getElementById('{id}'))"
        )
    };
    for act in [
        set("seed", "7", "change"),
        set("direction-0", "2.5", "input"),
        set("truncation", "0.5", "input"),
        "document.getElementById('random').click()".to_string(),
        "document.getElementById('reset').click()".to_string(),
    ] {
        let count = at.tab.value(drawn).as_u64().unwrap();
        at.tab.value(&act);
        at.tab.wait(&format!("{drawn} > {count}"));
        let after = at.tab.value(picture);
        assert_ne!(after, before, "{act}");
        before = after;
    }
    let mut took = vec![];
    for step in 0..20 {
        let count = at.tab.value(drawn).as_u64().unwrap();
        at.tab.value(&set("direction-1", &format!("{}", f64::from(step) / 10.0 - 2.0), "input"));
        at.tab.wait(&format!("{drawn} > {count}"));
        took.push(at.tab.value("document.documentElement.dataset.took").as_str().unwrap().parse::<f64>().unwrap());
    }
    took.sort_by(f64::total_cmp);
    writeln!(std::io::stderr(), "a move of the explorer, 64×64: median {} ms, longest {} ms", took[10], took[19]).ok();
    // A walk between two pinned samples, and its video.
    at.tab.value("document.getElementById('pin').click(); document.getElementById('random').click()");
    at.tab.value("document.getElementById('pin').click()");
    assert_eq!(at.tab.value("document.querySelectorAll('#pins li').length"), 2);
    at.tab.value(&set("between", "0.5", "input"));
    at.tab.wait("document.getElementById('caption').textContent === '0.50 along the walk'");
    at.shot("explore");
    at.tab.value("document.getElementById('play').click()");
    at.tab.wait("Number(document.getElementById('between').value) > 0.6");
    at.tab.value("document.getElementById('play').click()");
    at.tab.value("document.getElementById('video').click()");
    at.tab.wait("Number(document.documentElement.dataset.video ?? 0) > 1000");
    at.visit("/explore/first", PHONE);
    at.tab.wait(&format!("{drawn} === 1"));
    at.shot("explore-phone");
    at.check_silence();
}

#[test]
fn a_long_run_among_many_is_painted_at_once() {
    let site = Site::new();
    (0..200).for_each(|i| site.make(&format!("run-{i}"), 100, 100));
    site.make("long", 100_000, 100_000);
    let Some(mut at) = Browser::open(site) else { return };
    for page in ["/", "/runs/long"] {
        at.visit(page, SCREEN);
        at.tab.wait("performance.getEntriesByName('first-contentful-paint').length === 1");
        let paint = at.tab.value("performance.getEntriesByName('first-contentful-paint')[0].startTime");
        writeln!(std::io::stderr(), "{page}: first contentful paint after {paint} ms").ok();
        assert!(paint.is_number(), "{page}: {paint}");
    }
    assert_eq!(at.tab.value("document.querySelector('.plot svg').getAttribute('aria-valuemax')"), "100000");
    at.shot("long");
}

//! Opens exported pages in a browser: their samples are those of `gan generate`, every control works, and nothing is requested.
//!
//! The tests need Chromium on the PATH. Without it they print SKIPPED and pass; if the environment variable CI is set, they fail.
#![cfg(unix)]

#[allow(dead_code)]
mod common;
#[allow(dead_code)]
#[path = "../../gan-report/tests/browser/devtools.rs"]
mod devtools;

use candle_core::{Device, Tensor};
use devtools::Tab;
use gan_base::Rng;
use gan_core::{Distribution, Generator, Init, Latent, Layer, samples};
use gan_export::{Format, Model, Network};
use gan_report::Images;
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use tempfile::TempDir;

/// A browser with the page of a generator.
struct OpenPage {
    tab: Tab,
    file: PathBuf,
    model: Model,
    _dir: TempDir,
}

const NORMAL: Latent = Latent { dim: 6, distribution: Distribution::Normal, truncation: None };

/// Layers of a conditional generator of 12×12 images.
fn images(channels: usize) -> String {
    format!(
        r#"[{{"concat_class": 3}}, {{"reshape": [9, 1, 1]}}, {{"conv_transpose": 8, "kernel": 3}}, {{"batch_norm": {{}}}}, "relu",
            {{"conv_transpose": {channels}, "kernel": 4, "stride": 4}}, "tanh"]"#
    )
}

fn model(latent: Latent, layers: &str) -> Model {
    let layers: Vec<Layer> = serde_json::from_str(layers).unwrap();
    // Tests may name things of a page: here the preset.
    common::generator(latent, &[latent.dim], &layers, Init::He, "A <b>made</b> run")
}

fn open(model: Model, size: [u32; 2]) -> Option<OpenPage> {
    let Some(program) = devtools::installed() else {
        assert!(std::env::var_os("CI").is_none(), "CI is set, but there is no chromium on the PATH");
        writeln!(std::io::stderr(), "SKIPPED: the page in a browser, for there is no chromium on the PATH").ok();
        return None;
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("generator.html");
    let files = gan_export::export(&model, Format::of_path(&file).unwrap(), &file).unwrap();
    assert_eq!(files.len(), 1);
    let mut tab = Tab::open(&program, &dir.path().join("profile"));
    tab.go(&file, size);
    assert_eq!(tab.value("document.documentElement.dataset.fault ?? 'none'"), "none");
    tab.wait("document.documentElement.dataset.drawn !== undefined");
    Some(OpenPage { tab, file, model, _dir: dir })
}

impl OpenPage {
    /// Returns the samples `[N, …]` that `gan generate` makes from these latent vectors.
    fn samples(&self, z: &[Vec<f32>], classes: &[u32]) -> Tensor {
        let Network::Generator(generator) = &self.model.network else { unreachable!("a generator") };
        let z = Tensor::new(z.to_vec(), &Device::Cpu).unwrap();
        let classes = generator.classes().map(|_| Tensor::new(classes, &Device::Cpu).unwrap());
        samples(generator, &z, classes.as_ref()).unwrap()
    }

    /// Returns the bytes of the pictures that `gan generate` writes, one after the other.
    fn pictures(&self, z: &[Vec<f32>], classes: &[u32]) -> Vec<u8> {
        let samples = self.samples(z, classes);
        let (n, c, h, w) = samples.dims4().unwrap();
        let pixels: Vec<f32> = samples.flatten_all().unwrap().to_vec1().unwrap();
        let pictures = Images::new(&pixels, [n, c, h, w]).unwrap().pictures().unwrap();
        pictures.iter().flat_map(|picture| picture.data().to_vec()).collect()
    }

    fn seed(&self, seed: u64) -> Vec<f32> {
        let latent = self.model.description.latent;
        let z = latent.sample(1, &mut Rng::stream(seed, "generate"), &Device::Cpu).unwrap();
        z.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn bytes(&mut self, expression: &str) -> Vec<u8> {
        numbers(&self.tab.value(expression)).into_iter().map(|v| v as u8).collect()
    }

    /// Returns the shown picture as RGBA.
    fn shown(&mut self) -> Vec<u8> {
        self.bytes(&pixels("document.getElementById('sample')"))
    }

    /// Moves a slider as a user does, and waits until the page has drawn everything.
    fn slide(&mut self, id: &str, value: f64) {
        let set = format!(
            "(s => {{ s.value = {value}; s.dispatchEvent(new Event('input', {{ bubbles: true }})) }})(document.getElementById('{id}'))"
        );
        self.after(&set);
    }

    /// Runs a script, and waits until the page has drawn everything.
    fn after(&mut self, script: &str) {
        self.tab.value(&format!("delete document.documentElement.dataset.drawn; {script}"));
        self.tab.wait("document.documentElement.dataset.drawn !== undefined");
    }

    /// Checks that the browser reported no error and requested nothing but the file.
    fn check_silence(&mut self) {
        self.tab.value("0");
        let asked: Vec<&str> = self.tab.events.iter().filter_map(|e| e["params"]["request"]["url"].as_str()).collect();
        let own = self.file.to_str().unwrap();
        assert!(asked.iter().all(|url| url.starts_with("data:") || url.ends_with(own)), "{asked:?}");
        let told = ["Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"];
        let faults: Vec<_> = self.tab.events.iter().filter(|e| told.iter().any(|name| e["method"] == *name)).collect();
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(self.tab.value("document.documentElement.dataset.fault ?? 'none'"), "none");
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// Returns the script that reads a copy of a canvas as RGBA. The browser warns of canvases that are read often.
fn pixels(canvas: &str) -> String {
    let copy = "const copy = new OffscreenCanvas(c.width, c.height).getContext('2d', { willReadFrequently: true })";
    format!(
        "(c => {{ {copy}; copy.drawImage(c, 0, 0); return [...copy.getImageData(0, 0, c.width, c.height).data] }})({canvas})"
    )
}

/// Checks that RGBA bytes show these gray pixels, to 1 of 255.
#[track_caller]
fn check_gray(rgba: &[u8], gray: &[u8]) {
    assert_eq!(rgba.len(), 4 * gray.len());
    for (found, expected) in rgba.chunks_exact(4).zip(gray) {
        assert!(found[..3].iter().all(|v| v.abs_diff(*expected) <= 1) && found[3] == 255, "{found:?} {expected}");
    }
}

#[test]
fn samples_are_those_of_gan_generate_and_follow_the_controls() {
    let Some(mut page) = open(model(NORMAL, &images(1)), [1280, 900]) else { return };
    let first = page.shown();
    check_gray(&first, &page.pictures(&[page.seed(0)], &[0]));
    for tile in [1u64, 17, 63] {
        let found = page.bytes(&pixels(&format!("document.querySelectorAll('#grid canvas')[{tile}]")));
        check_gray(&found, &page.pictures(&[page.seed(tile)], &[tile as u32 % 3]));
    }
    // A direction moves the sample along its vector.
    page.slide("direction-1", 2.5);
    let moved = page.shown();
    assert_ne!(moved, first);
    let vector = numbers(&page.tab.value("explorer.generator.directions[1].vector"));
    let z: Vec<f32> = page.seed(0).iter().zip(&vector).map(|(z, v)| z + 2.5 * *v as f32).collect();
    check_gray(&moved, &page.pictures(&[z], &[0]));
    page.after("document.getElementById('reset').click()");
    assert_eq!(page.shown(), first);
    // Class, seed and truncation.
    page.after("document.querySelectorAll('#classes button')[3].click()");
    check_gray(&page.shown(), &page.pictures(&[page.seed(0)], &[2]));
    page.after("(s => { s.value = 41; s.dispatchEvent(new Event('change')) })(document.getElementById('seed'))");
    check_gray(&page.shown(), &page.pictures(&[page.seed(41)], &[2]));
    page.slide("truncation", 0.5);
    let within = NORMAL.sample_within(0.5, 1, &mut Rng::stream(41, "generate"), &Device::Cpu).unwrap();
    check_gray(&page.shown(), &page.pictures(&within.to_vec2().unwrap(), &[2]));
    page.check_silence();
}

#[test]
fn clicks_pin_samples_and_the_walk_plays() {
    let Some(mut page) = open(model(NORMAL, &images(1)), [1280, 900]) else { return };
    for tile in [4, 9] {
        page.tab.value(&format!("document.querySelectorAll('#grid button')[{tile}].click()"));
    }
    assert_eq!(page.tab.value("document.querySelectorAll('#pins li').length"), 2);
    assert_eq!(page.tab.value("document.getElementById('walk').hidden"), false);
    page.tab.wait("document.getElementById('caption').textContent.startsWith('Seed 9')");
    let slide = "(s => { s.value = 0.25; s.dispatchEvent(new Event('input')) })(document.getElementById('between'))";
    page.tab.value(slide);
    page.tab.wait("document.getElementById('caption').textContent.startsWith('25% from pinned 1')");
    page.tab.wait("!explorer.pending");
    let z = gan_core::slerp(&page.seed(4), &page.seed(9), 0.25);
    check_gray(&page.shown(), &page.pictures(&[z], &[1]));
    page.tab.value("document.getElementById('play').click()");
    assert_eq!(page.tab.value("document.getElementById('play').textContent"), "Pause");
    page.tab.wait("explorer.walk.position > 1.2");
    page.tab.value("document.getElementById('play').click()");
    assert_eq!(page.tab.value("explorer.playing"), Value::Null);
    page.tab.value("document.querySelectorAll('#pins .remove')[0].click()");
    assert_eq!(page.tab.value("document.getElementById('walk').hidden"), true);
    page.check_silence();
}

#[test]
fn images_of_every_number_of_channels_are_shown() {
    let latent = Latent { distribution: Distribution::Uniform, ..NORMAL };
    for (channels, own) in [(2, 1), (3, 3), (4, 4)] {
        let Some(mut page) = open(model(latent, &images(channels)), [390, 844]) else { return };
        let found = page.bytes("[...explorer.generator.samples(explorer.generator.drawn(5, 0, 1), Uint32Array.of(1))]");
        let expected = page.pictures(&[page.seed(5)], &[1]);
        for (found, expected) in found.chunks_exact(4).zip(expected.chunks_exact(own)) {
            let is_near = |c: usize| found[c].abs_diff(expected[if own == 1 { 0 } else { c }]) <= 1;
            assert!((0..own.max(3)).all(is_near), "{channels} channels: {found:?} {expected:?}");
        }
        assert_eq!(page.tab.value("document.documentElement.scrollWidth <= innerWidth"), true);
        page.check_silence();
    }
}

#[test]
fn points_are_a_scatter_plot() {
    let latent = Latent { dim: 2, distribution: Distribution::Uniform, truncation: None };
    let mut model = model(latent, r#"[{"dense": 16}, {"leaky_relu": 0.2}, {"dense": 2}]"#);
    model.description.data.units = vec![[-50.0, 50.0], [10.0, 2510.0]];
    let Some(mut page) = open(model, [1280, 900]) else { return };
    let found = numbers(&page.tab.value("[...explorer.view.points].slice(0, 2048)"));
    let z = latent.sample(1024, &mut Rng::stream(0, "generate"), &Device::Cpu).unwrap().to_vec2().unwrap();
    let expected: Vec<Vec<f32>> = page.samples(&z, &[]).to_vec2().unwrap();
    for (found, point) in found.chunks_exact(2).zip(&expected) {
        let x = -50.0 + (f64::from(point[0]) + 1.0) * 50.0;
        let y = 10.0 + (f64::from(point[1]) + 1.0) * 1250.0;
        assert!((found[0] - x).abs() < 1e-3 && (found[1] - y).abs() < 1e-2, "{found:?} {x} {y}");
    }
    page.slide("direction-0", 1.0);
    assert_ne!(numbers(&page.tab.value("[...explorer.view.points].slice(0, 2048)")), found);
    page.tab.value("document.getElementById('sample').click()");
    assert_eq!(page.tab.value("document.querySelectorAll('#pins li').length"), 1);
    page.check_silence();
}

#[test]
fn controls_have_names_and_keys_work() {
    let Some(mut page) = open(model(NORMAL, &images(1)), [1280, 900]) else { return };
    let reached =
        "(e => e.labels?.[0]?.textContent || e.getAttribute('aria-label') || e.textContent)(document.activeElement)";
    let mut names = Vec::new();
    for _ in 0..30 {
        page.tab.press("Tab");
        names.push(page.tab.value(reached).as_str().unwrap_or_default().trim().to_string());
    }
    let wanted =
        ["Skip to the sample", "Colours: system", "Pin", "Save as PNG", "Seed", "Class class 1", "Truncation", "Reset"];
    assert!(wanted.iter().all(|name| names.iter().any(|found| found == name)), "{names:?}");
    assert!(names.iter().any(|name| name.starts_with("Direction 1")), "{names:?}");
    page.tab.value("document.querySelector('#grid button').focus()");
    page.tab.press("ArrowRight");
    let label = page.tab.value("document.activeElement.getAttribute('aria-label')");
    assert_eq!(label, "Pin the sample of seed 1, class class 1");
    page.tab.press("p");
    assert_eq!(page.tab.value("document.querySelectorAll('#pins li').length"), 1);
    let before = page.tab.value("document.getElementById('seed').value");
    page.tab.press("r");
    assert_ne!(page.tab.value("document.getElementById('seed').value"), before);
    page.check_silence();
}

#[test]
fn titles_are_text_and_injected_scripts_do_not_run() {
    let Some(mut page) = open(model(NORMAL, &images(1)), [800, 600]) else { return };
    assert_eq!(page.tab.value("document.querySelector('h1').textContent"), "A <b>made</b> run generator");
    let html = std::fs::read_to_string(&page.file).unwrap();
    let slipped = "<script>window.broken = 1</script><img src=\"https://example.org/x.png\" alt=\"\">";
    std::fs::write(&page.file, html.replacen("<header>", &format!("{slipped}<header>"), 1)).unwrap();
    page.tab.go(&page.file.clone(), [800, 600]);
    assert_eq!(page.tab.value("window.broken === undefined"), true);
}

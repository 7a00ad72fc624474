//! `gan evaluate` of folders and arrays: the size at which images are compared, the number of images, and invalid sources.

use crate::common::{Finished, SMALL, WorkDir};
use candle_core::Device;
use gan_base::Rng;
use gan_core::weights::{Classifier, Resize};
use gan_core::{Init, Layer, Network, weights};
use gan_kernels::fused::Reuse;
use image::{Rgb, RgbImage};
use serde_json::Value;
use std::fs;

/// Writes `count` PNG files of `side`×`side` into `folder`: one color each, with a checkerboard of single pixels that adds and subtracts
/// `amplitude`. Shrinking to half the size removes the checkerboard.
fn checkerboards(dir: &WorkDir, folder: &str, count: u32, side: u32, amplitude: i32) {
    fs::create_dir_all(dir.path(folder)).expect("a folder");
    for n in 0..count {
        let colour = [n * 37 % 90, n * 53 % 90, n * 71 % 90].map(|part| part as i32 + 80);
        let pixel = |x: u32, y: u32| {
            let sign = if (x + y).is_multiple_of(2) { 1 } else { -1 };
            Rgb(colour.map(|part| (part + sign * amplitude) as u8))
        };
        RgbImage::from_fn(side, side, pixel).save(dir.path(folder).join(format!("{n:03}.png"))).expect("a PNG");
    }
}

/// Writes a classifier for images of `side`×`side` that resizes its input: a convolution over 2×2 windows.
fn windows(dir: &WorkDir, side: usize) {
    let layers: Vec<Layer> = serde_json::from_str(&format!(
        r#"[{{"conv": 4, "kernel": 2, "stride": {}}}, {{"leaky_relu": 0.2}}, "flatten", {{"dense": 2}}]"#,
        side / 2
    ))
    .expect("layers");
    let (input, mut rng) = (vec![3, side, side], Rng::new(5));
    let network = Network::new("windows", &input, &layers, Init::He, Reuse::Never, &mut rng, &Device::Cpu).unwrap();
    let description = Classifier {
        format: weights::FORMAT,
        network: "classifier".into(),
        input,
        layers,
        features_before: None,
        resize: Resize::Bilinear,
        classes: vec!["a".into(), "b".into()],
        data: "none".into(),
        accuracy: 0.0,
        seed: 5,
        library: "0".into(),
    };
    let bytes = weights::to_bytes(network.params(), &description).expect("a weight file");
    fs::write(dir.path("windows.safetensors"), bytes).expect("a file");
}

fn card(dir: &WorkDir, line: &str) -> Value {
    serde_json::from_slice(&dir.succeeds(&format!("{line} --json")).stdout).expect("a card")
}

fn value(card: &Value, metric: &str) -> f64 {
    let figures = card["figures"].as_array().expect("figures");
    let figure = figures.iter().find(|figure| figure["metric"] == metric);
    figure.unwrap_or_else(|| panic!("no {metric} in {card}"))["value"].as_f64().expect("a value")
}

/// Writes a `.npy` file with this `descr`, shape and bytes.
fn npy(dir: &WorkDir, name: &str, descr: &str, shape: &str, data: &[u8]) {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let header = format!("{header:<117}\n");
    let head = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat();
    fs::write(dir.path(name), [head, data.to_vec()].concat()).expect("a file");
}

fn f4(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_le_bytes).collect()
}

#[test]
fn a_network_that_resizes_gets_images_in_their_original_size() {
    let dir = WorkDir::new();
    checkerboards(&dir, "plain", 16, 128, 0);
    checkerboards(&dir, "checked", 16, 128, 60);
    windows(&dir, 128);
    let line = "evaluate checked --data plain --embedder windows.safetensors --metrics fd_classifier";
    let own = card(&dir, line);
    let shrunk = card(&dir, &format!("{line} --set data.size=64"));
    assert!(
        value(&own, "fd_classifier") > 0.1 && value(&shrunk, "fd_classifier") < 0.01 * value(&own, "fd_classifier"),
        "{own} {shrunk}"
    );
    assert_eq!(own["sizes"], serde_json::json!({"smallest": [128, 128], "largest": [128, 128]}));
    assert_eq!(own["reference"]["sizes"], own["sizes"]);
    let resized = serde_json::json!({"size": [64, 64], "how": "bilinear, centre crop"});
    assert_eq!([&shrunk["sizes"]["resized"], &shrunk["reference"]["sizes"]["resized"]], [&resized; 2]);
    let text = dir.succeeds(&format!("{line} --set data.size=64"));
    assert!(
        text.text().contains("Real size      128×128, resized to 64×64 (bilinear, centre crop)"),
        "{}",
        text.text()
    );
    let text = dir.succeeds(line);
    assert!(text.text().contains("Sample size    128×128\n") && !text.text().contains("resized to"), "{}", text.text());
}

#[test]
fn small_images_and_images_of_many_sizes_are_compared() {
    let dir = WorkDir::new();
    checkerboards(&dir, "small", 12, 32, 0);
    checkerboards(&dir, "also-small", 12, 32, 40);
    dir.succeeds("evaluate small --data also-small");
    // A network that needs one size: the larger images are resized to the smaller size, and the card records it.
    checkerboards(&dir, "large", 12, 96, 0);
    for (samples, real, resized) in [("small", "large", "reference"), ("large", "small", "samples")] {
        let card = card(&dir, &format!("evaluate {samples} --data {real} --metrics fd_thumbnails"));
        let (large, small) = match resized {
            "reference" => (&card["reference"]["sizes"], &card["sizes"]),
            _ => (&card["sizes"], &card["reference"]["sizes"]),
        };
        assert_eq!(large["resized"]["size"], serde_json::json!([32, 32]), "{card}");
        assert!(small.get("resized").is_none() && value(&card, "fd_thumbnails") < 0.01, "{card}");
    }
    checkerboards(&dir, "mixed/a", 6, 40, 0);
    checkerboards(&dir, "mixed/b", 6, 64, 0);
    windows(&dir, 32);
    let own = card(&dir, "evaluate mixed --data small --embedder windows.safetensors --metrics fd_classifier");
    assert_eq!(own["sizes"], serde_json::json!({"smallest": [40, 40], "largest": [64, 64]}));
    assert_eq!(own["samples"], 12);
    let one = card(&dir, "evaluate mixed --data large --metrics fd_thumbnails");
    assert_eq!(one["sizes"]["resized"]["size"], serde_json::json!([40, 40]));
}

#[test]
fn a_reference_is_used_completely_and_not_as_training_data() {
    let dir = WorkDir::new();
    checkerboards(&dir, "these", 33, 16, 0);
    checkerboards(&dir, "same", 33, 16, 0);
    let all = card(&dir, "evaluate these --data same");
    assert_eq!((all["reference"]["samples"].as_u64(), all["samples"].as_u64()), (Some(33), Some(33)));
    assert_eq!((all["reference"]["path"].as_str(), all["reference"]["split"].as_str()), (Some("same"), Some("all")));
    assert!(
        value(&all, "fd_texture").abs() < 1e-6 && value(&all, "precision") == 1.0 && value(&all, "coverage") == 1.0,
        "{all}"
    );
    assert!((value(&all, "diversity") - 1.0).abs() < 1e-6 && value(&all, "swd") < 1e-6, "{all}");
    let figures = all["figures"].as_array().expect("figures");
    assert!(figures.iter().all(|figure| figure.get("floor").is_none()), "{all}");
    let text = dir.succeeds("evaluate these --data same");
    assert!(text.text().contains("33 of same (all)") && !text.text().contains("training data ("), "{}", text.text());
    assert!(text.text().contains("not measured: memorisation, near_copies"), "{}", text.text());
    // The floor uses halves of the reference, but the comparison still uses all of it.
    let floor = card(&dir, "evaluate these --data same --floor");
    assert_eq!(floor["reference"]["hash"], all["reference"]["hash"]);
    assert_eq!(value(&floor, "fd_texture"), value(&all, "fd_texture"));
    assert!(floor["figures"][0]["floor"].as_f64().expect("a floor") > 0.0, "{floor}");
    dir.gan("evaluate these --data same --metrics near_copies").expect(2, &["near_copies", "training data"]);
    // A split that is named is used.
    let part =
        card(&dir, "evaluate these --data mnist --set data.split=test --metrics fd_thumbnails --embedder thumbnails");
    assert_eq!(
        (part["reference"]["samples"].as_u64(), part["reference"]["split"].as_str()),
        (Some(10_000), Some("test"))
    );
}

#[test]
fn a_run_on_a_folder_is_compared_with_all_of_its_images() {
    let dir = WorkDir::new();
    checkerboards(&dir, "real", 33, 28, 0);
    dir.succeeds(&format!("train {SMALL} --set data.name=folder --set data.dir=real --steps 2 --out run"));
    let card = card(&dir, "evaluate run --samples 40");
    let reference = &card["reference"];
    assert_eq!((reference["samples"].as_u64(), reference["split"].as_str()), (Some(33), Some("training data")));
    assert_eq!(reference["floor_split"].as_str(), Some("one random half against the other"));
    assert!(card["figures"][0]["floor"].as_f64().is_some_and(|floor| floor > 0.0), "{card}");
    // Copies of all of the images are searched.
    assert!(value(&card, "memorisation") > 0.0 && value(&card, "near_copies") >= 0.0, "{card}");
}

#[test]
fn metrics_that_need_more_images_are_skipped_with_a_note() {
    let dir = WorkDir::new();
    checkerboards(&dir, "real", 33, 16, 0);
    checkerboards(&dir, "five", 5, 16, 0);
    checkerboards(&dir, "two", 2, 16, 0);
    checkerboards(&dir, "one", 1, 16, 0);
    let note = |card: &Value, words: &str| {
        let warnings = card["warnings"].as_array().expect("notes");
        assert!(warnings.iter().any(|warning| warning.as_str().expect("text").contains(words)), "no {words} in {card}");
    };
    let few = card(&dir, "evaluate real --data five");
    assert!(value(&few, "fd_texture") >= 0.0 && value(&few, "kid").is_finite());
    note(&few, "not measured: precision, recall, density, coverage: 5 real samples are too few, at least 6 are needed");
    let few = card(&dir, "evaluate two --data real");
    note(&few, "not measured: precision, recall, density, coverage: 2 generated samples are too few");
    let few = card(&dir, "evaluate real --data one");
    note(&few, "1 real sample is too few, at least 2 are needed");
    dir.gan("evaluate two --data real --metrics coverage").expect(1, &["2 generated samples are too few"]);
}

#[test]
fn arrays_are_checked_before_they_are_compared() {
    let dir = WorkDir::new();
    checkerboards(&dir, "real", 12, 8, 20);
    let ramp = || (0..12 * 3 * 64).map(|i| (i % 255) as f32);
    npy(&dir, "nhwc.npy", "<f4", "(12, 8, 8, 3)", &f4(ramp().map(|_| 0.0)));
    npy(&dir, "two.npy", "<f4", "(18, 2, 8, 8)", &f4(ramp().map(|_| 0.0)));
    npy(&dir, "bytes-as-floats.npy", "<f4", "(12, 3, 8, 8)", &f4(ramp()));
    npy(&dir, "nan.npy", "<f4", "(12, 3, 8, 8)", &f4(ramp().map(|_| f32::NAN)));
    npy(&dir, "int.npy", "<i8", "(12, 3, 8, 8)", &vec![0; 8 * 12 * 3 * 64]);
    npy(&dir, "points.npy", "<f4", "(12, 2)", &f4((0..24).map(|i| i as f32)));
    npy(&dir, "bytes.npy", "|u1", "(12, 3, 8, 8)", &ramp().map(|x| x as u8).collect::<Vec<_>>());
    npy(&dir, "half.npy", "<f4", "(12, 3, 8, 8)", &f4(ramp().map(|x| x / 255.0)));
    npy(&dir, "right.npy", "<f4", "(12, 3, 8, 8)", &f4(ramp().map(|x| (x - 127.5) / 127.5)));
    fs::write(dir.path("several.npz"), b"PK\x03\x04 and more").expect("a file");
    fs::copy(dir.path("several.npz"), dir.path("disguised")).expect("a copy");
    for (name, words) in [
        ("nhwc.npy", "it looks like [N, H, W, C]: transpose it with x.transpose(0, 3, 1, 2)"),
        ("two.npy", "found an array of shape [18, 2, 8, 8], expected [N, C, H, W] with C = 1 (gray), 3 (RGB) or 4"),
        ("bytes-as-floats.npy", "found numbers from 0 to 254, expected numbers from -1 to 1; they look like bytes"),
        ("nan.npy", "found NaN in image 0"),
        ("int.npy", "found int64, expected floating point numbers from -1 to 1, or uint8"),
        ("points.npy", "found an array of shape [12, 2], expected [N, C, H, W]"),
        ("several.npz", "a .npz holds several arrays; save one with np.save"),
        ("disguised", "a .npz holds several arrays; save one with np.save"),
    ] {
        let finished = dir.gan(&format!("evaluate {name} --data real"));
        finished.expect(1, &[&format!("error: {name}: "), words]);
        assert_eq!(finished.stderr.matches(name).count(), 1, "{}", finished.stderr);
    }
    let of = |name: &str| card(&dir, &format!("evaluate {name} --data real --metrics fd_thumbnails,swd"));
    let (bytes, right, half) = (of("bytes.npy"), of("right.npy"), of("half.npy"));
    assert!(
        (value(&bytes, "fd_thumbnails") - value(&right, "fd_thumbnails")).abs() < 1e-5 * value(&right, "fd_thumbnails"),
        "{bytes} {right}"
    );
    assert!(right.get("warnings").is_none_or(|notes| !notes.to_string().contains("[0, 1]")), "{right}");
    assert!(half["warnings"].to_string().contains("it looks like [0, 1]"), "{half}");
    // Gray images against gray digits; the card has their size.
    npy(&dir, "rgb.npy", "|u1", "(12, 3, 28, 28)", &vec![9; 12 * 3 * 784]);
    dir.gan("evaluate rgb.npy --data mnist").expect(2, &["rgb.npy: has images of 3 channels", "mnist have 1"]);
}

#[test]
fn missing_and_unsuitable_sources_are_named() {
    let dir = WorkDir::with_generator();
    checkerboards(&dir, "real", 12, 8, 20);
    fs::create_dir_all(dir.path("run/samples")).expect("a folder");
    fs::write(dir.path("run/config.toml"), "# A run of gan.\n").expect("a file");
    checkerboards(&dir, "run/samples", 3, 8, 20);
    checkerboards(&dir, "run/made", 12, 8, 20);
    for (line, words) in [
        ("evaluate nosuchrun", "nosuchrun: there is no such file or folder: name a run folder"),
        ("evaluate nosuchrun --data real", "nosuchrun: there is no such file or folder"),
        ("evaluate no/such.safetensors", "no/such.safetensors: there is no such file or folder"),
        ("evaluate run/samples --data real", "run/samples: holds pictures that the run"),
        ("evaluate real --data run/samples", "run/samples: holds pictures that the run"),
        ("evaluate real/000.png --data real", "real/000.png: is one image"),
        ("evaluate real --data run", "run: is a run, which has no images but its own"),
        ("evaluate real --data real --metrics fud", "unknown metric: expected one of fd_digits"),
        ("evaluate real --data real --metrics FD-DIGIT", "did you mean \"fd_digits\"?"),
        (
            "evaluate generator.safetensors --data ring",
            "generator.safetensors: makes samples [1, 28, 28], but ring has points",
        ),
    ] {
        let finished: Finished = dir.gan(line);
        finished.expect(2, &[words]);
        let parts: Vec<&str> = finished.stderr.trim_end().split(": ").collect();
        assert!(parts.windows(2).all(|pair| pair[0] != pair[1]), "said twice: {}", finished.stderr);
    }
    let card = card(&dir, "evaluate run/made --data real --metrics FD-Thumbnails,Kid");
    assert_eq!(card["figures"].as_array().map(Vec::len), Some(2));
}

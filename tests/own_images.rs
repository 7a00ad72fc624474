//! `gan train FOLDER`: what it finds and chooses, for how long it trains, and what it refuses.

use crate::common::{WorkDir, metrics};
use image::{Rgb, RgbImage};
use std::fs;

/// Networks that train in an instant.
const NARROW: &str = "--threads 1 --set generator.width=2 --set discriminator.width=2 --set evaluate.samples=100";

/// Writes `count` different images of 40×32 into `folder`.
fn images(dir: &WorkDir, folder: &str, count: u32) {
    fs::create_dir_all(dir.path(folder)).unwrap();
    for n in 0..count {
        let pixel = |x: u32, y: u32| Rgb([(x * 6 + n * 37) as u8, (y * 8) as u8, ((x * y + 11 * n) % 256) as u8]);
        RgbImage::from_fn(40, 32, pixel).save(dir.path(folder).join(format!("{n}.png"))).unwrap();
    }
}

#[test]
fn a_folder_is_surveyed_and_trained_for_a_number_of_images() {
    let dir = WorkDir::new();
    images(&dir, "photos", 70);
    fs::copy(dir.path("photos/3.png"), dir.path("photos/copy.png")).unwrap();
    fs::write(dir.path("photos/broken.png"), b"\x89PNG\r\n\x1a\nnothing").unwrap();
    let finished = dir.succeeds(&format!("train photos --budget 1kimg {NARROW} --out run"));
    for words in [
        "photos: 71 color images, all 40×32",
        "1 exact copy of others",
        "1 unreadable file left out, e.g. broken.png",
        "the recipe own-images",
        "data.size=[32, 32]",
        "half of the images are at most 32 pixels wide or high",
        "70 different images are few",
        "16 steps will take about",
    ] {
        assert!(finished.stderr.contains(words), "{words}: {}", finished.stderr);
    }
    let lines = metrics(&dir.path("run"));
    // Evaluations have lines of their own.
    let last = lines.iter().rev().find(|line| line["rt"].is_number()).expect("a line of a step");
    assert!(last["step"].as_u64() >= Some(15) && last["augment"].is_number(), "{last}");
    let config = fs::read_to_string(dir.path("run/config.toml")).unwrap();
    assert!(config.contains("steps = 16") && config.contains("preset = \"own-images\""), "{config}");
    assert!(dir.path("run/generator-best.safetensors").is_file());
    // Sheets after a half, a quarter, … of the interval as well; here the interval is one step.
    assert!(dir.path("run/samples").read_dir().unwrap().count() >= 16);
    dir.succeeds("train run --resume --steps 18");
}

#[test]
fn a_dry_run_prints_settings_that_train_the_same() {
    let dir = WorkDir::new();
    for class in ["cats", "dogs"] {
        images(&dir, &format!("pets/{class}"), 60);
    }
    let plan = dir.succeeds(&format!("train pets --size 16 --classes --budget 2s {NARROW} --dry-run"));
    assert!(plan.stderr.contains("2 classes: cats 60, dogs 60"), "{}", plan.stderr);
    let text = String::from_utf8(plan.stdout).expect("UTF-8");
    let settings: toml::Table = text.parse().expect("TOML");
    assert_eq!(settings["generator"]["classes"].as_integer(), Some(2));
    assert!(!dir.path("runs").exists(), "a dry run writes nothing");
    fs::write(dir.path("mine.toml"), &text).unwrap();
    dir.succeeds("train mine.toml --steps 2 --out run");
    dir.succeeds("generate run --class dogs --count 2 --out dogs.png");
    let hint = dir.succeeds(&format!("train pets --size 16 --budget 64img {NARROW} --dry-run"));
    assert!(hint.stderr.contains("--classes for a generator that makes each on demand"), "{}", hint.stderr);
}

#[test]
fn a_run_begins_with_another_ones_weights() {
    let dir = WorkDir::new();
    images(&dir, "photos", 70);
    dir.succeeds(&format!("train photos --size 16 --budget 256img {NARROW} --out first"));
    let second = dir.succeeds(&format!("-v train photos --size 16 --budget 128img {NARROW} --from first --out second"));
    assert!(
        second.stderr.contains("begins with 100 % of the generator and 100 % of the discriminator"),
        "{}",
        second.stderr
    );
    dir.gan(&format!("train photos --budget 128img {NARROW} --from nowhere"))
        .expect(2, &["train.from", "nowhere does not exist"]);
}

#[test]
fn what_cannot_be_learned_is_refused_with_a_reason() {
    let dir = WorkDir::new();
    fs::create_dir(dir.path("empty")).unwrap();
    images(&dir, "one", 1);
    images(&dir, "same", 1);
    for n in 1..9 {
        fs::copy(dir.path("same/0.png"), dir.path(&format!("same/{n}.png"))).unwrap();
    }
    for (line, words) in [
        ("train empty", &["empty", "holds neither images nor a run"][..]),
        ("train one", &["holds one image"]),
        ("train same", &["holds 9 images, which are all the same"]),
        ("train one --budget soon", &["--budget", "such as 30m", "soon"]),
        ("train one --recipe mnist", &["--recipe mnist", "own-images, r3gan-images"]),
        ("train ring2d --size 32", &["--size", "is for a folder of images"]),
        ("train one --classes", &["holds one image"]),
    ] {
        dir.gan(line).expect(2, words);
        assert!(!dir.path("runs").exists(), "{line}");
    }
}

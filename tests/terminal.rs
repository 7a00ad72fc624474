//! Names from files and from the command line cannot send control sequences to the terminal.
#![cfg(unix)]

use crate::common::{Finished, SMALL, WorkDir};
use image::{Rgb, RgbImage};
use std::fs;

/// Changes the color, rings the bell, returns to the line's start, and reverses the writing direction.
const EVIL: &str = "x\u{1b}[31m\u{7}\r\u{9b}1m\u{202e}y";

fn run_gan(dir: &WorkDir, args: &[&str]) -> Finished {
    Finished::of(&mut dir.program(env!("CARGO_BIN_EXE_gan"), args.iter().copied()))
}

#[track_caller]
fn is_harmless(finished: &Finished) {
    for text in [finished.text(), &finished.stderr] {
        let steering = |c: char| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}';
        assert!(!text.contains(steering), "{text:?}");
    }
}

#[test]
fn names_of_files_folders_classes_and_packs_are_escaped() {
    let dir = WorkDir::new();
    let data = dir.path(EVIL);
    for class in ["cat", EVIL] {
        fs::create_dir_all(data.join(class)).expect("a folder");
        for n in 0..4 {
            RgbImage::from_pixel(8, 8, Rgb([n * 40, 9, 9]))
                .save(data.join(class).join(format!("{n}.png")))
                .expect("a PNG");
        }
    }
    fs::write(data.join(EVIL).join(format!("{EVIL}.png")), "no image").expect("a file");
    let shown = run_gan(&dir, &["data", "inspect", EVIL, "--size", "8"]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert!(shown.text().contains("x\\u{1b}[31m") && shown.text().contains("\\u{202e}y"), "{}", shown.text());
    assert!(shown.stderr.contains("\\u{1b}[31m"), "no warning about the file: {}", shown.stderr);
    is_harmless(&shown);
    let json = run_gan(&dir, &["data", "inspect", EVIL, "--size", "8", "--json"]);
    is_harmless(&json);
    let value: serde_json::Value = serde_json::from_str(json.text()).expect("JSON");
    assert!(value["classes"].as_array().expect("a list").iter().any(|class| class["name"] == EVIL), "{value}");
    let pack = format!("{EVIL}.ganpack");
    let packed = run_gan(&dir, &["data", "pack", EVIL, &pack, "--size", "8"]);
    assert_eq!(packed.code, Some(0), "{}", packed.stderr);
    is_harmless(&packed);
    is_harmless(&run_gan(&dir, &["data", "inspect", &pack]));
}

#[test]
fn wrong_arguments_are_escaped() {
    let dir = WorkDir::new();
    for args in [
        &["generate", EVIL][..],
        &["train", EVIL],
        &["train", "dcgan-mnist", "--steps", EVIL],
        &[EVIL],
        &["train", "dcgan-mnist", "--set", EVIL],
        &["train", "dcgan-mnist", "--device", EVIL],
        &["preset", "show", EVIL],
        &["generate", "x.safetensors", "--out", EVIL],
    ] {
        let finished = run_gan(&dir, args);
        assert_eq!(finished.code, Some(2), "{args:?}: {}", finished.stderr);
        is_harmless(&finished);
        assert!(
            finished.stderr.contains("\\r\\u{9b}1m") || args.contains(&"x.safetensors"),
            "{args:?}: {}",
            finished.stderr
        );
    }
}

#[test]
fn names_of_settings_and_runs_are_escaped() {
    let dir = WorkDir::new();
    let words: Vec<&str> = SMALL.split_whitespace().collect();
    let trained = run_gan(&dir, &[&["train"], &words[..], &["--steps", "1", "--out", EVIL]].concat());
    assert_eq!(trained.code, Some(0), "{}", trained.stderr);
    is_harmless(&trained);
    let config = dir.path(EVIL).join("config.toml");
    let text = fs::read_to_string(&config).expect("settings");
    let name = "\\u001b[31m\\u009b";
    let changed = text.replace("preset = \"dcgan-mnist\"", &format!("preset = \"{name}\""));
    assert_ne!(changed, text);
    fs::write(&config, &changed).expect("a file");
    for args in [&["summary", EVIL][..], &["report", EVIL], &["train", EVIL, "--resume", "--steps", "2"]] {
        is_harmless(&run_gan(&dir, args));
    }
    fs::write(&config, changed.replace("[train]", &format!("[train]\n\"{name}\" = 1"))).expect("a file");
    let refused = run_gan(&dir, &["summary", EVIL]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    is_harmless(&refused);
}

//! Names from files and from the command line cannot send control sequences to the terminal.
#![cfg(unix)]

use crate::common::{Place, Ran, SMALL};
use image::{Rgb, RgbImage};
use std::fs;

/// Changes the color, rings the bell, returns to the line's start, and reverses the writing direction.
const EVIL: &str = "x\u{1b}[31m\u{7}\r\u{9b}1m\u{202e}y";

fn ran(place: &Place, args: &[&str]) -> Ran {
    Ran::of(&mut place.program(env!("CARGO_BIN_EXE_gan"), args.iter().copied()))
}

#[track_caller]
fn is_harmless(ran: &Ran) {
    for text in [ran.text(), &ran.stderr] {
        let steering = |c: char| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}';
        assert!(!text.contains(steering), "{text:?}");
    }
}

#[test]
fn names_of_files_folders_classes_and_packs_are_escaped() {
    let place = Place::new();
    let data = place.path(EVIL);
    for class in ["cat", EVIL] {
        fs::create_dir_all(data.join(class)).expect("a folder");
        for n in 0..4 {
            RgbImage::from_pixel(8, 8, Rgb([n * 40, 9, 9]))
                .save(data.join(class).join(format!("{n}.png")))
                .expect("a PNG");
        }
    }
    fs::write(data.join(EVIL).join(format!("{EVIL}.png")), "no image").expect("a file");
    let shown = ran(&place, &["data", "inspect", EVIL, "--size", "8"]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert!(shown.text().contains("x\\u{1b}[31m") && shown.text().contains("\\u{202e}y"), "{}", shown.text());
    assert!(shown.stderr.contains("\\u{1b}[31m"), "no warning about the file: {}", shown.stderr);
    is_harmless(&shown);
    let json = ran(&place, &["data", "inspect", EVIL, "--size", "8", "--json"]);
    is_harmless(&json);
    let value: serde_json::Value = serde_json::from_str(json.text()).expect("JSON");
    assert!(value["classes"].as_array().expect("a list").iter().any(|class| class["name"] == EVIL), "{value}");
    let pack = format!("{EVIL}.ganpack");
    let packed = ran(&place, &["data", "pack", EVIL, &pack, "--size", "8"]);
    assert_eq!(packed.code, Some(0), "{}", packed.stderr);
    is_harmless(&packed);
    is_harmless(&ran(&place, &["data", "inspect", &pack]));
}

#[test]
fn wrong_arguments_are_escaped() {
    let place = Place::new();
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
        let ran = ran(&place, args);
        assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.stderr);
        is_harmless(&ran);
        assert!(ran.stderr.contains("\\r\\u{9b}1m") || args.contains(&"x.safetensors"), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn names_of_settings_and_runs_are_escaped() {
    let place = Place::new();
    let words: Vec<&str> = SMALL.split_whitespace().collect();
    let trained = ran(&place, &[&["train"], &words[..], &["--steps", "1", "--out", EVIL]].concat());
    assert_eq!(trained.code, Some(0), "{}", trained.stderr);
    is_harmless(&trained);
    let config = place.path(EVIL).join("config.toml");
    let text = fs::read_to_string(&config).expect("settings");
    let name = "\\u001b[31m\\u009b";
    let changed = text.replace("preset = \"dcgan-mnist\"", &format!("preset = \"{name}\""));
    assert_ne!(changed, text);
    fs::write(&config, &changed).expect("a file");
    for args in [&["summary", EVIL][..], &["report", EVIL], &["train", EVIL, "--resume", "--steps", "2"]] {
        is_harmless(&ran(&place, args));
    }
    fs::write(&config, changed.replace("[train]", &format!("[train]\n\"{name}\" = 1"))).expect("a file");
    let refused = ran(&place, &["summary", EVIL]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    is_harmless(&refused);
}

//! Folders of runs, complete and damaged, and their pages.

use super::*;
use crate::folder::Existing;
use gan_report::{Colour, Picture};
use gan_train::presets;
use std::fs;
use tempfile::TempDir;

/// Returns a finished run of 40 steps without training: settings, numbers, two sheets.
fn run() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut table = layering::from_preset(presets::find("dcgan-mnist").unwrap()).unwrap();
    layering::set(&mut table, "train.steps=40").unwrap();
    let config = layering::read(table).unwrap();
    RunFolder::create(dir.path(), &config, Existing::Keep).unwrap();
    let line = |step: u64| {
        format!(
            "{{\"step\":{step},\"epoch\":0,\"loss_d\":1.25,\"accuracy_d\":0.75,\"images_per_s\":128,\"fd_digits\":20.5}}\n"
        )
    };
    fs::write(dir.path().join("metrics.jsonl"), (1..=40).map(line).collect::<String>()).unwrap();
    sheet(dir.path(), "samples/step-0000020.png");
    sheet(dir.path(), "samples/step-0000040.png");
    dir
}

fn sheet(run: &Path, name: &str) {
    fs::create_dir_all(run.join(name).parent().unwrap()).unwrap();
    Picture::new(Colour::Grey, [2, 2], vec![7; 4]).unwrap().save_png(&run.join(name)).unwrap();
}

fn made(run: &TempDir) -> Page {
    page(run.path(), RunState::AtRest).unwrap()
}

#[test]
fn a_complete_run_has_a_complete_page() {
    let run = run();
    let page = made(&run);
    assert_eq!(page.notes, [""; 0]);
    let value = |name: &str| page.summary.iter().find(|row| row.0 == name).map(|row| row.1.as_str());
    assert_eq!((value("Steps"), value("Preset"), value("Seed")), (Some("40 of 40"), Some("dcgan-mnist"), Some("1")));
    // 40 batches of 64 images at 128 images a second.
    let batch: f64 = value("Batch").unwrap().parse().unwrap();
    assert_eq!(value("Time in steps"), Some(format!("about {}", duration(40.0 * batch / 128.0)).as_str()));
    let steps: Vec<u64> = page.sequences[0].frames.iter().map(|frame| frame.step).collect();
    assert_eq!((page.sequences[0].name.as_str(), steps), ("Samples", vec![20, 40]));
    assert_eq!(page.networks.len(), 2);
    assert_eq!(page.networks[0].totals[0], ("parameters".into(), "760,064 (2.90 MiB)".into()));
    assert!(
        page.cards.iter().any(|card| card.label == "Fréchet distance, digits features" && card.value == "20.5"),
        "{:?}",
        page.cards
    );
    assert!(page.cards.iter().any(|card| card.label == "Accuracy of D" && card.value == "0.750"));
    assert_eq!(page.html(), made(&run).html(), "the same folder gives the same page");
}

#[test]
fn figures_of_an_earlier_version_have_their_current_names() {
    let run = run();
    let line = "{\"step\":40,\"fid\":9.5,\"confident\":0.5}\n";
    fs::write(run.path().join("metrics.jsonl"), line).unwrap();
    let evaluation = r#"{"step": 40, "best": "fid", "card": {"subject": "x", "figures": [{"metric": "fid", "value": 9.5},
        {"metric": "confident", "value": 0.5}], "samples": 200, "seed": 1, "reference": {"data": "mnist", "split": "test", "samples": 9,
        "floor_split": "training samples", "hash": "00"}, "embedder": {"name": "digits", "hash": "00", "dim": 96}, "library": "0.1.0"}}"#;
    fs::write(run.path().join("evaluations.jsonl"), evaluation.replace('\n', "") + "\n").unwrap();
    let page = made(&run);
    let names: Vec<&str> = page.metrics.names().collect();
    assert_eq!(names, ["confidence", "fd_digits"]);
    let best = page.summary.iter().find(|row| row.0 == "Best Fréchet distance, digits features");
    assert_eq!(best.map(|row| row.1.as_str()), Some("9.50 at step 40"), "{:?}", page.summary);
}

#[test]
fn pictures_are_found_under_any_name() {
    let run = run();
    for name in ["zebra/step-0000001.png", "planes/step-0000010.png", "pictures/batch.png", "pictures/a <b>.png"] {
        sheet(run.path(), name);
    }
    sheet(run.path(), "zebra/other.png");
    let page = made(&run);
    let names: Vec<&str> = page.sequences.iter().map(|sequence| sequence.name.as_str()).collect();
    assert_eq!(names, ["Samples", "Features of D", "zebra"]);
    assert_eq!(page.sequences[2].frames.len(), 1);
    let captions: Vec<&str> = page.pictures.iter().map(|picture| picture.caption.as_str()).collect();
    assert_eq!(captions, ["A training batch, as D sees it.", "a <b>.png"]);
    assert!(page.html().contains("a &lt;b&gt;.png"));
}

#[test]
fn damaged_files_are_named_and_the_others_shown() {
    let run = run();
    let text = fs::read_to_string(run.path().join("metrics.jsonl")).unwrap();
    fs::write(run.path().join("metrics.jsonl"), text.replacen("{\"step\":7,", "{\"step\":7;", 1) + "{\"step\":41")
        .unwrap();
    fs::write(run.path().join("samples/step-0000020.png"), "no picture").unwrap();
    let page = made(&run);
    assert!(
        page.notes.iter().any(|note| note.contains("one line is damaged") && note.contains("line 7")),
        "{:?}",
        page.notes
    );
    assert_eq!(page.metrics.series("loss_d").len(), 39);
    assert!(page.html().contains("step-0000020.png is left out"));
}

#[test]
fn the_page_of_a_new_run_says_what_is_missing() {
    let run = run();
    fs::remove_file(run.path().join("metrics.jsonl")).unwrap();
    fs::remove_dir_all(run.path().join("samples")).unwrap();
    let page = page(run.path(), RunState::GoingOn).unwrap();
    for words in ["still going on", "metrics.jsonl cannot be read", "no samples yet"] {
        assert!(page.notes.iter().any(|note| note.contains(words)), "{words}: {:?}", page.notes);
    }
    assert!(page.html().contains("What is missing") && page.cards.is_empty());
}

#[test]
fn settings_of_another_version_are_shown_unchanged() {
    let run = run();
    let path = run.path().join("config.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text + "\n[holograms]\nevery = 3\n").unwrap();
    let page = made(&run);
    assert!(
        page.notes[0].contains("cannot use the run’s settings") && page.notes[0].contains("holograms"),
        "{:?}",
        page.notes
    );
    assert!(page.settings_toml.contains("[holograms]") && page.networks.is_empty());
    assert_eq!(page.summary[0].1, "40");
}

#[test]
fn a_folder_without_a_run_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let message = page(dir.path(), RunState::AtRest).unwrap_err().to_string();
    assert!(message.contains("holds no run"), "{message}");
}

#[test]
fn durations_are_rounded() {
    assert_eq!([4.24, 200.0, 7500.0].map(duration), ["4.2 s", "3 min 20 s", "2 h 05 min"]);
}

#[test]
fn the_rules_of_alarms_diagnose_a_run_without_alarms() {
    let run = run();
    let settings = run.path().join("config.toml");
    let text = fs::read_to_string(&settings).unwrap();
    let text = text.replacen("d_won = \"warn\"", "d_won = \"off\"", 1).replacen("steps = 40", "steps = 1000", 1);
    fs::write(&settings, text).unwrap();
    let line = |step: u64, accuracy: f64| {
        format!(
            "{{\"step\":{step},\"loss_d\":0.01,\"loss_g\":5,\"d_real\":0.99,\"d_fake_before\":0.01,\"d_fake_after\":0.01,\
             \"accuracy_d\":{accuracy},\"grad_norm_g\":0.1}}\n"
        )
    };
    let said = |accuracy: f64| {
        let lines: String = (1..=200).map(|step| line(step, accuracy)).collect();
        fs::write(run.path().join("metrics.jsonl"), lines).unwrap();
        let page = made(&run);
        assert_eq!(page.notes, [""; 0]);
        page.diagnoses.into_iter().filter(|d| d.text.contains("D has won")).collect::<Vec<_>>()
    };
    let found = said(1.0);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].severity, Severity::Warn);
    for words in ["Alarm at step 91, D has won", "over the last 90 steps", "turn this alarm off", "What helps: lower"] {
        assert!(found[0].text.contains(words), "{words}: {}", found[0].text);
    }
    // The limit is that of the alarm.
    assert!(said(0.98).is_empty());
}

//! Outputs that are accepted and outputs that are refused.

use super::*;
use crate::args::Usage;
use std::fs;
use tempfile::TempDir;

const GENERATE: [Form; 4] = [Form::Png, Form::Npy, Form::Folder, Form::Stdout];

fn place() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[track_caller]
fn refused(result: Result<Output>, words: &[&str]) {
    let message = result.unwrap_err().to_string();
    words.iter().for_each(|word| assert!(message.contains(word), "no \"{word}\" in {message}"));
}

#[test]
fn endings_are_compared_without_case() {
    let place = place();
    for (name, form) in [
        ("a.png", Form::Png),
        ("A.PNG", Form::Png),
        ("a.Npy", Form::Npy),
        (".png", Form::Png),
        ("images", Form::Folder),
        ("images.v2", Form::Folder),
        ("a.png/", Form::Folder),
        ("o.jpg/", Form::Folder),
        ("new/inner/images", Form::Folder),
    ] {
        let output = Output::new("--out", &place.path().join(name), &GENERATE).unwrap();
        assert_eq!(output.form, form, "{name}");
    }
    assert_eq!(Output::new("--out", Path::new("-"), &GENERATE).unwrap().form, Form::Stdout);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn known_endings_that_cannot_be_written_are_errors() {
    let place = place();
    let at = |name: &str| place.path().join(name);
    for name in
        ["o.jpg", "o.JPEG", "o.webp", "c.csv", "x.gif", "x.html", "w.safetensors", "v.mp4", "c.toml", "t.tar.gz"]
    {
        refused(Output::new("--out", &at(name), &GENERATE), &["--out", name, "FILE.png, FILE.npy, a folder or -"]);
    }
    refused(Output::new("--out", &at("a.npy"), &[Form::Png]), &["a.npy", "name FILE.png"]);
    refused(Output::new("--out", &at("walk"), &[Form::Gif, Form::Png]), &["walk", "FILE.gif or FILE.png"]);
    refused(Output::new("--out", &at("a.png/"), &[Form::Png]), &["a.png/", "folder"]);
    refused(Output::new("--out", Path::new("-"), &[Form::Png]), &["standard output", "FILE.png"]);
    assert!(check_folder_name("--out", &at("run.png")).is_err() && check_folder_name("--out", &at("run.png/")).is_ok());
    fs::create_dir(at("old.png")).unwrap();
    assert!(check_folder_name("--out", &at("old.png")).is_ok());
}

#[test]
fn files_of_another_kind_are_not_replaced() {
    let place = place();
    let at = |name: &str| place.path().join(name);
    let new = |name: &str| Output::new("--out", &at(name), &GENERATE);
    fs::write(at("letter.png"), "Dear all").unwrap();
    fs::create_dir(at("dir.png")).unwrap();
    fs::write(at("file"), "x").unwrap();
    refused(new("letter.png"), &["letter.png", "is there already and is no PNG"]);
    refused(new("dir.png"), &["dir.png: is a folder", "FILE.png"]);
    refused(new("file"), &["file: is a file"]);
    refused(new("file/"), &["is a file"]);
    fs::write(at("old.png"), b"\x89PNG\r\n\x1a\n...").unwrap();
    fs::write(at("empty.png"), b"").unwrap();
    assert!(new("old.png").is_ok() && new("empty.png").is_ok());
    refused(new("file/sheet.png"), &["sheet.png: cannot be written", "is a file"]);
    refused(new("none/sheet.png"), &["sheet.png: cannot be written", "does not exist"]);
}

#[test]
fn nonempty_folders_are_refused() {
    let place = place();
    let images = place.path().join("images");
    fs::create_dir(&images).unwrap();
    let new = || Output::new("--out", &images, &GENERATE);
    fs::write(images.join(".hidden"), "").unwrap();
    assert!(new().is_ok());
    fs::write(images.join("notes"), "").unwrap();
    refused(new(), &["images: is not empty", "notes", "new or an empty folder"]);
    ["0000.png", "0001.JPG"].iter().for_each(|name| fs::write(images.join(name), "").unwrap());
    refused(new(), &["images: holds 2 images already", "new or an empty folder"]);
}

#[test]
fn files_of_a_run_are_not_replaced() {
    let place = place();
    let run = place.path().join("run");
    fs::create_dir_all(run.join("samples")).unwrap();
    fs::write(run.join("config.toml"), "# A run of gan.").unwrap();
    for name in ["samples/new.png", "losses.png", "samples/more"] {
        refused(Output::new("--out", &run.join(name), &GENERATE), &["belongs to the run in", "another place"]);
    }
    refused(Output::new("--out", &run, &GENERATE), &["is the folder of a run"]);
    assert!(Output::new("--out", &run.join("mine.png"), &GENERATE).is_ok());
    let page = run.join("report.html");
    refused(Output::new("--out", &page, &[Form::Html]), &["belongs to the run"]);
    assert!(Output::replacing("--out", &page, &[Form::Html], Some(&page)).is_ok());
}

#[test]
fn outputs_must_differ_from_inputs_and_from_each_other() {
    let place = place();
    let at = |name: &str| place.path().join(name);
    fs::create_dir(at("data")).unwrap();
    ["a.png", "data/000.png"].iter().for_each(|name| fs::write(at(name), b"\x89PNG").unwrap());
    let png = |name: &str| Output::new("--out", &at(name), &[Form::Png]).unwrap();
    let apart = |out: &str, input: &str| png(out).keep_apart_from([at(input).as_path()]);
    for (out, input) in
        [("a.png", "a.png"), ("data/../a.png", "a.png"), ("data/000.png", "data"), ("data/new.png", "data")]
    {
        let error = apart(out, input).unwrap_err();
        assert!(error.is::<Usage>() && error.to_string().contains("--out"), "{error}");
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(at("a.png"), at("link.png")).unwrap();
        fs::hard_link(at("a.png"), at("hard.png")).unwrap();
        assert!(apart("link.png", "a.png").is_err() && apart("hard.png", "a.png").is_err());
    }
    assert!(apart("b.png", "a.png").is_ok() && apart("a.png", "data").is_ok() && apart("a.png", "none").is_ok());
    assert!(png("new.png").keep_apart_from_output(&png("data/../new.png")).is_err());
    assert!(png("new.png").keep_apart_from_output(&png("other.png")).is_ok());
}

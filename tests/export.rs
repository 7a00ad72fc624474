//! `gan export`: formats, networks, and protection of existing files.

use crate::bad_input::refused;
use crate::common::{SMALL, WorkDir, files};
use std::fs;

const FROM: &str = "export generator.safetensors";

#[test]
fn the_format_follows_the_option_or_the_ending() {
    let dir = WorkDir::with_generator();
    let finished = dir.succeeds(&format!("{FROM} --out g.onnx"));
    assert_eq!(finished.text(), "g.onnx\n");
    let onnx = fs::read(dir.path("g.onnx")).expect("a file");
    dir.succeeds(&format!("{FROM} --format onnx"));
    assert_eq!(fs::read(dir.path("generator.onnx")).expect("a file"), onnx);
    dir.succeeds(&format!("{FROM} --format onnx-uint8 --out bytes.onnx"));
    assert_ne!(fs::read(dir.path("bytes.onnx")).expect("a file"), onnx);
    let finished = dir.succeeds(&format!("{FROM} --out g.py"));
    assert_eq!(finished.text(), "g.py\ng.safetensors\n");
    let weights = fs::read(dir.path("generator.safetensors")).expect("a file");
    assert_eq!(fs::read(dir.path("g.safetensors")).expect("a file"), weights);
    let finished = dir.succeeds(&format!("{FROM} --out g.html"));
    assert_eq!(finished.text(), "g.html\n");
    let page = fs::read_to_string(dir.path("g.html")).expect("text");
    assert!(page.contains("Content-Security-Policy") && page.contains("mnist generator"), "a page");
    dir.succeeds(&format!("{FROM} --format html"));
    assert_eq!(fs::read_to_string(dir.path("generator.html")).expect("text"), page);
    // The weights of the source itself stay as they are.
    dir.succeeds(&format!("{FROM} --format pytorch"));
    assert_eq!(fs::read(dir.path("generator.safetensors")).expect("a file"), weights);
    // Results of earlier exports may be replaced.
    dir.succeeds(&format!("{FROM} --out g.onnx"));
    dir.succeeds(&format!("{FROM} --out g.py"));
}

#[test]
fn a_run_has_both_networks_and_a_weight_file_one() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} --steps 1 --out run"));
    dir.succeeds("export run --network generator --out g.onnx");
    dir.succeeds("export run --network discriminator --out d.onnx");
    dir.succeeds("export run --network discriminator --format pytorch");
    let source = fs::read_to_string(dir.path("discriminator.py")).expect("a file");
    assert!(
        source.contains("class Discriminator(nn.Module):") && source.contains("nn.Conv2d(1, 8, 4, stride=2"),
        "{source}"
    );
    // The weights beside the module are a weight file.
    dir.succeeds("export discriminator.safetensors --out again.onnx");
    assert_eq!(fs::read(dir.path("again.onnx")).expect("a file"), fs::read(dir.path("d.onnx")).expect("a file"));
    let words = ["discriminator.safetensors: holds a discriminator", "--network is generator", "run folder"];
    refused(&dir, "export discriminator.safetensors --network generator --out x.onnx", 2, &words);
    let words = ["generator.safetensors: holds a generator", "--network is discriminator", "name the run's folder"];
    refused(&dir, "export run/generator.safetensors --network discriminator --out x.onnx", 2, &words);
    refused(&dir, "export run --network discriminator --format onnx-uint8 --out x.onnx", 1, &["is for generators"]);
    refused(&dir, "export run --network discriminator --out d.html", 1, &["--format html is for generators"]);
}

#[test]
fn bad_exports_are_refused_and_leave_nothing() {
    let dir = WorkDir::with_generator();
    fs::write(dir.path("mine.py"), "print(1)").expect("a file");
    fs::write(dir.path("mine.onnx"), "not ONNX").expect("a file");
    fs::write(dir.path("mine.html"), "not a page").expect("a file");
    fs::write(dir.path("trained.safetensors"), fs::read(dir.path("generator.safetensors")).expect("a file"))
        .expect("a file");
    fs::create_dir(dir.path("folder")).expect("a folder");
    let before = files(&dir.path("."));
    for (line, code, words) in [
        (format!("{FROM} --format onx --out g.onnx"), 2, ["'onx'", "onnx-uint8"]),
        (FROM.to_string(), 2, ["--format", "expected one of onnx, pytorch, html, onnx-uint8"]),
        (format!("{FROM} --out g.png"), 2, ["--out g.png", "FILE.onnx, FILE.py or FILE.html"]),
        (format!("{FROM} --format pytorch --out g.onnx"), 2, ["--out g.onnx", "FILE.py"]),
        (format!("{FROM} --format onnx --out g.py"), 2, ["--out g.py", "FILE.onnx"]),
        (format!("{FROM} --out mine.py"), 2, ["--out mine.py", "it stays"]),
        (format!("{FROM} --out mine.onnx"), 2, ["--out mine.onnx", "it stays"]),
        (format!("{FROM} --out trained.py"), 2, ["--out trained.py", "would replace trained.safetensors"]),
        (format!("{FROM} --out folder"), 2, ["--out folder", "FILE.onnx, FILE.py or FILE.html"]),
        (format!("{FROM} --format html --out g.onnx"), 2, ["--out g.onnx", "FILE.html"]),
        (format!("{FROM} --out mine.html"), 2, ["--out mine.html", "it stays"]),
        (format!("{FROM} --out no/such.onnx"), 1, ["no/such.onnx", "does not exist"]),
        ("export folder --out g.onnx".into(), 2, ["folder", "holds no generator.safetensors"]),
        ("export missing --out g.onnx".into(), 2, ["missing", "there is no such file or folder"]),
        ("export mine.onnx --out g.onnx".into(), 1, ["mine.onnx", "is not a whole safetensors file"]),
    ] {
        refused(&dir, &line, code, &words);
        assert_eq!(files(&dir.path(".")), before, "{line}");
    }
}

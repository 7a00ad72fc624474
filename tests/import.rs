//! `gan import`: weights of PyTorch, the commands that take them, and refusals that leave nothing.

use crate::bad_input::refused;
use crate::common::{SMALL, WorkDir, files};
use std::fs;
use std::path::Path;

/// The layers of the fixtures' generator.
const NET: &str = r#"
input = [3, 1, 1]
layers = [
  { conv_transpose = 4, kernel = 2 }, { batch_norm = {} }, "relu",
  { conv_transpose = 2, kernel = 4, stride = 2, padding = 1, bias = false }, "tanh",
]
"#;

fn with_fixtures() -> WorkDir {
    let dir = WorkDir::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gan-import/tests/fixtures");
    for name in ["zip.pth", "checkpoint.pth", "dcgan.pth", "module.pth", "module_legacy.pth"] {
        fs::copy(fixtures.join(name), dir.path(name)).expect("a fixture");
    }
    fs::write(dir.path("net.toml"), NET).expect("a file");
    dir
}

#[test]
fn every_command_takes_an_imported_generator() {
    let dir = with_fixtures();
    let finished = dir.succeeds("import dcgan.pth --tutorial dcgan");
    assert_eq!(finished.text(), "dcgan.safetensors\n");
    for words in ["Matched", "by name", "1 conv_transpose", "main.0.weight", "are not in the file"] {
        assert!(finished.stderr.contains(words), "{}", finished.stderr);
    }
    dir.succeeds("generate dcgan.safetensors --count 4 --out sheet.png");
    dir.succeeds("interpolate dcgan.safetensors --out walk.gif --frames 4");
    dir.succeeds("export dcgan.safetensors --out g.onnx");
    let text = dir.succeeds("summary dcgan.safetensors").text().to_string();
    assert!(text.contains("conv_transpose 3") && text.contains("imported: the training is not known"), "{text}");
    let words = ["dcgan.safetensors: was imported", "name real data by --data"];
    refused(&dir, "evaluate dcgan.safetensors", 2, &words);
    // A weight file of gan can be imported too, and gives the same bytes again.
    dir.succeeds("import dcgan.safetensors --tutorial dcgan --out again.safetensors");
    let bytes = |name: &str| fs::read(dir.path(name)).expect("a file");
    assert_eq!(bytes("again.safetensors"), bytes("dcgan.safetensors"));
}

#[test]
fn a_checkpoint_and_a_preset() {
    let dir = with_fixtures();
    let finished = dir.succeeds("import checkpoint.pth --layers net.toml --out g.safetensors");
    assert_eq!(finished.text(), "g.safetensors\n");
    dir.succeeds("--quiet import module.pth --layers net.toml --out m.safetensors");
    let bytes = |name: &str| fs::read(dir.path(name)).expect("a file");
    assert_eq!(bytes("g.safetensors"), bytes("m.safetensors"));
    dir.succeeds(&format!("train {SMALL} --steps 1 --out run"));
    fs::copy(dir.path("run/config.toml"), dir.path("config.toml")).expect("a copy");
    dir.succeeds("import run/generator.safetensors --layers config.toml --out own.safetensors");
    let words = ["run/generator.safetensors", "expects", "the file has", "main.0.weight"];
    refused(&dir, "import run/generator.safetensors --preset dcgan-mnist --out x.safetensors", 1, &words);
}

#[test]
fn foreign_files_are_listed() {
    let dir = with_fixtures();
    let text = dir.succeeds("summary dcgan.pth").text().to_string();
    for words in [
        "dcgan.pth: a file by torch.save",
        "main.0.weight",
        "[5, 3, 4, 4]",
        "latent vectors of 5 numbers, widths 3, 2, images [1, 16, 16]",
        "import it: gan import dcgan.pth --tutorial dcgan\n",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let text = dir.succeeds("summary checkpoint.pth").text().to_string();
    for words in ["key netG_state_dict, 8 tensors", "--key netD_state_dict", "1 state of optimizers"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    refused(&dir, "summary zip.pth --set train.batch=3", 2, &["zip.pth", "leave out --set"]);
}

#[test]
fn bad_imports_are_refused_and_leave_nothing() {
    let dir = with_fixtures();
    let whole = fs::read(dir.path("zip.pth")).expect("a file");
    fs::write(dir.path("cut.pth"), &whole[..whole.len() / 2]).expect("a file");
    fs::write(dir.path("keras.h5"), b"\x89HDF\r\n\x1a\n").expect("a file");
    fs::write(dir.path("pointer.pth"), "version https://git-lfs.github.com/spec/v1\n").expect("a file");
    fs::write(dir.path("wrong.toml"), NET.replace("= 4, kernel = 2", "= 5, kernel = 2")).expect("a file");
    fs::write(dir.path("broken.toml"), "input = [3]\nlayers = [{ dens = 3 }]").expect("a file");
    fs::write(dir.path("there.safetensors"), "mine").expect("a file");
    fs::write(dir.path("zip.safetensors"), "mine").expect("a file");
    let before = files(&dir.path("."));
    for (line, code, words) in [
        ("import zip.pth", 2, ["--layers", "--tutorial"]),
        ("import zip.pth --layers net.toml --tutorial dcgan", 2, ["cannot be used with", "--tutorial"]),
        ("import missing.pth --layers net.toml", 2, ["missing.pth", "there is no such file"]),
        ("import zip.pth --layers no.toml --out x.safetensors", 2, ["no.toml", "there is no such file"]),
        ("import zip.pth --layers broken.toml --out x.safetensors", 2, ["broken.toml", "dens"]),
        ("import zip.pth --layers net.toml", 2, ["zip.safetensors", "--out"]),
        ("import zip.pth --layers net.toml --out there.safetensors", 2, ["there.safetensors", "it stays"]),
        ("import zip.pth --layers net.toml --out x.pth", 2, ["--out x.pth", "FILE.safetensors"]),
        (
            "import zip.pth --layers wrong.toml --out x.safetensors",
            1,
            ["layer 1 (conv_transpose, main.0.weight)", "up1.weight"],
        ),
        ("import module_legacy.pth --tutorial dcgan --out x.safetensors", 1, ["module_legacy.pth", "is not the DCGAN"]),
        (
            "import dcgan.pth --tutorial dcgan --network discriminator --out x.safetensors",
            2,
            ["holds a generator", "--network"],
        ),
        (
            "import checkpoint.pth --layers net.toml --key G --out x.safetensors",
            2,
            ["no state dict \"G\"", "netG_state_dict"],
        ),
        ("import cut.pth --layers net.toml --out x.safetensors", 1, ["cut.pth", "damaged or cut off"]),
        ("import keras.h5 --layers net.toml --out x.safetensors", 1, ["keras.h5", "HDF5"]),
        ("import pointer.pth --layers net.toml --out x.safetensors", 1, ["pointer.pth", "git lfs pull"]),
        ("summary keras.h5", 1, ["keras.h5", "HDF5"]),
    ] {
        refused(&dir, line, code, &words);
        assert_eq!(files(&dir.path(".")), before, "{line}");
    }
}

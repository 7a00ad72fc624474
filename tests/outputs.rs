//! Outputs of commands: accepted locations, and protection of existing files.

use crate::bad_input::{refused, refused_args};
use crate::common::{Finished, SMALL, WorkDir, files};
use gan_report::Picture;
use image::{Rgb, RgbImage};
use std::fs;

const GENERATE: &str = "generate generator.safetensors --count 2";

/// Returns a folder with a generator, an image `a.png` and a folder of images `data`.
fn dir_with_images() -> WorkDir {
    let dir = WorkDir::with_generator();
    fs::create_dir(dir.path("data")).expect("a folder");
    for name in ["a.png", "data/000.png", "data/001.png"] {
        RgbImage::from_pixel(28, 28, Rgb([90, 120, 200])).save(dir.path(name)).expect("a PNG file");
    }
    dir
}

#[test]
fn samples_are_never_mixed_with_older_ones() {
    let dir = WorkDir::with_generator();
    dir.succeeds(&format!("{GENERATE} --out images"));
    let words = ["--out images: holds 2 images already", "new or an empty folder"];
    refused(&dir, &format!("{GENERATE} --out images"), 2, &words);
    dir.succeeds(&format!("train {SMALL} --steps 1 --out run"));
    refused(&dir, &format!("{GENERATE} --out run"), 2, &["--out run: is the folder of a run"]);
    refused(&dir, &format!("{GENERATE} --out run/samples/more"), 2, &["belongs to the run"]);
    fs::create_dir(dir.path("empty")).expect("a folder");
    dir.succeeds(&format!("{GENERATE} --out empty"));
    assert_eq!(files(&dir.path("empty")), files(&dir.path("images")));
}

#[test]
fn the_ending_selects_the_output_format() {
    let dir = WorkDir::with_generator();
    dir.succeeds(&format!("{GENERATE} --out o.PNG"));
    dir.succeeds(&format!("{GENERATE} --out o.png"));
    assert_eq!(fs::read(dir.path("o.PNG")).expect("a sheet"), fs::read(dir.path("o.png")).expect("a sheet"));
    dir.succeeds(&format!("{GENERATE} --out o.Npy"));
    assert!(dir.path("o.Npy").is_file());
    for name in ["o.jpg", "o.webp", "c.csv"] {
        refused(&dir, &format!("{GENERATE} --out {name}"), 2, &[name, "FILE.png", "FILE.npy", "a folder"]);
    }
    let walk = "interpolate generator.safetensors --points 2 --frames 1";
    dir.succeeds(&format!("{walk} --out w.GIF"));
    refused(&dir, &format!("{walk} --out -"), 2, &["standard output", "FILE.mp4 or FILE.png"]);
    refused(&dir, "train dcgan-mnist --out run.json", 2, &["--out run.json", "name a folder"]);
    refused(&dir, "data fetch mnist --out mnist.zip", 2, &["--out mnist.zip", "name a folder"]);
}

#[test]
fn no_output_replaces_an_input_or_a_file_of_another_kind() {
    let dir = dir_with_images();
    dir.succeeds(&format!("train {SMALL} --steps 1 --out run"));
    fs::write(dir.path("z.npy"), "latents").expect("a file");
    let apart = "is an input of this command";
    for (line, words) in [
        ("project generator.safetensors a.png --out a.png", ["--out a.png", apart]),
        ("project generator.safetensors a.png --out p.npy", ["--out p.npy", "FILE.png"]),
        ("project generator.safetensors a.png --latents-out z.png", ["--latents-out z.png", "FILE.npy"]),
        ("project generator.safetensors z.npy --latents-out z.npy", ["--latents-out z.npy", "is no NPY file"]),
        ("report run --out run/config.toml", ["--out run/config.toml", "FILE.html"]),
        ("report run --out page", ["--out page", "FILE.html"]),
        ("data inspect data --out data/000.png", ["--out data/000.png", "the folder of the data"]),
        ("data inspect data --out data/sheet.png", ["--out data/sheet.png", "the folder of the data"]),
        ("data inspect data --out sheet.csv", ["--out sheet.csv", "FILE.png"]),
        ("data pack data data/x.png", ["DST data/x.png", "FILE.ganpack"]),
        ("data pack data data/x.ganpack", ["DST data/x.ganpack", "the folder of the data"]),
        ("data pack data data --part 5", ["DST data", "holds 2 images already"]),
        ("data pack data data/parts --part 5", ["DST data/parts", "the folder of the data"]),
        ("generate run --out run/losses.png", ["--out run/losses.png", "belongs to the run"]),
        (
            "train dcgan-folder --set data.dir=data --set data.upscale=true --set train.batch=2 --out data/run",
            ["--out data/run", "of the data"],
        ),
    ] {
        refused(&dir, line, 2, &words);
    }
    fs::rename(dir.path("generator.safetensors"), dir.path("g.png")).expect("a new name");
    refused(&dir, "generate g.png --count 2 --out g.png", 2, &["--out g.png"]);
}

#[test]
fn unwritable_outputs_are_refused_before_the_work() {
    let dir = dir_with_images();
    let unwritable = |option: &str| {
        // This would take decades if it started.
        let line = "project generator.safetensors a.png --starts 1000 --steps 100000";
        refused(&dir, &format!("{line} {option}"), 1, &["none/", "cannot be written", "does not exist"]);
    };
    unwritable("--out none/p.png");
    unwritable("--latents-out none/z.npy");
    refused(&dir, "generate generator.safetensors --count 1000000 --out none/x.npy", 1, &["none/x.npy"]);
    // The second image is checked before the first is projected.
    fs::write(dir.path("b.png"), "no image").expect("a file");
    refused(&dir, "project generator.safetensors a.png b.png --starts 1000 --steps 100000", 1, &["b.png"]);
}

#[test]
fn the_page_can_be_written_to_standard_output() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} --steps 1 --out run"));
    let before = files(&dir.path(""));
    let finished = dir.succeeds("report run --out -");
    assert_eq!(finished.text(), fs::read_to_string(dir.path("run/report.html")).expect("a page"));
    assert!(before == files(&dir.path("")));
    dir.gan("report run --out - --open").expect(2, &["--open", "--out -"]);
}

#[test]
fn the_images_of_an_array_are_named_by_number() {
    let dir = dir_with_images();
    dir.succeeds(&format!("{GENERATE} --out two.npy"));
    let finished = dir.succeeds(
        "project generator.safetensors two.npy a.png --starts 1 --steps 1 --out pairs.png --latents-out found.npy",
    );
    for words in ["two.npy, image 0: mean", "two.npy, image 1: mean", "a.png: mean"] {
        assert_eq!(finished.text().matches(words).count(), 1, "{words}: {}", finished.text());
    }
    assert!(Picture::open_png(&dir.path("pairs.png")).is_ok());
    let found = candle_core::Tensor::read_npy(dir.path("found.npy")).expect("an array");
    assert_eq!(found.dims(), [3, 100]);
}

#[test]
fn unknown_classes_are_refused_with_correct_plurals() {
    let dir = WorkDir::with_generator();
    for class in ["-1", "3", "x"] {
        let words = ["--class", "knows no classes"];
        refused(&dir, &format!("generate generator.safetensors --class {class}"), 2, &words);
        refused(&dir, &format!("project generator.safetensors a.png --class {class}"), 2, &words);
    }
    let finished = dir.succeeds("generate generator.safetensors --count 1 --out one");
    assert_eq!(finished.text(), "one (1 image)\n");
}

/// Returns the weight file with the first value of each tensor replaced by `value`.
fn with_first_values(bytes: &[u8], value: f32) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
    let mut changed = bytes.to_vec();
    changed[8 + length..][..4].copy_from_slice(&value.to_le_bytes());
    changed
}

#[test]
fn numbers_that_are_not_finite_are_errors_and_nothing_is_written() {
    let dir = dir_with_images();
    let whole = fs::read(dir.path("generator.safetensors")).expect("a weight file");
    let npy = |name: &str, shape: &[usize], value: f32| {
        let values = vec![value; shape.iter().product()];
        let tensor = candle_core::Tensor::from_vec(values, shape, &candle_core::Device::Cpu).expect("a tensor");
        tensor.write_npy(dir.path(name)).expect("a file");
    };
    npy("z.npy", &[2, 100], f32::NAN);
    npy("large.npy", &[2, 100], 3e38);
    npy("image.npy", &[1, 1, 28, 28], f32::INFINITY);
    refused(&dir, "generate generator.safetensors --latents z.npy --out x.png", 1, &["z.npy", "NaN"]);
    for out in ["x.png", "x.npy", "images", "-"] {
        let line = format!("generate generator.safetensors --latents large.npy --out {out}");
        refused(&dir, &line, 1, &["the generator's sample 0", "finite"]);
    }
    refused(&dir, "project generator.safetensors image.npy --out x.png", 1, &["image.npy", "inf"]);
    for value in [f32::NAN, f32::NEG_INFINITY] {
        fs::write(dir.path("generator.safetensors"), with_first_values(&whole, value)).expect("a file");
        for line in [
            "generate generator.safetensors --out x.png",
            "interpolate generator.safetensors --out x.gif",
            "project generator.safetensors a.png --out x.png",
            "evaluate generator.safetensors --samples 10",
        ] {
            refused(&dir, line, 1, &["generator.safetensors", "tensor \"main.", "finite numbers"]);
        }
    }
}

#[test]
#[cfg(unix)]
fn a_stopped_command_leaves_no_files() {
    let dir = WorkDir::with_generator();
    for out in ["new/images", "x.npy"] {
        let mut running = dir.start(&format!("generate generator.safetensors --count 1000000 --out {out}"));
        // Waits for a nonempty file or a folder, because checking whether the location is writable creates an empty file.
        let begun = |name: &str| {
            let entries = fs::read_dir(dir.path(name)).into_iter().flatten().flatten();
            let mut temporary = entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".tmp"));
            temporary.any(|entry| entry.metadata().is_ok_and(|found| found.is_dir() || found.len() > 0))
        };
        running.waits_for(|| begun("") || begun("new"));
        running.signal("INT");
        assert_eq!(running.end().code(), Some(130), "{}", running.stderr());
        assert!(running.stderr().contains("nothing was written"), "{}", running.stderr());
        assert_eq!(files(&dir.path("")).into_keys().collect::<Vec<_>>(), ["generator.safetensors", "stderr.txt"]);
        assert!(!dir.path("new").exists());
    }
}

#[test]
fn printed_commands_are_quoted_for_a_shell() {
    let dir = WorkDir::new();
    let line = format!("train {SMALL} --steps 2 --out");
    let args = line.split_whitespace().chain(["run one"]);
    let finished = Finished::of(&mut dir.program(env!("CARGO_BIN_EXE_gan"), args));
    let command = finished.text().lines().find_map(|line| line.strip_prefix("Make more: gan ")).expect("a command");
    let script = format!("{} {command}", env!("CARGO_BIN_EXE_gan"));
    let finished = Finished::of(&mut dir.program("sh", ["-c", &script]));
    assert_eq!((finished.code, finished.text()), (Some(0), "samples.png\n"), "{}", finished.stderr);
    refused_args(&dir, &["generate", "run one", "--out", "run one/losses.png"], 2, &["run one/losses.png"]);
}

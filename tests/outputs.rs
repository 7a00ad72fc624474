//! Outputs of commands: accepted locations, and protection of existing files.

use crate::bad_input::{refused, refused_args};
use crate::common::{Place, Ran, SMALL, files};
use gan_report::Picture;
use image::{Rgb, RgbImage};
use std::fs;

const GENERATE: &str = "generate generator.safetensors --count 2";

/// Returns a folder with a generator, an image `a.png` and a folder of images `data`.
fn place_with_images() -> Place {
    let place = Place::with_generator();
    fs::create_dir(place.path("data")).expect("a folder");
    for name in ["a.png", "data/000.png", "data/001.png"] {
        RgbImage::from_pixel(28, 28, Rgb([90, 120, 200])).save(place.path(name)).expect("a PNG file");
    }
    place
}

#[test]
fn samples_are_never_mixed_with_older_ones() {
    let place = Place::with_generator();
    place.good(&format!("{GENERATE} --out images"));
    let words = ["--out images: holds 2 images already", "new or an empty folder"];
    refused(&place, &format!("{GENERATE} --out images"), 2, &words);
    place.good(&format!("train {SMALL} --steps 1 --out run"));
    refused(&place, &format!("{GENERATE} --out run"), 2, &["--out run: is the folder of a run"]);
    refused(&place, &format!("{GENERATE} --out run/samples/more"), 2, &["belongs to the run"]);
    fs::create_dir(place.path("empty")).expect("a folder");
    place.good(&format!("{GENERATE} --out empty"));
    assert_eq!(files(&place.path("empty")), files(&place.path("images")));
}

#[test]
fn the_ending_selects_the_output_format() {
    let place = Place::with_generator();
    place.good(&format!("{GENERATE} --out o.PNG"));
    place.good(&format!("{GENERATE} --out o.png"));
    assert_eq!(fs::read(place.path("o.PNG")).expect("a sheet"), fs::read(place.path("o.png")).expect("a sheet"));
    place.good(&format!("{GENERATE} --out o.Npy"));
    assert!(place.path("o.Npy").is_file());
    for name in ["o.jpg", "o.webp", "c.csv"] {
        refused(&place, &format!("{GENERATE} --out {name}"), 2, &[name, "FILE.png", "FILE.npy", "a folder"]);
    }
    let walk = "interpolate generator.safetensors --points 2 --frames 1";
    place.good(&format!("{walk} --out w.GIF"));
    refused(&place, &format!("{walk} --out -"), 2, &["standard output", "FILE.gif or FILE.png"]);
    refused(&place, "train dcgan-mnist --out run.json", 2, &["--out run.json", "name a folder"]);
    refused(&place, "data fetch mnist --out mnist.zip", 2, &["--out mnist.zip", "name a folder"]);
}

#[test]
fn no_output_replaces_an_input_or_a_file_of_another_kind() {
    let place = place_with_images();
    place.good(&format!("train {SMALL} --steps 1 --out run"));
    fs::write(place.path("z.npy"), "latents").expect("a file");
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
        refused(&place, line, 2, &words);
    }
    fs::rename(place.path("generator.safetensors"), place.path("g.png")).expect("a new name");
    refused(&place, "generate g.png --count 2 --out g.png", 2, &["--out g.png"]);
}

#[test]
fn unwritable_outputs_are_refused_before_the_work() {
    let place = place_with_images();
    let unwritable = |option: &str| {
        // This would take decades if it started.
        let line = "project generator.safetensors a.png --starts 1000 --steps 100000";
        refused(&place, &format!("{line} {option}"), 1, &["none/", "cannot be written", "does not exist"]);
    };
    unwritable("--out none/p.png");
    unwritable("--latents-out none/z.npy");
    refused(&place, "generate generator.safetensors --count 1000000 --out none/x.npy", 1, &["none/x.npy"]);
    // The second image is checked before the first is projected.
    fs::write(place.path("b.png"), "no image").expect("a file");
    refused(&place, "project generator.safetensors a.png b.png --starts 1000 --steps 100000", 1, &["b.png"]);
}

#[test]
fn the_page_can_be_written_to_standard_output() {
    let place = Place::new();
    place.good(&format!("train {SMALL} --steps 1 --out run"));
    let before = files(&place.path(""));
    let ran = place.good("report run --out -");
    assert_eq!(ran.text(), fs::read_to_string(place.path("run/report.html")).expect("a page"));
    assert!(before == files(&place.path("")));
    place.gan("report run --out - --open").expect(2, &["--open", "--out -"]);
}

#[test]
fn the_images_of_an_array_are_named_by_number() {
    let place = place_with_images();
    place.good(&format!("{GENERATE} --out two.npy"));
    let ran = place.good(
        "project generator.safetensors two.npy a.png --starts 1 --steps 1 --out pairs.png --latents-out found.npy",
    );
    for words in ["two.npy, image 0: mean", "two.npy, image 1: mean", "a.png: mean"] {
        assert_eq!(ran.text().matches(words).count(), 1, "{words}: {}", ran.text());
    }
    assert!(Picture::open_png(&place.path("pairs.png")).is_ok());
    let found = candle_core::Tensor::read_npy(place.path("found.npy")).expect("an array");
    assert_eq!(found.dims(), [3, 100]);
}

#[test]
fn unknown_classes_are_refused_with_correct_plurals() {
    let place = Place::with_generator();
    for class in ["-1", "3", "x"] {
        let words = ["--class", "knows no classes"];
        refused(&place, &format!("generate generator.safetensors --class {class}"), 2, &words);
        refused(&place, &format!("project generator.safetensors a.png --class {class}"), 2, &words);
    }
    let ran = place.good("generate generator.safetensors --count 1 --out one");
    assert_eq!(ran.text(), "one (1 image)\n");
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
    let place = place_with_images();
    let whole = fs::read(place.path("generator.safetensors")).expect("a weight file");
    let npy = |name: &str, shape: &[usize], value: f32| {
        let values = vec![value; shape.iter().product()];
        let tensor = candle_core::Tensor::from_vec(values, shape, &candle_core::Device::Cpu).expect("a tensor");
        tensor.write_npy(place.path(name)).expect("a file");
    };
    npy("z.npy", &[2, 100], f32::NAN);
    npy("large.npy", &[2, 100], 3e38);
    npy("image.npy", &[1, 1, 28, 28], f32::INFINITY);
    refused(&place, "generate generator.safetensors --latents z.npy --out x.png", 1, &["z.npy", "NaN"]);
    for out in ["x.png", "x.npy", "images", "-"] {
        let line = format!("generate generator.safetensors --latents large.npy --out {out}");
        refused(&place, &line, 1, &["the generator's sample 0", "finite"]);
    }
    refused(&place, "project generator.safetensors image.npy --out x.png", 1, &["image.npy", "inf"]);
    for value in [f32::NAN, f32::NEG_INFINITY] {
        fs::write(place.path("generator.safetensors"), with_first_values(&whole, value)).expect("a file");
        for line in [
            "generate generator.safetensors --out x.png",
            "interpolate generator.safetensors --out x.gif",
            "project generator.safetensors a.png --out x.png",
            "evaluate generator.safetensors --samples 10",
        ] {
            refused(&place, line, 1, &["generator.safetensors", "tensor \"main.", "finite numbers"]);
        }
    }
}

#[test]
#[cfg(unix)]
fn a_stopped_command_leaves_no_files() {
    let place = Place::with_generator();
    for out in ["new/images", "x.npy"] {
        let mut running = place.start(&format!("generate generator.safetensors --count 1000000 --out {out}"));
        // Waits for a nonempty file or a folder, because checking whether the location is writable creates an empty file.
        let begun = |name: &str| {
            let entries = fs::read_dir(place.path(name)).into_iter().flatten().flatten();
            let mut temporary = entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".tmp"));
            temporary.any(|entry| entry.metadata().is_ok_and(|found| found.is_dir() || found.len() > 0))
        };
        running.waits_for(|| begun("") || begun("new"));
        running.signal("INT");
        assert_eq!(running.end().code(), Some(130), "{}", running.stderr());
        assert!(running.stderr().contains("nothing was written"), "{}", running.stderr());
        assert_eq!(files(&place.path("")).into_keys().collect::<Vec<_>>(), ["generator.safetensors", "stderr.txt"]);
        assert!(!place.path("new").exists());
    }
}

#[test]
fn printed_commands_are_quoted_for_a_shell() {
    let place = Place::new();
    let line = format!("train {SMALL} --steps 2 --out");
    let args = line.split_whitespace().chain(["run one"]);
    let ran = Ran::of(&mut place.program(env!("CARGO_BIN_EXE_gan"), args));
    let command = ran.text().lines().find_map(|line| line.strip_prefix("Make more: gan ")).expect("a command");
    let script = format!("{} {command}", env!("CARGO_BIN_EXE_gan"));
    let ran = Ran::of(&mut place.program("sh", ["-c", &script]));
    assert_eq!((ran.code, ran.text()), (Some(0), "samples.png\n"), "{}", ran.stderr);
    refused_args(&place, &["generate", "run one", "--out", "run one/losses.png"], 2, &["run one/losses.png"]);
}

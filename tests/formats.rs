//! Sources of images beyond folders of RGB files: alpha, zip archives, lists of labels for StyleGAN, arrays, and what is wrong with them.

use crate::common::WorkDir;
use candle_core::Tensor;
use image::{DynamicImage, Rgba, RgbaImage};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;

/// Networks that train in an instant, and no evaluation.
const NARROW: &str = "--threads 1 --set generator.width=2 --set discriminator.width=2 --set evaluate.samples=100";

/// Writes `count` different images of 20×20 into `folder`, whose left half is transparent by `alpha`.
fn images(dir: &WorkDir, folder: &str, count: u32, alpha: u8) {
    fs::create_dir_all(dir.path(folder)).unwrap();
    for n in 0..count {
        let pixel = |x: u32, y: u32| {
            Rgba([
                (x * 6 + n * 37) as u8,
                (y * 8) as u8,
                ((x * y + 11 * n) % 256) as u8,
                if x < 10 { alpha } else { 255 },
            ])
        };
        let image = DynamicImage::ImageRgba8(RgbaImage::from_fn(20, 20, pixel));
        let image = if alpha == 255 { image.to_rgb8().into() } else { image };
        image.save(dir.path(folder).join(format!("{n:02}.png"))).unwrap();
    }
}

/// Packs the files of `folder` into `name`.
fn zip(dir: &WorkDir, folder: &str, name: &str) {
    let mut archive = zip::ZipWriter::new(fs::File::create(dir.path(name)).unwrap());
    add(&mut archive, &dir.path(folder), "");
    archive.finish().unwrap();
}

fn add(archive: &mut zip::ZipWriter<fs::File>, folder: &Path, prefix: &str) {
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            add(archive, &entry.path(), &format!("{name}/"));
        } else {
            archive.start_file(&*name, stored).unwrap();
            archive.write_all(&fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

/// Returns a `.npy` file of bytes.
fn npy(shape: &[usize], byte: impl Fn(usize) -> u8) -> Vec<u8> {
    let sides: Vec<String> = shape.iter().map(ToString::to_string).collect();
    let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({},), }}", sides.join(", "));
    let header = format!("{text:<117}\n");
    let data: Vec<u8> = (0..shape.iter().product()).map(byte).collect();
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

fn inspected(dir: &WorkDir, line: &str) -> Value {
    serde_json::from_str(dir.succeeds(&format!("data inspect {line} --json")).text()).expect("JSON")
}

#[test]
fn alpha_is_learned_drawn_and_measured() {
    let dir = WorkDir::new();
    images(&dir, "sprites", 70, 0);
    let run = dir.succeeds(&format!("train sprites --size 16 --budget 256img {NARROW} --out run"));
    for words in [
        "sprites: 70 transparent images",
        "data.channels=4",
        "70 of 70 decoded images have transparent pixels",
        "--set data.channels=3 lays the images over data.background",
    ] {
        assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
    }
    // Single files have alpha; sheets and animations show it.
    dir.succeeds("generate run --count 3 --out made");
    let one = image::open(dir.path("made/0000.png")).unwrap();
    assert_eq!((one.color(), one.width()), (image::ColorType::Rgba8, 16));
    dir.succeeds("generate run --count 4 --out sheet.png");
    assert_eq!(image::open(dir.path("sheet.png")).unwrap().color(), image::ColorType::Rgb8);
    for name in ["walk.gif", "walk.webp"] {
        dir.succeeds(&format!("interpolate run --frames 3 --out {name}"));
    }
    dir.succeeds("generate run --count 20 --out made.npy");
    assert_eq!(Tensor::read_npy(dir.path("made.npy")).unwrap().dims(), [20, 4, 16, 16]);
    let card = |line: &str| -> Value {
        serde_json::from_str(dir.succeeds(&format!("evaluate {line} --json")).text()).expect("JSON")
    };
    for line in ["run --samples 60", "made.npy --data sprites --set data.channels=4"] {
        let card = card(line);
        assert!(card.to_string().contains("half of the features over black, half over white"), "{line}: {card}");
        assert!(card["figures"][0]["value"].is_number(), "{card}");
    }
    dir.gan("evaluate run --data sprites --protocol fid50k").expect(2, &["data.channels", "takes RGB images"]);
    // A run of other channels begins with these weights as far as they fit.
    let other = dir.succeeds(&format!(
        "train sprites --size 16 --budget 64img {NARROW} --set data.channels=3 --from run --out second"
    ));
    let words = "makes images of 4 channels, and this run of 3";
    assert_eq!(other.stderr.matches(words).count(), 1, "{}", other.stderr);
}

#[test]
fn an_archive_trains_as_its_folder_does() {
    let dir = WorkDir::new();
    for class in ["cats", "dogs"] {
        images(&dir, &format!("pets/{class}"), 20, 255);
    }
    zip(&dir, "pets", "pets.zip");
    let settings = "--steps 2 --set train.threads=1 --set train.batch=4 --set generator.width=4 --set discriminator.width=4 \
                    --set samples.rows=2 --set samples.columns=2 --set data.size=16";
    for (source, run) in [("pets", "run-pets"), ("pets.zip", "run-zip")] {
        dir.succeeds(&format!("train dcgan-folder {settings} --set data.dir={source} --out {run}"));
    }
    let weights = |run: &str| fs::read(dir.path(run).join("generator.safetensors")).unwrap();
    assert!(weights("run-pets") == weights("run-zip"), "the bytes of both runs");
    let [folder, archive] = ["pets", "pets.zip"].map(|source| inspected(&dir, &format!("{source} --size 16")));
    assert_eq!((&folder["classes"], &folder["values"]), (&archive["classes"], &archive["values"]));
    for source in ["pets", "pets.zip"] {
        dir.succeeds(&format!("data pack {source} {source}.ganpack --size 16"));
    }
    let body = |name: &str| fs::read(dir.path(name)).unwrap().split_off(1 << 10);
    assert_eq!(body("pets.ganpack"), body("pets.zip.ganpack"));
    dir.succeeds("generate run-zip --count 20 --out made");
    dir.succeeds("evaluate made --data pets.zip --metrics fd_thumbnails");
    let run = dir.succeeds(&format!("train pets.zip --classes --size 16 --budget 64img {NARROW} --out own"));
    assert!(run.stderr.contains("2 classes: cats 20, dogs 20"), "{}", run.stderr);
    dir.succeeds("train pets.zip --resume --out own --steps 3");
}

#[test]
fn the_labels_of_a_stylegan_data_set_are_classes() {
    let dir = WorkDir::new();
    images(&dir, "set/00000", 30, 255);
    let labels: Vec<String> = (0..30).map(|n| format!("[\"00000/{n:02}.png\", {}]", n % 3)).collect();
    fs::write(dir.path("set/dataset.json"), format!("{{\"labels\": [{}]}}", labels.join(", "))).unwrap();
    zip(&dir, "set", "set.zip");
    for source in ["set", "set.zip"] {
        let classes = inspected(&dir, &format!("{source} --size 16"))["classes"].clone();
        assert_eq!(
            classes,
            serde_json::json!([
                { "name": "0", "count": 10 }, { "name": "1", "count": 10 }, { "name": "2", "count": 10 }
            ])
        );
    }
    fs::remove_file(dir.path("set/00000/07.png")).unwrap();
    let words = ["dataset.json", "files that are missing", "\"00000/07.png\"", "remove their lines"];
    dir.gan("data inspect set --size 16").expect(1, &words);
    dir.gan(&format!("train set {NARROW} --out run")).expect(1, &words);
    assert!(!dir.path("run").exists());
}

#[test]
fn arrays_of_any_channels_are_trained_on() {
    let dir = WorkDir::new();
    fs::write(dir.path("five.npy"), npy(&[60, 5, 16, 16], |at| (at * at / 7 + at / 1280 * 3) as u8)).unwrap();
    let run = dir.succeeds(&format!("train five.npy --budget 128img {NARROW} --out run"));
    for words in ["five.npy: 60 images, all 16×16", "5 channels", "augment.color is left out"] {
        assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
    }
    dir.succeeds("generate run --count 2 --out two.npy");
    assert_eq!(Tensor::read_npy(dir.path("two.npy")).unwrap().dims(), [2, 5, 16, 16]);
    dir.succeeds("generate run --count 4 --out sheet.png");
    dir.gan(&format!("train run/config.toml {NARROW} --set augment.color=true --out other"))
        .expect(2, &["augment.color", "images of 5 channels have neither"]);
    fs::write(dir.path("last.npy"), npy(&[60, 16, 16, 4], |at| (at * 31) as u8)).unwrap();
    assert_eq!(inspected(&dir, "last.npy")["shape"], serde_json::json!([4, 16, 16]));
    dir.succeeds("data pack last.npy last.ganpack");
    assert_eq!(inspected(&dir, "last.ganpack")["shape"], serde_json::json!([4, 16, 16]));
    dir.gan("data inspect last.npy --channels 3").expect(2, &["data.channels", "last.npy have 4"]);
}

#[test]
fn sources_that_cannot_be_used_have_one_message_each() {
    let dir = WorkDir::new();
    images(&dir, "photos", 4, 255);
    zip(&dir, "photos", "whole.zip");
    let whole = fs::read(dir.path("whole.zip")).unwrap();
    fs::write(dir.path("cut.zip"), &whole[..whole.len() / 2]).unwrap();
    fs::write(dir.path("flat.npy"), npy(&[4, 16], |_| 0)).unwrap();
    let long: Vec<u8> = npy(&[9, 1, 4, 4], |_| 0);
    fs::write(dir.path("cut.npy"), &long[..long.len() - 5]).unwrap();
    let mut signed = npy(&[2, 1, 4, 4], |_| 0);
    let at = signed.windows(3).position(|bytes| bytes == b"|u1").unwrap();
    signed[at..at + 3].copy_from_slice(b"|i1");
    fs::write(dir.path("signed.npy"), signed).unwrap();
    images(&dir, "hidden", 30, 0);
    for n in 0..30 {
        let image = RgbaImage::from_pixel(20, 20, Rgba([n, 7, 9, 0]));
        image.save(dir.path("hidden").join(format!("{n:02}.png"))).unwrap();
    }
    for (source, code, words) in [
        ("cut.zip", 1, &["cut.zip", "not a whole zip archive", "probably cut off"][..]),
        ("flat.npy", 1, &["flat.npy", "shape of the array", "[4, 16]", "four axes"]),
        ("cut.npy", 1, &["cut.npy", "not a whole .npy file"]),
        ("signed.npy", 1, &["signed.npy", "type of the numbers", "int8", "uint8, uint16 or floating point"]),
        ("hidden", 2, &["hidden", "all of their pixels are transparent"]),
    ] {
        let finished = dir.gan(&format!("train {source} {NARROW} --out run"));
        finished.expect(code, words);
        assert!(!dir.path("run").exists(), "{source}");
    }
}

#[test]
fn a_few_images_of_other_kinds_are_counted_once() {
    let dir = WorkDir::new();
    images(&dir, "photos", 40, 255);
    DynamicImage::new_luma8(20, 20).save(dir.path("photos/gray.png")).unwrap();
    images(&dir, "sprite", 1, 0);
    fs::rename(dir.path("sprite/00.png"), dir.path("photos/sprite.png")).unwrap();
    let mut animation = image::codecs::gif::GifEncoder::new(fs::File::create(dir.path("photos/moves.gif")).unwrap());
    (0..2).for_each(|_| animation.encode_frame(image::Frame::new(RgbaImage::new(20, 20))).unwrap());
    drop(animation);
    let run = dir.succeeds(&format!("train photos --size 16 --budget 64img {NARROW} --out run"));
    let inspected = dir.succeeds("data inspect photos --size 16");
    for finished in [run, inspected] {
        for words in [
            "3 of 43 images have other channels (1 gray, 2 RGB with alpha) and are converted to 3",
            "1 animation: only the first frame is used",
        ] {
            assert_eq!(finished.stderr.matches(words).count(), 1, "{words}: {}", finished.stderr);
        }
    }
}

//! Packs and `gan data`: a pack trains like the files that it was made from, and data sets can be inspected.

use crate::common::{WorkDir, assert_same, results};
use gan_report::{Colour, Picture};
use serde_json::Value;
use std::fs;

/// Arguments of a short run.
const TRAIN: &str = "train dcgan-mnist --steps 3 --set train.threads=1 --set train.batch=8 --set generator.width=8 \
                     --set discriminator.width=8 --set samples.rows=2 --set samples.columns=2";

/// Returns a folder with the folder `digits` and its pack `digits.ganpack`.
fn packed() -> WorkDir {
    let dir = WorkDir::new();
    dir.first_digits("digits", 70);
    let finished = dir.succeeds("data pack mnist digits.ganpack --set data.dir=digits");
    let size = fs::metadata(dir.path("digits.ganpack")).unwrap().len();
    assert_eq!(finished.text(), format!("digits.ganpack: 70 images of 1×28×28, {size} bytes\n"));
    assert!(finished.stderr.contains("packing: 70 of 70 images"), "{}", finished.stderr);
    dir
}

fn json(dir: &WorkDir, line: &str) -> Value {
    serde_json::from_str(dir.succeeds(line).text()).expect("JSON")
}

#[test]
fn training_from_a_pack_gives_the_same_bytes_as_from_the_files() {
    let dir = packed();
    dir.succeeds(&format!("{TRAIN} --set data.dir=digits --out files"));
    dir.succeeds(&format!("{TRAIN} --set data.dir=digits.ganpack --out pack"));
    let from_files = results(&dir.path("files"));
    assert!(from_files.keys().any(|name| name.starts_with("samples/")));
    assert_same(&from_files, &results(&dir.path("pack")));
    dir.succeeds("train pack --resume --steps 4");
}

#[test]
fn a_pack_is_read_under_any_data_name() {
    let dir = packed();
    fs::rename(dir.path("digits.ganpack"), dir.path("renamed")).unwrap();
    dir.succeeds(&format!("{TRAIN} --set data.name=anything --set data.dir=renamed --out run"));
    let line = format!("{TRAIN} --set data.dir=renamed --set data.size=32 --out other");
    dir.gan(&line).expect(2, &["data.size: found 32×32 for images of 28×28"]);
    let line = "train dcgan-cifar10 --set data.dir=renamed --set data.size=28 --out other";
    dir.gan(line).expect(2, &["data.channels: 3 cannot be used", "renamed have 1"]);
}

#[test]
fn damaged_packs_are_refused_with_advice() {
    let dir = packed();
    let (path, line) = (dir.path("digits.ganpack"), format!("{TRAIN} --set data.dir=digits.ganpack --out run"));
    let whole = fs::read(&path).unwrap();
    let damage = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        dir.gan(&line)
    };
    damage(&whole[..whole.len() - 1]).expect(1, &["digits.ganpack: cut off", "gan data pack"]);
    damage(&[]).expect(1, &["digits.ganpack: is empty"]);
    damage(&[&whole[..8], &[9, 0, 0, 0], &whole[12..]].concat()).expect(1, &["version", "found 9, expected 1"]);
    damage(b"something else, but longer").expect(1, &["digits.ganpack: no pack", "gan data pack"]);
    let mut dark = whole.clone();
    let start = dark.len() - 70 * 784;
    dark[start..].fill(0);
    damage(&dark).expect(1, &["digits.ganpack: damaged image", "CRC-32", "pack the data again"]);
}

#[test]
fn inspect_reports_counts_classes_and_values() {
    let dir = packed();
    let pack = json(&dir, "data inspect digits.ganpack --json --out sheet.png");
    let files = json(&dir, "data inspect mnist --set data.dir=digits --json");
    assert_eq!(pack, files);
    assert_eq!((&pack["name"], &pack["count"], &pack["shape"]), (&"mnist".into(), &70.into(), &vec![1, 28, 28].into()));
    assert_eq!(pack["made_from"], "mnist in digits");
    let labels = fs::read(dir.path("digits/train-labels-idx1-ubyte")).unwrap();
    let pixels = &fs::read(dir.path("digits/train-images-idx3-ubyte")).unwrap()[16..];
    for (class, row) in pack["classes"].as_array().unwrap().iter().enumerate() {
        let count = labels[8..].iter().filter(|label| usize::from(**label) == class).count();
        assert_eq!((&row["name"], &row["count"]), (&class.to_string().into(), &count.into()));
    }
    let values: Vec<f64> = pixels.iter().map(|&byte| f64::from(byte) / 127.5 - 1.0).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / values.len() as f64;
    for (key, expected) in [("mean", mean), ("spread", variance.sqrt())] {
        let found = pack["values"][key][0].as_f64().unwrap();
        assert!((found - expected).abs() < 1e-6, "{key}: {found}, expected {expected}"); // the rounding of f32 is 6e-8
    }
    let sheet = Picture::open_png(&dir.path("sheet.png")).unwrap();
    assert_eq!((sheet.width(), sheet.height(), sheet.colour()), (8 * 30 + 2, 8 * 30 + 2, Colour::Grey));
    // The middle row of the first image, which is two pixels from the corner of the sheet.
    assert!((0..28).all(|x| sheet.pixel(2 + x, 2 + 14).unwrap()[0] == pixels[14 * 28 + x]));
    let text = dir.succeeds("data inspect digits.ganpack");
    for words in
        ["mnist: 70 gray images of 28×28", "made from:  mnist in digits", "classes:    10", "skipped:    0 files"]
    {
        assert!(text.text().contains(words), "no {words:?} in {}", text.text());
    }
}

#[test]
fn stacked_mnist_is_inspected_packed_and_trained_on() {
    let dir = WorkDir::new();
    dir.first_digits("digits", 70);
    let stacked = "stacked-mnist --set data.dir=digits --set data.count=40";
    let files = json(&dir, &format!("data inspect {stacked} --json --out sheet.png"));
    assert_eq!((&files["count"], &files["shape"]), (&40.into(), &vec![3, 28, 28].into()));
    let classes = files["classes"].as_array().unwrap();
    assert_eq!((classes.len(), &classes[42]["name"]), (1000, &"042".into()));
    assert_eq!(classes.iter().map(|class| class["count"].as_u64().unwrap()).sum::<u64>(), 40);
    assert_eq!(Picture::open_png(&dir.path("sheet.png")).unwrap().colour(), Colour::Rgb);
    let text = dir.succeeds(&format!("data inspect {stacked}"));
    for words in ["stacked-mnist: 40 color images of 28×28", "classes:    1000", " to ", "images each; --json counts"]
    {
        assert!(text.text().contains(words), "no {words:?} in {}", text.text());
    }
    dir.succeeds("data pack stacked-mnist stacked.ganpack --set data.dir=digits --set data.count=40");
    let pack = json(&dir, "data inspect stacked.ganpack --json");
    assert_eq!((&pack["classes"], &pack["values"]), (&files["classes"], &files["values"]));
    let line = format!(
        "{TRAIN} --set data.name=stacked-mnist --set data.channels=3 --set data.dir=digits --set data.count=40"
    );
    dir.succeeds(&format!("{line} --out run"));
    dir.succeeds(&format!("{line} --out again"));
    assert_same(&results(&dir.path("run")), &results(&dir.path("again")));
    dir.gan(&format!("{line} --set data.channels=1 --out no")).expect(2, &["the images of stacked-mnist have 3"]);
}

#[test]
fn points_and_synthetic_images_can_be_inspected() {
    let dir = WorkDir::new();
    assert_eq!(json(&dir, "data inspect ring --json")["shape"], Value::from(vec![2]));
    assert_eq!(json(&dir, "data inspect made --size 4x6 --channels 1 --json")["shape"], Value::from(vec![1, 4, 6]));
    dir.gan("data inspect ring --out ring.png").expect(2, &["--out", "points"]);
    dir.gan("data pack ring ring.ganpack").expect(2, &["data to pack: found points of 2 coordinates", "images"]);
    assert_eq!(fs::read_dir(dir.path(".")).unwrap().count(), 0);
}

#[test]
fn data_list_shows_present_sets_and_how_to_get_the_others() {
    let dir = WorkDir::new();
    dir.first_digits("cifar10", 1); // any folder with this name
    let mut command = dir.command("data list --json");
    command.env("GAN_DATA_DIR", dir.path("."));
    let list: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    let row = |name: &str| list.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap().clone();
    assert!(row("cifar10")["found"].as_str().unwrap().ends_with("/cifar10"));
    for name in ["mnist", "stacked-mnist"] {
        assert!(row(name)["found"].as_str().unwrap().ends_with("data/mnist"), "{name}");
    }
    assert!(row("ring")["needs"].is_null() && row("ring")["found"].is_null());
    let text = dir.succeeds("data list");
    for words in ["mnist ", "found in ", "needs no files", "FILE.ganpack"] {
        assert!(text.text().contains(words), "no {words:?} in {}", text.text());
    }
}

#[test]
fn unsuitable_sources_are_not_packed_and_nothing_is_overwritten() {
    let dir = packed();
    fs::write(dir.path("letter.txt"), "Dear all").unwrap();
    for (line, code, words) in [
        (
            "data pack mnits x.ganpack",
            2,
            &["mnits: there is no such folder, archive, array, pack or data set", "mnist"][..],
        ),
        ("data pack letter.txt x.ganpack", 1, &["letter.txt: no pack"]),
        ("data pack mnist letter.txt", 2, &["letter.txt: is there already and is no pack"]),
        ("data pack mnist none/x.ganpack", 1, &["none/x.ganpack: cannot be written"]),
        ("data pack mnist digits", 2, &["digits: is a folder: name a file in it, or add --part"]),
        ("data pack mnist x.ganpack --size 32", 2, &["data.size: found 32×32 for images of 28×28"]),
        ("data pack mnist x.ganpack --channels 3", 2, &["data.channels: 3 cannot be used", "mnist have 1"]),
        ("data pack mnist x.ganpack --channels 65", 2, &["--channels", "1 (gray), 3 (RGB) or 4"]),
        ("data pack mnist x.ganpack --size 0", 2, &["--size", "a side of 1 to 4096"]),
        ("data pack mnist x.ganpack --set data.dri=x", 2, &["data.dri", "dir"]),
        (
            "data pack mnist x.ganpack --set data.ring.modes=4",
            2,
            &["data.ring: is for data.name = \"ring\", found \"mnist\""],
        ),
        ("data pack mnist x.ganpack --set data.count=4", 2, &["data.count: is for data.name = \"stacked-mnist\""]),
        ("data pack mnist x.ganpack --set train.batch=4", 2, &["--set train", "is no setting of the data"]),
        ("data pack mnist x.ganpack --set data=4", 2, &["--set data", "is no setting of the data"]),
        ("data pack mnist x.ganpack --set data.dir=nowhere", 2, &["nowhere: found no such folder"]),
    ] {
        dir.gan(line).expect(code, words);
    }
    assert_eq!(fs::read(dir.path("letter.txt")).unwrap(), b"Dear all");
    assert!(!dir.path("x.ganpack").exists());
    dir.succeeds("data pack digits.ganpack again.ganpack --size 28x28 --channels 1");
    assert_eq!(fs::read(dir.path("again.ganpack")).unwrap(), fs::read(dir.path("digits.ganpack")).unwrap());
    dir.succeeds("data pack again.ganpack again.ganpack");
}

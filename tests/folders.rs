//! Images in folders: CelebA's layout, folders of your own, broken files, and other image sizes.

use crate::common::{Finished, WorkDir, assert_same, results, steps};
use candle_core::Tensor;
use image::{Rgb, RgbImage};
use serde_json::{Value, json};
use std::fs;

/// Arguments of a very short run.
const TINY: &str = "--steps 2 --set train.threads=1 --set train.batch=4 --set generator.width=4 --set discriminator.width=4 \
                    --set samples.rows=2 --set samples.columns=2";

/// Writes JPEG files of 178×218 as `folder`/000001.jpg and so on.
fn faces(dir: &WorkDir, folder: &str, count: u32) {
    fs::create_dir_all(dir.path(folder)).expect("a folder");
    for n in 1..=count {
        let pixel = |x: u32, y: u32| Rgb([(x + 9 * n) as u8, (y * n / 2) as u8, (x ^ y) as u8]);
        let image = RgbImage::from_fn(178, 218, pixel);
        image.save(dir.path(folder).join(format!("{n:06}.jpg"))).expect("a JPEG file");
    }
}

#[test]
fn celeba_is_found_trained_on_and_generated() {
    let dir = WorkDir::new();
    faces(&dir, "data/celeba/img_align_celeba", 8);
    dir.succeeds(&format!("train dcgan-celeba {TINY} --out run"));
    assert_eq!(steps(&dir.path("run")), [1, 2]);
    let inside = "data/celeba/img_align_celeba/new.png";
    dir.gan(&format!("data inspect celeba --out {inside}")).expect(2, &["--out", inside, "the folder of the data"]);
    dir.succeeds("data inspect celeba --out faces.png");
    dir.succeeds("generate run --count 3 --out images.npy");
    assert_eq!(Tensor::read_npy(dir.path("images.npy")).unwrap().dims(), [3, 3, 64, 64]);
}

#[test]
fn the_splits_of_celeba_follow_its_lists() {
    let dir = WorkDir::new();
    faces(&dir, "celeba/img_align_celeba", 8);
    let line = format!("train dcgan-celeba {TINY} --set data.dir=celeba --out run");
    dir.gan(&format!("{line} --set data.split=test")).expect(2, &["list_eval_partition.txt", "data.split"]);
    let parts: String = (1..=8).map(|n| format!("{n:06}.jpg {}\n", n / 5)).collect();
    fs::write(dir.path("celeba/list_eval_partition.txt"), parts).unwrap();
    let words = ["train.batch: found 5, expected 1 to 4, the number of images"];
    dir.gan(&format!("{line} --set data.split=valid --set train.batch=5")).expect(2, &words);
    dir.succeeds(&format!("{line} --set data.split=valid"));
    dir.gan(&format!("{line} --set data.split=half")).expect(2, &["data.split", "half", "valid"]);
}

#[test]
fn folders_train_at_any_size_with_the_same_flips_for_any_number_of_workers() {
    let dir = WorkDir::new();
    faces(&dir, "mine/a", 3);
    faces(&dir, "mine/b", 3);
    let settings = "--set data.dir=mine --set data.channels=1 --set data.size=[32,48] --set data.fit=pad \
                    --set data.filter=lanczos --set data.background=[10,20,30] --set data.crop=[200,150] --set data.flip=true";
    for workers in [0, 3] {
        dir.succeeds(&format!("train dcgan-folder {TINY} {settings} --set data.workers={workers} --out run{workers}"));
    }
    assert_same(&results(&dir.path("run0")), &results(&dir.path("run3")));
    dir.succeeds("generate run0 --count 2 --out images.npy");
    assert_eq!(Tensor::read_npy(dir.path("images.npy")).unwrap().dims(), [2, 1, 32, 48]);
}

#[test]
fn broken_files_are_skipped_unless_strict_is_set() {
    let dir = WorkDir::new();
    faces(&dir, "mine", 6);
    fs::write(dir.path("mine/000002.jpg"), "").unwrap();
    let whole = fs::read(dir.path("mine/000004.jpg")).unwrap();
    fs::write(dir.path("mine/000004.jpg"), &whole[..whole.len() / 2]).unwrap();
    let line = format!("train dcgan-folder {TINY} --set data.dir=mine");
    let finished: Finished = dir.succeeds(&format!("{line} --set train.batch=5 --out run"));
    for words in ["1 of 6 files are left out", "000002.jpg: the file is empty", "000004.jpg: the JPEG file is cut off"]
    {
        assert_eq!(finished.stderr.matches(words).count(), 1, "{words}: {}", finished.stderr);
    }
    let strict = format!("{line} --set data.strict=true --out strict");
    dir.gan(&strict).expect(1, &["mine/000002.jpg", "the file is empty", "data.strict=false"]);
    fs::remove_file(dir.path("mine/000002.jpg")).unwrap();
    dir.gan(&format!("{strict} --set train.batch=5")).expect(1, &["mine/000004.jpg", "cut off"]);
}

#[test]
fn inspect_and_pack_skip_broken_files_unless_strict_is_set() {
    let dir = WorkDir::new();
    faces(&dir, "mine", 3);
    fs::write(dir.path("mine/000002.jpg"), "").unwrap();
    let text = dir.succeeds("data inspect mine");
    assert!(text.text().contains("000002.jpg: the file is empty"), "{}", text.text());
    let words = ["mine/000002.jpg", "the file is empty", "data.strict=false"];
    dir.gan("data inspect mine --strict").expect(1, &words);
    dir.gan("data pack mine strict.ganpack --strict").expect(1, &words);
    assert!(!dir.path("strict.ganpack").exists());
    dir.succeeds("data pack mine mine.ganpack");
    fs::remove_file(dir.path("mine/000002.jpg")).unwrap();
    dir.succeeds("data inspect mine --strict");
    let whole = fs::read(dir.path("mine/000003.jpg")).unwrap();
    fs::write(dir.path("mine/000003.jpg"), &whole[..whole.len() / 2]).unwrap();
    let words = ["mine/000003.jpg", "cut off"];
    dir.gan("data inspect mine --strict").expect(1, &words);
    dir.gan("data pack mine strict.ganpack --strict").expect(1, &words);
}

#[test]
fn unusable_folders_are_refused_with_advice() {
    let dir = WorkDir::new();
    fs::create_dir(dir.path("mine")).unwrap();
    let line = format!("train dcgan-folder {TINY} --out run");
    dir.gan(&line).expect(2, &["data.dir", "is missing", "--set data.dir=DIR"]);
    let line = format!("{line} --set data.dir=mine");
    dir.gan(&line).expect(2, &["mine, which is empty", ".jpg"]);
    faces(&dir, "mine", 1);
    dir.gan(&line).expect(2, &["train.batch: found 4, expected 1 to 1"]);
    dir.gan(&format!("{line} --set data.size=256")).expect(2, &["1 of 1 images", "218×178", "data.upscale=true"]);
    dir.gan(&format!("{line} --set data.crop=200")).expect(2, &["1 of 1 images", "200×200 for data.crop"]);
    dir.gan(&format!("{line} --set data.split=test")).expect(2, &["data.split", "no splits"]);
    dir.gan(&format!("{line} --set data.background=red")).expect(2, &["data.background", "red", "\"white\""]);
    assert!(!dir.path("run").exists());
    dir.succeeds(&format!("{line} --set train.batch=1"));
}

/// Returns the JSON of `gan data inspect`, and its standard error.
fn inspected(dir: &WorkDir, line: &str) -> (Value, String) {
    let finished = dir.succeeds(&format!("data inspect {line} --json"));
    (serde_json::from_str(finished.text()).expect("JSON"), finished.stderr)
}

#[test]
fn files_with_other_endings_and_folders_named_like_splits_are_reported() {
    let dir = WorkDir::new();
    for folder in ["ds/train/cats", "ds/train/dogs", "ds/val/cats"] {
        faces(&dir, folder, 2);
    }
    for n in 0..95 {
        fs::write(dir.path(&format!("ds/train/cats/{n}.HEIC")), "x").unwrap();
    }
    let endings = "95 files with other endings, all .HEIC, are not read";
    let splits = "the folders train, val look like the splits of a data set";
    let finished = dir.succeeds(&format!("train dcgan-folder {TINY} --set data.dir=ds --out run"));
    let (json, said) = inspected(&dir, "ds");
    for words in [endings, splits] {
        assert_eq!((finished.stderr.matches(words).count(), said.matches(words).count()), (1, 1), "{words}: {said}");
    }
    assert_eq!(json["other_files"]["count"], 95);
    assert_eq!(json["other_files"]["endings"][0], json!({ "ending": ".heic", "count": 95 }));
    assert!(json["warnings"][0].as_str().unwrap().contains(splits));
    let text = dir.succeeds("data inspect ds");
    assert!(text.text().contains("95  .heic"), "{}", text.text());
}

#[test]
fn the_file_that_prevents_classes_is_named() {
    let dir = WorkDir::new();
    faces(&dir, "ds/a", 2);
    faces(&dir, "ds/b", 2);
    fs::rename(dir.path("ds/b/000002.jpg"), dir.path("ds/cover.jpg")).unwrap();
    let why = "cover.jpg lies in ds itself, not in a class's folder";
    assert_eq!(inspected(&dir, "ds").0["no_classes"], why);
    assert!(dir.succeeds("data inspect ds").text().contains(&format!("classes:    0 ({why})")));
    let line = "train cgan-mnist --steps 1 --set train.batch=2 --set data.name=folder --set data.dir=ds --set data.size=28 --out run";
    dir.gan(line).expect(2, &["has no classes (cover.jpg lies in ", "ds itself, not in a class's folder)"]);
}

#[test]
fn damaged_images_are_listed_and_skipped_in_packs() {
    let dir = WorkDir::new();
    faces(&dir, "mine", 5);
    for name in ["000002.jpg", "000004.jpg"] {
        let whole = fs::read(dir.path("mine").join(name)).unwrap();
        fs::write(dir.path("mine").join(name), &whole[..whole.len() / 2]).unwrap();
    }
    for line in ["mine", "mine --all"] {
        let (json, _) = inspected(&dir, line);
        let skipped: Vec<&str> =
            json["skipped"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
        assert_eq!(skipped, ["000002.jpg", "000004.jpg"]);
        assert_eq!((&json["checked"], &json["values"]["samples"]), (&json!(5), &json!(3)));
    }
    let finished = dir.succeeds("data pack mine mine.ganpack");
    assert!(finished.text().contains("mine.ganpack: 3 images of 3×64×64"), "{}", finished.text());
    let words = "2 files could not be used; `gan data inspect mine --all` lists them";
    assert!(finished.stderr.contains(words), "{}", finished.stderr);
    let mut pack = fs::read(dir.path("mine.ganpack")).unwrap();
    *pack.last_mut().unwrap() ^= 1;
    fs::write(dir.path("mine.ganpack"), pack).unwrap();
    let (json, _) = inspected(&dir, "mine.ganpack --all");
    assert!(json["skipped"][0]["reason"].as_str().unwrap().contains("of image 2"), "{json}");
    // With more than a thousand images, only --all finds all damage.
    faces(&dir, "many", 1);
    for n in 2..=1002 {
        fs::copy(dir.path("many/000001.jpg"), dir.path(&format!("many/{n:06}.jpg"))).unwrap();
    }
    let whole = fs::read(dir.path("many/000001.jpg")).unwrap();
    // 1,000 evenly spread samples of 1,002 images skip number 500 and the last.
    fs::write(dir.path("many/001002.jpg"), &whole[..whole.len() / 2]).unwrap();
    assert_eq!(inspected(&dir, "many --size 8").0["skipped"], json!([]));
    assert_eq!(inspected(&dir, "many --size 8 --all").0["skipped"][0]["path"], "001002.jpg");
}

#[test]
fn small_images_are_listed_and_can_be_skipped_or_enlarged() {
    let dir = WorkDir::new();
    faces(&dir, "mine", 5);
    RgbImage::new(20, 30).save(dir.path("mine/000003.jpg")).unwrap();
    let (json, _) = inspected(&dir, "mine");
    assert_eq!((&json["count"], &json["small"]), (&json!(4), &json!([{ "path": "000003.jpg", "size": [30, 20] }])));
    let text = dir.succeeds("data inspect mine");
    assert!(
        text.text().contains("too small:  1 image, about") && text.text().contains("000003.jpg (30×20)"),
        "{}",
        text.text()
    );
    let line = format!("train dcgan-folder {TINY} --set data.dir=mine --out run");
    let words = ["1 of 5 images", "mine/000003.jpg, is 30×20", "data.small=skip", "data.small=upscale"];
    dir.gan(&line).expect(2, &words);
    dir.gan("data pack mine x.ganpack").expect(2, &words);
    let finished = dir.succeeds(&format!("{line} --set data.small=skip"));
    assert!(
        finished.stderr.contains("1 of 5 images are smaller than 64×64 and are left out: 000003.jpg (30×20)"),
        "{}",
        finished.stderr
    );
    let settings = fs::read_to_string(dir.path("run/config.toml")).unwrap();
    assert!(settings.contains("small = \"skip\""), "{settings}");
    // Settings of an older version.
    fs::write(dir.path("older.toml"), settings.replace("small = \"skip\"", "upscale = true")).unwrap();
    dir.succeeds("train older.toml --steps 1 --out older --set train.batch=5");
    dir.gan("train older.toml --steps 1 --out other --set train.batch=5 --set data.small=skip").expect(2, &["1 to 4"]);
    dir.gan(&format!("{line} --set data.small=enlarge")).expect(2, &["data.small", "enlarge", "upscale"]);
}

#[cfg(unix)]
#[test]
fn files_with_false_sizes_neither_hang_nor_exhaust_memory() {
    let dir = WorkDir::new();
    faces(&dir, "d", 1);
    let path = |name: &str| dir.path("d").join(name);
    assert!(std::process::Command::new("mkfifo").arg(path("x.png")).status().unwrap().success());
    std::os::unix::fs::symlink("/dev/zero", path("y.png")).unwrap();
    fs::File::create(path("z.png")).unwrap().set_len(1 << 40).unwrap();
    let (json, _) = inspected(&dir, "d");
    let skipped: Vec<String> = json["skipped"].as_array().unwrap().iter().map(ToString::to_string).collect();
    for (file, words) in skipped.iter().zip(["x.png FIFO", "y.png device", "z.png image"]) {
        assert!(words.split(' ').all(|word| file.contains(word)), "{file}: {words}");
    }
    assert_eq!((json["count"].as_u64(), skipped.len()), (Some(1), 3));
    for (name, words) in [("x.png", "a FIFO"), ("y.png", "a character device")] {
        dir.gan(&format!("data inspect d/{name}")).expect(1, &[words, "not a regular file"]);
        dir.gan(&format!("data pack d d/{name}")).expect(2, &["is not a regular file: it stays"]);
        dir.gan(&format!("train d/{name} --out run")).expect(1, &[words, "not a regular file"]);
    }
    fs::write(dir.path("data.7z"), b"7z\xbc\xaf\x27\x1c and so on").unwrap();
    dir.gan("data inspect data.7z").expect(1, &["data.7z: no pack: found a 7z archive", "unpack it"]);
    let line = format!("train dcgan-folder {TINY} --set data.dir=data.7z --out run");
    dir.gan(&line).expect(2, &["data.7z (a 7z archive in place of a folder)", "unpack it"]);
}

#[test]
fn control_characters_in_names_are_escaped() {
    let dir = WorkDir::new();
    faces(&dir, "d/a\u{1b}[31mred", 1);
    faces(&dir, "d/b\nline", 1);
    let text = dir.succeeds("data inspect d");
    assert!(!text.text().contains('\u{1b}') && text.text().contains("a\\u{1b}[31mred"), "{}", text.text());
    assert!(text.text().contains("1  b\\nline\n"), "{}", text.text());
    dir.succeeds("data pack d d.ganpack");
    assert!(!dir.succeeds("data inspect d.ganpack").text().contains('\u{1b}'));
}

#[test]
fn digits_can_be_trained_on_at_other_sizes() {
    let dir = WorkDir::new();
    dir.first_digits("mine", 20);
    let line = format!("train dcgan-mnist {TINY} --set data.dir=mine --set data.size=32 --out run");
    dir.gan(&line).expect(2, &["data.size: found 32×32 for images of 28×28", "data.upscale=true"]);
    dir.succeeds(&format!("{line} --set data.upscale=true"));
    dir.succeeds("generate run --count 2 --out images.npy");
    assert_eq!(Tensor::read_npy(dir.path("images.npy")).unwrap().dims(), [2, 1, 32, 32]);
}

#[test]
fn bench_dcgan_celeba_needs_no_data() {
    let finished = WorkDir::new().succeeds("bench dcgan-celeba --steps 1 --batch 2 --threads 1 --json");
    assert!(finished.text().contains("\"work\":\"dcgan-celeba\""), "{}", finished.text());
}

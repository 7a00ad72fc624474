//! Images in folders: CelebA's layout, people's own, broken files among them, and other sizes of other sets.

use crate::common::{Place, Ran, assert_same, results, steps};
use candle_core::Tensor;
use image::{Rgb, RgbImage};
use std::fs;

/// The shortest run that there is.
const TINY: &str = "--steps 2 --set train.threads=1 --set train.batch=4 --set generator.width=4 --set discriminator.width=4 \
                    --set samples.rows=2 --set samples.columns=2";

/// JPEG files of 178×218 as `folder`/000001.jpg and so on.
fn faces(place: &Place, folder: &str, count: u32) {
    fs::create_dir_all(place.path(folder)).expect("a folder");
    for n in 1..=count {
        let pixel = |x: u32, y: u32| Rgb([(x + 9 * n) as u8, (y * n / 2) as u8, (x ^ y) as u8]);
        let image = RgbImage::from_fn(178, 218, pixel);
        image.save(place.path(folder).join(format!("{n:06}.jpg"))).expect("a JPEG file");
    }
}

#[test]
fn celeba_is_found_trained_on_and_made_more_of() {
    let place = Place::new();
    faces(&place, "data/celeba/img_align_celeba", 8);
    place.good(&format!("train dcgan-celeba {TINY} --out run"));
    assert_eq!(steps(&place.path("run")), [1, 2]);
    let inside = "data/celeba/img_align_celeba/new.png";
    place.gan(&format!("data inspect celeba --out {inside}")).expect(2, &["--out", inside, "the folder of the data"]);
    place.good("data inspect celeba --out faces.png");
    place.good("generate run --count 3 --out images.npy");
    assert_eq!(Tensor::read_npy(place.path("images.npy")).unwrap().dims(), [3, 3, 64, 64]);
}

#[test]
fn the_splits_of_celeba_are_its_lists() {
    let place = Place::new();
    faces(&place, "celeba/img_align_celeba", 8);
    let line = format!("train dcgan-celeba {TINY} --set data.dir=celeba --out run");
    place.gan(&format!("{line} --set data.split=test")).expect(2, &["list_eval_partition.txt", "data.split"]);
    let parts: String = (1..=8).map(|n| format!("{n:06}.jpg {}\n", n / 5)).collect();
    fs::write(place.path("celeba/list_eval_partition.txt"), parts).unwrap();
    let words = ["train.batch: found 5, expected 1 to 4, the number of images"];
    place.gan(&format!("{line} --set data.split=valid --set train.batch=5")).expect(2, &words);
    place.good(&format!("{line} --set data.split=valid"));
    place.gan(&format!("{line} --set data.split=half")).expect(2, &["data.split", "half", "valid"]);
}

#[test]
fn own_images_train_at_any_size_with_the_same_flips_for_any_loader() {
    let place = Place::new();
    faces(&place, "mine/a", 3);
    faces(&place, "mine/b", 3);
    let settings = "--set data.dir=mine --set data.channels=1 --set data.size=[32,48] --set data.fit=pad \
                    --set data.filter=lanczos --set data.background=[10,20,30] --set data.crop=[200,150] --set data.flip=true";
    for workers in [0, 3] {
        place.good(&format!("train dcgan-folder {TINY} {settings} --set data.workers={workers} --out run{workers}"));
    }
    assert_same(&results(&place.path("run0")), &results(&place.path("run3")));
    place.good("generate run0 --count 2 --out images.npy");
    assert_eq!(Tensor::read_npy(place.path("images.npy")).unwrap().dims(), [2, 1, 32, 48]);
}

#[test]
fn broken_files_are_left_out_unless_all_must_be_whole() {
    let place = Place::new();
    faces(&place, "mine", 6);
    fs::write(place.path("mine/000002.jpg"), "").unwrap();
    let whole = fs::read(place.path("mine/000004.jpg")).unwrap();
    fs::write(place.path("mine/000004.jpg"), &whole[..whole.len() / 2]).unwrap();
    let line = format!("train dcgan-folder {TINY} --set data.dir=mine");
    let ran: Ran = place.good(&format!("{line} --set train.batch=5 --out run"));
    for words in ["1 of 6 files are left out", "000002.jpg: the file is empty", "000004.jpg: the JPEG file is cut off"]
    {
        assert_eq!(ran.stderr.matches(words).count(), 1, "{words}: {}", ran.stderr);
    }
    let strict = format!("{line} --set data.strict=true --out strict");
    place.gan(&strict).expect(1, &["mine/000002.jpg", "the file is empty", "data.strict=false"]);
    fs::remove_file(place.path("mine/000002.jpg")).unwrap();
    place.gan(&format!("{strict} --set train.batch=5")).expect(1, &["mine/000004.jpg", "cut off"]);
}

#[test]
fn looking_into_data_and_packing_it_leave_broken_files_out_unless_told_to_be_strict() {
    let place = Place::new();
    faces(&place, "mine", 3);
    fs::write(place.path("mine/000002.jpg"), "").unwrap();
    let text = place.good("data inspect mine");
    assert!(text.text().contains("000002.jpg: the file is empty"), "{}", text.text());
    let words = ["mine/000002.jpg", "the file is empty", "data.strict=false"];
    place.gan("data inspect mine --strict").expect(1, &words);
    place.gan("data pack mine strict.ganpack --strict").expect(1, &words);
    assert!(!place.path("strict.ganpack").exists());
    place.good("data pack mine mine.ganpack");
    fs::remove_file(place.path("mine/000002.jpg")).unwrap();
    place.good("data inspect mine --strict");
    let whole = fs::read(place.path("mine/000003.jpg")).unwrap();
    fs::write(place.path("mine/000003.jpg"), &whole[..whole.len() / 2]).unwrap();
    let words = ["mine/000003.jpg", "cut off"];
    place.gan("data inspect mine --strict").expect(1, &words);
    place.gan("data pack mine strict.ganpack --strict").expect(1, &words);
}

#[test]
fn folders_that_cannot_be_trained_on_say_what_to_do() {
    let place = Place::new();
    fs::create_dir(place.path("mine")).unwrap();
    let line = format!("train dcgan-folder {TINY} --out run");
    place.gan(&line).expect(2, &["data.dir", "is missing", "--set data.dir=DIR"]);
    let line = format!("{line} --set data.dir=mine");
    place.gan(&line).expect(2, &["mine, which is empty", ".jpg"]);
    faces(&place, "mine", 1);
    place.gan(&line).expect(2, &["train.batch: found 4, expected 1 to 1"]);
    place.gan(&format!("{line} --set data.size=256")).expect(2, &["1 of 1 images", "218×178", "data.upscale=true"]);
    place.gan(&format!("{line} --set data.crop=200")).expect(2, &["1 of 1 images", "200×200 for data.crop"]);
    place.gan(&format!("{line} --set data.split=test")).expect(2, &["data.split", "no splits"]);
    place.gan(&format!("{line} --set data.background=red")).expect(2, &["data.background", "red", "\"white\""]);
    assert!(!place.path("run").exists());
    place.good(&format!("{line} --set train.batch=1"));
}

#[test]
fn digits_can_be_trained_on_at_other_sizes() {
    let place = Place::new();
    place.first_digits("mine", 20);
    let line = format!("train dcgan-mnist {TINY} --set data.dir=mine --set data.size=32 --out run");
    place.gan(&line).expect(2, &["data.size: found 32×32 for images of 28×28", "data.upscale=true"]);
    place.good(&format!("{line} --set data.upscale=true"));
    place.good("generate run --count 2 --out images.npy");
    assert_eq!(Tensor::read_npy(place.path("images.npy")).unwrap().dims(), [2, 1, 32, 32]);
}

#[test]
fn the_bench_of_the_faces_needs_no_faces() {
    let ran = Place::new().good("bench dcgan-celeba --steps 1 --batch 2 --threads 1 --json");
    assert!(ran.text().contains("\"work\":\"dcgan-celeba\""), "{}", ran.text());
}

//! `gan generate`: number, choice and format of samples, from the weight file alone.

use crate::common::{WorkDir, files};
use candle_core::{Device, Tensor};
use gan_report::{Colour, Picture};
use std::fs;

const FROM: &str = "generate generator.safetensors";
/// Distance of the cells of a sheet, which is enlarged twice, in pixels.
const CELL: usize = 2 * (28 + 2);
/// Width of the sheet's border in pixels.
const EDGE: usize = 2 * 2;

fn sheet(dir: &WorkDir, more: &str) -> Picture {
    dir.succeeds(&format!("{FROM} {more} --out sheet.png"));
    Picture::open_png(&dir.path("sheet.png")).unwrap()
}

fn array(dir: &WorkDir, more: &str) -> Tensor {
    dir.succeeds(&format!("{FROM} {more} --out a.npy"));
    Tensor::read_npy(dir.path("a.npy")).unwrap()
}

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn a_sheet_has_the_requested_rows_and_columns() {
    let dir = WorkDir::with_generator();
    for (more, rows, columns) in [
        ("", 8, 8),
        ("--count 5", 2, 3),
        ("--count 1", 1, 1),
        ("--count 20 --grid 4x5", 4, 5),
        ("--grid 2x7", 2, 7),
        ("--count 3 --grid 2x2", 2, 2),
    ] {
        let picture = sheet(&dir, more);
        let size = (picture.height(), picture.width(), picture.colour());
        assert_eq!(size, (rows * CELL + EDGE, columns * CELL + EDGE, Colour::Grey), "{more}");
    }
}

#[test]
fn a_grid_that_is_too_small_or_malformed_is_refused() {
    let dir = WorkDir::with_generator();
    dir.gan(&format!("{FROM} --count 5 --grid 2x2")).expect(2, &["2x2", "4 cells", "5 samples"]);
    dir.gan(&format!("{FROM} --grid 0x4")).expect(2, &["8x8"]);
    dir.gan(&format!("{FROM} --count 0")).expect(2, &["--count"]);
    dir.gan(&format!("{FROM} --grid 2x2 --out a.npy")).expect(2, &["--grid", "a.npy"]);
    assert_eq!(files(&dir.path(".")).len(), 1);
}

#[test]
fn an_array_holds_float32_images_in_the_datas_range() {
    let dir = WorkDir::with_generator();
    let images = array(&dir, "--count 300");
    assert_eq!((images.dims(), images.dtype()), (&[300, 1, 28, 28][..], candle_core::DType::F32));
    let values = values(&images);
    assert!(values.iter().all(|v| (-1.0..=1.0).contains(v)));
    assert!(values.iter().any(|v| *v != values[0]), "all pixels are alike");
    let header = fs::read(dir.path("a.npy")).unwrap();
    assert!(header.starts_with(b"\x93NUMPY") && String::from_utf8_lossy(&header[..128]).contains("<f4"));
}

#[test]
fn samples_depend_on_the_seed_and_a_larger_count_extends_them() {
    let dir = WorkDir::with_generator();
    let first = values(&array(&dir, "--count 6 --seed 3"));
    assert_eq!(first, values(&array(&dir, "--count 6 --seed 3")));
    assert_ne!(first, values(&array(&dir, "--count 6 --seed 4")));
    assert_eq!(first, values(&array(&dir, "--count 9 --seed 3"))[..first.len()]);
    assert_eq!(values(&array(&dir, "--count 6")), values(&array(&dir, "--count 6 --seed 0")));
}

#[test]
fn latents_from_a_file_reproduce_the_samples() {
    let dir = WorkDir::with_generator();
    let z = Tensor::from_iter((0..700).map(|i| (i as f32 * 0.37).sin()), &Device::Cpu).unwrap();
    z.reshape((7, 100)).unwrap().write_npy(dir.path("z.npy")).unwrap();
    let all = array(&dir, "--latents z.npy");
    assert_eq!(all.dims(), [7, 1, 28, 28]);
    assert_eq!(values(&all), values(&array(&dir, "--latents z.npy")));
    let two = values(&array(&dir, "--latents z.npy --count 2"));
    assert_eq!(two, values(&all)[..two.len()]);
    dir.gan(&format!("{FROM} --latents z.npy --count 8")).expect(1, &["z.npy", "7", "8"]);
    z.reshape((14, 50)).unwrap().write_npy(dir.path("z.npy")).unwrap();
    dir.gan(&format!("{FROM} --latents z.npy")).expect(1, &["z.npy", "[14, 50]", "[N, 100]"]);
}

#[test]
fn a_dash_writes_a_png_to_standard_output_and_nothing_else() {
    let dir = WorkDir::with_generator();
    let finished = dir.succeeds(&format!("{FROM} --count 4 --out -"));
    assert!(finished.stderr.is_empty(), "{}", finished.stderr);
    assert_eq!(files(&dir.path(".")).len(), 1);
    dir.succeeds(&format!("{FROM} --count 4 --out file.png"));
    assert_eq!(finished.stdout, fs::read(dir.path("file.png")).unwrap());
}

#[test]
fn a_folder_gets_one_png_per_sample() {
    let dir = WorkDir::with_generator();
    let finished = dir.succeeds(&format!("{FROM} --count 12 --out many/images"));
    assert!(finished.text().contains("many/images") && finished.text().contains("12"), "{}", finished.text());
    let names: Vec<_> = files(&dir.path("many/images")).into_keys().collect();
    assert_eq!((names.len(), names[0].as_str(), names[11].as_str()), (12, "0000.png", "0011.png"));
    let picture = Picture::open_png(&dir.path("many/images/0003.png")).unwrap();
    assert_eq!((picture.width(), picture.height()), (28, 28));
    let byte = |v: &f32| ((v + 1.0) * 127.5).round() as u8;
    let pixels: Vec<u8> = values(&array(&dir, "--count 12"))[3 * 784..4 * 784].iter().map(byte).collect();
    assert_eq!(picture.data(), pixels);
}

#[test]
fn the_location_and_name_of_the_weight_file_do_not_matter() {
    let dir = WorkDir::with_generator();
    let here = values(&array(&dir, "--count 3"));
    let elsewhere = WorkDir::new();
    fs::copy(dir.path("generator.safetensors"), elsewhere.path("renamed.safetensors")).unwrap();
    elsewhere.succeeds("generate renamed.safetensors --count 3 --out a.npy");
    assert_eq!(here, values(&Tensor::read_npy(elsewhere.path("a.npy")).unwrap()));
}

#[test]
fn a_run_folder_can_replace_its_weight_file() {
    let dir = WorkDir::with_generator();
    let here = values(&array(&dir, "--count 3"));
    fs::create_dir(dir.path("run")).unwrap();
    fs::rename(dir.path("generator.safetensors"), dir.path("run/generator.safetensors")).unwrap();
    dir.succeeds("generate run --count 3 --out b.npy");
    assert_eq!(here, values(&Tensor::read_npy(dir.path("b.npy")).unwrap()));
}

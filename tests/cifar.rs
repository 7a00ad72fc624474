//! CIFAR-10 and Fashion-MNIST: training on files in the published layout, and generating images of the same kind.

use crate::common::{WorkDir, steps};
use candle_core::{DType, Tensor};
use gan_report::{Colour, Picture};
use std::fs;

/// Arguments of a very short run.
const TINY: &str = "--steps 2 --set train.threads=1 --set train.batch=8 --set generator.width=8 --set discriminator.width=8 \
                    --set samples.rows=2 --set samples.columns=2 --out run";

/// Writes batches of CIFAR-10's binary version with `each` records.
fn batches(dir: &WorkDir, folder: &str, each: u32) {
    let below = dir.path(folder).join("cifar-10-batches-bin");
    fs::create_dir_all(&below).expect("a folder");
    let record = |n: u32| {
        let pixels = (0..3072u32).map(move |i| ((i % 32) * (n % 8) + (i / 1024) * 60) as u8);
        std::iter::once((n % 10) as u8).chain(pixels)
    };
    let names = (1..=5).map(|n| format!("data_batch_{n}.bin")).chain(["test_batch.bin".into()]);
    for (name, batch) in names.zip(0..) {
        let bytes: Vec<u8> = (batch * each..(batch + 1) * each).flat_map(record).collect();
        fs::write(below.join(name), bytes).expect("a file");
    }
    let classes = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";
    fs::write(below.join("batches.meta.txt"), classes).expect("a file");
}

#[test]
fn cifar_10_is_found_trained_on_and_generated() {
    let dir = WorkDir::new();
    batches(&dir, "data/cifar10", 4);
    dir.succeeds(&format!("train dcgan-cifar10 {TINY}"));
    assert_eq!(steps(&dir.path("run")), [1, 2]);
    dir.succeeds("generate run --count 3 --out images.npy");
    let images = Tensor::read_npy(dir.path("images.npy")).unwrap();
    assert_eq!((images.dims(), images.dtype()), (&[3, 3, 32, 32][..], DType::F32));
    dir.succeeds("generate run --count 4 --out sheet.png");
    assert_eq!(Picture::open_png(&dir.path("sheet.png")).unwrap().colour(), Colour::Rgb);
}

#[test]
fn damaged_or_missing_batches_of_cifar_10_are_named() {
    let dir = WorkDir::new();
    batches(&dir, "mine", 4);
    let file = dir.path("mine/cifar-10-batches-bin/data_batch_2.bin");
    let line = format!("train dcgan-cifar10 {TINY} --set data.dir=mine");
    fs::write(&file, [0; 3074]).unwrap();
    dir.gan(&line).expect(1, &["data_batch_2.bin", "found 3074 bytes", "3073"]);
    fs::remove_file(&file).unwrap();
    dir.gan(&line).expect(2, &["cifar-10-batches-bin: found no such file", "data_batch_2.bin", "data.dir"]);
    let elsewhere = "train dcgan-cifar10 --set data.dir=nowhere --out run";
    dir.gan(elsewhere).expect(2, &["nowhere: found no such folder"]);
    assert!(!dir.path("run").exists());
}

#[test]
fn fashion_mnist_is_found_under_its_own_name() {
    let dir = WorkDir::new();
    fs::create_dir(dir.path("data")).unwrap();
    dir.first_digits("data/fashion-mnist", 20);
    dir.succeeds(&format!("train dcgan-mnist --set data.name=fashion-mnist {TINY}"));
    dir.succeeds("generate run --count 3 --out images.npy");
    assert_eq!(Tensor::read_npy(dir.path("images.npy")).unwrap().dims(), [3, 1, 28, 28]);
}

//! CIFAR-10: a batch and, after a separator, the names of the classes.

use crate::place::{self, joined, parts};
use crate::target::{Memory, Outcome, Seed, Target};
use gan_data::{Cifar10, DatasetSpec, OpenOptions, Split};
use std::fs;

/// Loads a test batch and reads its images.
pub const TARGET: Target = Target {
    name: "cifar",
    body,
    seeds,
    tokens: &["\n=====\n", "airplane\n", "\n", "\u{9}", "\u{a}"],
    memory: Memory { mebibytes: 1, per_byte: 64 },
};

fn body(input: &[u8]) -> Outcome {
    let dir = place::folder("cifar")?;
    let [batch, names] = parts(input);
    place::file(&dir, "test_batch.bin", batch.unwrap_or_default())?;
    match names {
        Some(names) => drop(place::file(&dir, Cifar10::META, names)?),
        None => drop(fs::remove_file(dir.join(Cifar10::META))),
    }
    let data = Cifar10 { split: Some(Split::Test) }.open(&OpenOptions::default().dir(dir))?;
    let mut image = vec![0.0; data.pixels()];
    for index in 0..data.len().min(4) {
        data.write(index, &mut image)?;
        assert!(data.label(index).is_some_and(|label| (label as usize) < data.classes().len()));
    }
    Ok(())
}

fn seeds() -> Vec<Seed> {
    let record = |label: u8| [vec![label], vec![label * 20; Cifar10::PIXELS]].concat();
    let names = Cifar10::CLASSES.join("\n");
    vec![("one", record(9)), ("two-and-names", joined(&[&[record(0), record(3)].concat(), names.as_bytes()]))]
}

//! CIFAR-10: colour PNG files into binary batches.

use super::{Count, Parts, pixels};
use crate::fetch::place::Staging;
use crate::{Cifar10, Error, Split};
use std::path::PathBuf;

/// Height and width.
const SIDE: u32 = 32;

/// Writes the training rows in five batches of the same size, the last ones longer by a row where they do not divide.
pub(super) fn write(parts: &Parts, staging: &mut Staging, count: &mut Count<'_>) -> Result<(), Error> {
    let train = records(&parts.train, count)?;
    let (names, n) = (Cifar10::files(Split::Train)?, train.len());
    for (at, name) in names.iter().enumerate() {
        let batch = &train[at * n / names.len()..(at + 1) * n / names.len()];
        staging.write(name, &batch.concat())?;
    }
    staging.write(&Cifar10::files(Split::Test)?[0], &records(&parts.test, count)?.concat())?;
    staging.write(Cifar10::META, (Cifar10::CLASSES.join("\n") + "\n").as_bytes())
}

/// The label, then the planes, of each row.
fn records(files: &[PathBuf], count: &mut Count<'_>) -> Result<Vec<Vec<u8>>, Error> {
    let mut records = Vec::new();
    count.rows(files, |sample| {
        let mut record = Vec::with_capacity(1 + Cifar10::PIXELS);
        record.push(sample.label(Cifar10::CLASSES.len())?);
        let image = pixels(&sample, SIDE)?.into_rgb8();
        (0..3).for_each(|plane| record.extend(image.pixels().map(|pixel| pixel.0[plane])));
        records.push(record);
        Ok(())
    })?;
    Ok(records)
}

//! The data set that a plan names, opened and checked against it.

use crate::config::LastBatch;
use crate::error::{Error, Result};
use crate::plan::Plan;
use gan_core::wording::choose;
use gan_data::{Dataset, Loader, MadeImages, Mnist, MnistOptions, Order, Sampler, Sampling, Split};
use std::sync::Arc;

/// Images in the set called "made".
const MADE: usize = 60_000;

/// Opens the plan's training data.
///
/// # Errors
/// If the name is unknown, the files are missing or damaged, or the images have another shape than the plan's.
pub fn open(plan: &Plan) -> Result<Arc<dyn Dataset>> {
    let data = &plan.config().data;
    let sample = plan.sample();
    let set: Arc<dyn Dataset> = match data.name.as_str() {
        "mnist" => Arc::new(Mnist::load(&MnistOptions { dir: data.dir.clone(), split: Split::Train, size: None })?),
        "made" => Arc::new(MadeImages::new(plan.config().train.seed, MADE, sample)?),
        other => {
            return Err(Error::config(
                "data.name",
                format!("unknown data set \"{other}\"{}", choose(other, &["mnist", "made"])),
            ));
        }
    };
    if set.shape() != sample {
        return Err(other_shape(&data.name, sample, set.shape()));
    }
    Ok(set)
}

fn other_shape(name: &str, [c, h, w]: [usize; 3], [has_c, has_h, has_w]: [usize; 3]) -> Error {
    if c == has_c {
        let advice = "images are not resized yet: set data.size to theirs";
        return Error::config(
            "data.size",
            format!("{h}×{w} cannot be used: the images of {name} are {has_h}×{has_w}; {advice}"),
        );
    }
    let problem =
        format!("{c} cannot be used: the images of {name} have {has_c} (and {has_h}×{has_w} pixels); set it to that");
    Error::config("data.channels", problem)
}

/// A loader over `dataset` as the plan draws from it.
///
/// # Errors
/// If the batch is larger than the data.
pub fn loader(plan: &Plan, dataset: Arc<dyn Dataset>) -> Result<Loader> {
    let (data, train) = (&plan.config().data, &plan.config().train);
    let order = if data.replacement { Order::WithReplacement } else { Order::Shuffled };
    let last = match data.last_batch {
        LastBatch::Keep => gan_data::LastBatch::Keep,
        LastBatch::Drop => gan_data::LastBatch::Drop,
    };
    let sampling = Sampling { len: dataset.len(), batch: train.batch, seed: train.seed, order, last };
    Ok(Loader::new(dataset, Sampler::new(sampling)?, data.workers)?)
}

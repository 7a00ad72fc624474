//! The data set that a plan names, opened and checked against it.

use crate::config::LastBatch;
use crate::error::{Error, Result};
use crate::plan::Plan;
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
        other => return Err(Error::config("data.name", format!("unknown data set \"{other}\". Known: mnist, made"))),
    };
    if set.shape() != sample {
        let ([c, h, w], found) = (sample, set.shape());
        let problem = format!(
            "{} has images [channels, height, width] {found:?}, the settings say {sample:?}: set data.size to [{}, {}] and \
             data.channels to {} (now [{h}, {w}] and {c})",
            data.name, found[1], found[2], found[0]
        );
        return Err(Error::config("data.size", problem));
    }
    Ok(set)
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

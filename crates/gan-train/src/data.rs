//! The data set of a plan, opened and checked against it.

use crate::config::DataConfig;
use crate::error::{Error, Result};
use crate::plan::Plan;
use candle_core::{Device, Tensor};
use gan_base::messages::counted;
use gan_core::Layer;
use gan_data::images::Broken;
use gan_data::{Dataset, Loader, OpenOptions, Order, SampleSizes, Sampler, Sampling, Subset};
use std::sync::Arc;

/// Number of images above which the order of an epoch is random within windows.
const MANY: usize = 1_000_000;

/// Number of images in such a window.
const WINDOW: usize = 65_536;

/// Opens the plan's training data.
///
/// # Errors
/// If the name is unknown, the files are missing or damaged, or the images have another shape than the plan's.
pub fn open(plan: &Plan) -> Result<Arc<dyn Dataset>> {
    let data = &plan.config().data;
    let sample = plan.sample();
    // Synthetic samples have the number of classes that the networks expect.
    let classes = plan.generator.layers.iter().find_map(Layer::classes).unwrap_or(0);
    let set = opened(data, &sample, plan.config().train.seed, classes)?;
    check_shape(data, &sample, &set.shape())?;
    Ok(set)
}

/// Opens the training images of the data set that `data` names. Sets whose images have one size are resized if `sample` is the shape of an
/// image; [`check_shape`] checks the channels. `seed` determines random samples.
///
/// # Errors
/// If the name is unknown, or the files are missing or damaged.
pub fn find(data: &DataConfig, sample: &[usize], seed: u64) -> Result<Arc<dyn Dataset>> {
    opened(data, sample, seed, 0)
}

fn opened(data: &DataConfig, sample: &[usize], seed: u64, classes: usize) -> Result<Arc<dyn Dataset>> {
    let keeps_its_size = data.sizes() == SampleSizes::One && sample.len() != 3;
    let whole = data.set.open(&OpenOptions {
        dir: data.dir.clone(),
        fitting: data.fitting().filter(|_| !keeps_its_size),
        channels: Some(data.channels),
        broken: if data.strict { Broken::Refuse } else { Broken::Skip },
        seed,
        classes,
    })?;
    Ok(match data.limit {
        Some(limit) => Arc::new(Subset::of(whole, limit)),
        None => whole,
    })
}

/// Checks that samples of the shape `has` can be trained on if `sample` is expected.
///
/// # Errors
/// If they cannot, with the key that does not fit.
pub fn check_shape(data: &DataConfig, sample: &[usize], has: &[usize]) -> Result<()> {
    if has == sample {
        return Ok(());
    }
    let file = data.pack().or(data.array());
    let name = file.map_or(data.name().to_string(), |path| path.display().to_string());
    let (key, problem) = match (sample, has) {
        ([c, _, _], [has_c, has_h, has_w]) => (
            "data.channels",
            format!(
                "{c} cannot be used: the images of {name} have {has_c} (and {has_h}×{has_w} pixels); set it to that"
            ),
        ),
        (_, [_, has_h, has_w]) => ("data.size", format!("is missing; the images of {name} are {has_h}×{has_w}")),
        ([_, _, _], _) => ("data.size", format!("the samples of {name} are points and have no size: remove it")),
        (_, has) => {
            let has = counted(has[0], "coordinate");
            ("data.channels", format!("{} cannot be used: the points of {name} have {has}", sample[0]))
        }
    };
    Err(Error::config(key, problem))
}

/// Returns a loader over `dataset` with the plan's settings.
///
/// # Errors
/// If the batch is larger than the data.
pub fn loader(plan: &Plan, dataset: Arc<dyn Dataset>) -> Result<Loader> {
    let data = &plan.config().data;
    let train = &plan.config().train;
    let order = match (data.replacement, data.window) {
        (true, _) => Order::WithReplacement,
        (false, Some(window)) => Order::Windowed(window),
        (false, None) if dataset.len() > MANY => Order::Windowed(WINDOW),
        (false, None) => Order::Shuffled,
    };
    let sampling = Sampling { len: dataset.len(), batch: train.batch, seed: train.seed, order, last: data.last_batch };
    Ok(Loader::new(dataset, Sampler::new(sampling)?, data.workers)?.with_flip(data.flip))
}

/// Reads samples of a data set by number, `[N, C, H, W]` or `[N, D]`.
///
/// # Errors
/// If one cannot be read.
pub fn samples(set: &dyn Dataset, indices: &[usize]) -> Result<Tensor> {
    let size = set.pixels();
    let mut values = vec![0.0; indices.len() * size];
    indices.iter().zip(values.chunks_exact_mut(size)).try_for_each(|(index, out)| set.write(*index, out))?;
    let shape = [&[indices.len()], &set.shape()[..]].concat();
    Tensor::from_vec(values, shape, &Device::Cpu).map_err(Error::from)
}

//! The data set that a plan names, opened and checked against it.

use crate::config::{DataConfig, LastBatch};
use crate::error::{Error, Result};
use crate::plan::{Plan, only_of_its_set};
use candle_core::{Device, Tensor};
use gan_base::messages::choose;
use gan_base::messages::counted;
use gan_core::Layer;
use gan_data::pack::{Pack, is_pack};
use gan_data::points::Shape;
use gan_data::{Dataset, Family, Fewer, Flip, Loader, MadeImages, Order, Points, Sampler, Sampling};
use std::path::Path;
use std::sync::Arc;

mod images;

/// Images in the set called "made", unless another number is asked for.
const MADE: usize = 60_000;

/// Images above which an epoch's order is random within windows.
const MANY: usize = 1_000_000;

/// Images in such a window.
const WINDOW: usize = 65_536;

/// Every name that `data.name` may have.
pub const KNOWN: [&str; 10] =
    ["mnist", "fashion-mnist", "stacked-mnist", "cifar10", "celeba", "folder", "curve", "ring", "grid", "made"];

/// Opens the plan's training data.
///
/// # Errors
/// If the name is unknown, the files are missing or damaged, or the images have another shape than the plan's.
pub fn open(plan: &Plan) -> Result<Arc<dyn Dataset>> {
    let (data, sample) = (&plan.config().data, plan.sample());
    let seed = plan.config().train.seed;
    let set: Arc<dyn Dataset> = match data.name.as_str() {
        // Made samples have whatever classes the networks are for.
        "made" if pack(data).is_none() => {
            only_of_its_set(data)?;
            Arc::new(made(data, &sample, seed, plan.generator.layers.iter().find_map(Layer::classes).unwrap_or(0))?)
        }
        _ => find(data, &sample, seed)?,
    };
    check_shape(data, &sample, &set.shape())?;
    Ok(set)
}

/// Opens the data that `data` names, training images. `sample` is the shape wanted, which data sets that can take any follow;
/// the others come in their own ([`check_shape`]). `seed` decides what is drawn or made.
///
/// # Errors
/// If the name is unknown, a setting belongs to another set, or the files are missing or damaged.
pub fn find(data: &DataConfig, sample: &[usize], seed: u64) -> Result<Arc<dyn Dataset>> {
    let whole = whole(data, sample, seed)?;
    Ok(match data.limit {
        Some(limit) => Arc::new(Fewer::of(whole, limit)),
        None => whole,
    })
}

/// All of it.
fn whole(data: &DataConfig, sample: &[usize], seed: u64) -> Result<Arc<dyn Dataset>> {
    only_of_its_set(data)?;
    if let Some(path) = pack(data) {
        return images::fitted(data, sample, Arc::new(Pack::open(path)?));
    }
    Ok(match data.name.as_str() {
        "mnist" => images::mnist(data, sample, Family::Mnist)?,
        "fashion-mnist" => images::mnist(data, sample, Family::FashionMnist)?,
        "stacked-mnist" => images::stacked_mnist(data, sample, seed)?,
        "cifar10" => images::cifar10(data, sample)?,
        "celeba" => images::celeba(data)?,
        "folder" => images::folder(data)?,
        "made" => Arc::new(made(data, sample, seed, 0)?),
        "curve" | "ring" | "grid" => Arc::new(Points::new(&points(data)?, seed)?),
        other => {
            return Err(Error::config("data.name", format!("unknown data set \"{other}\"{}", choose(other, &KNOWN))));
        }
    })
}

/// The pack that `data.dir` names: it is read whatever `data.name` is.
pub fn pack(data: &DataConfig) -> Option<&Path> {
    data.dir.as_deref().filter(|path| is_pack(path))
}

/// Whether samples of the shape `has` can be trained on where `sample` is wanted.
///
/// # Errors
/// If they cannot, naming the key that does not fit.
pub fn check_shape(data: &DataConfig, sample: &[usize], has: &[usize]) -> Result<()> {
    let name = pack(data).map_or(data.name.clone(), |path| path.display().to_string());
    if has == sample { Ok(()) } else { Err(other_shape(&name, sample, has)) }
}

/// What the points of "curve", "ring" or "grid" are.
///
/// # Errors
/// If the data are no points.
pub fn points(data: &DataConfig) -> Result<Shape> {
    match data.name.as_str() {
        "curve" => Ok(Shape::Curves(data.curve.clone().unwrap_or_default())),
        "ring" => Ok(Shape::Ring(data.ring.clone().unwrap_or_default())),
        "grid" => Ok(Shape::Grid(data.grid.clone().unwrap_or_default())),
        other => Err(Error::config("data.name", format!("\"{other}\" is no set of points: curve, ring or grid"))),
    }
}

/// Noise of the plan's own shape, images or points.
struct Made {
    images: MadeImages,
    shape: Vec<usize>,
}

fn made(data: &DataConfig, sample: &[usize], seed: u64, classes: usize) -> Result<Made> {
    let [c, h, w] = [0, 1, 2].map(|i| sample.get(i).copied().unwrap_or(1));
    let images = MadeImages::new(seed, data.count.unwrap_or(MADE), [c, h, w])?.with_classes(classes);
    Ok(Made { images, shape: sample.to_vec() })
}

impl Dataset for Made {
    fn len(&self) -> usize {
        self.images.len()
    }
    fn shape(&self) -> Vec<usize> {
        self.shape.clone()
    }
    fn write(&self, index: usize, out: &mut [f32]) -> std::result::Result<(), gan_data::Error> {
        self.images.write(index, out)
    }
    fn label(&self, index: usize) -> Option<u32> {
        self.images.label(index)
    }
    fn classes(&self) -> &[String] {
        self.images.classes()
    }
}

fn other_shape(name: &str, sample: &[usize], has: &[usize]) -> Error {
    match (sample, has) {
        ([c, _, _], [has_c, has_h, has_w]) => {
            let problem = format!(
                "{c} cannot be used: the images of {name} have {has_c} (and {has_h}×{has_w} pixels); set it to that"
            );
            Error::config("data.channels", problem)
        }
        (_, [_, has_h, has_w]) => {
            Error::config("data.size", format!("is missing; the images of {name} are {has_h}×{has_w}"))
        }
        ([_, _, _], _) => {
            Error::config("data.size", format!("the samples of {name} are points and have no size: remove it"))
        }
        (_, has) => Error::config(
            "data.channels",
            format!("{} cannot be used: the points of {name} have {}", sample[0], counted(has[0], "coordinate")),
        ),
    }
}

/// A loader over `dataset` as the plan draws from it.
///
/// # Errors
/// If the batch is larger than the data.
pub fn loader(plan: &Plan, dataset: Arc<dyn Dataset>) -> Result<Loader> {
    let (data, train) = (&plan.config().data, &plan.config().train);
    let order = match (data.replacement, data.window) {
        (true, _) => Order::WithReplacement,
        (false, Some(window)) => Order::Windowed(window),
        (false, None) if dataset.len() > MANY => Order::Windowed(WINDOW),
        (false, None) => Order::Shuffled,
    };
    let last = match data.last_batch {
        LastBatch::Keep => gan_data::LastBatch::Keep,
        LastBatch::Drop => gan_data::LastBatch::Drop,
    };
    let sampling = Sampling { len: dataset.len(), batch: train.batch, seed: train.seed, order, last };
    let flip = if data.flip { Flip::Random } else { Flip::Never };
    Ok(Loader::new(dataset, Sampler::new(sampling)?, data.workers)?.with_flip(flip))
}

/// Samples of a data set by number, `[N, C, H, W]` or `[N, D]`.
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

//! Comparisons of a generator, a folder of images or an array with real data.
//!
//! The size at which images reach the network ([`Way`]) matters. A network that resizes its input itself gets images from files in their
//! original sizes, as in the published protocols. A network that needs one size gets the samples' size, to which larger real images are
//! resized, or the real images' size if they are smaller. `data.size` overrides both. A generator is compared with its training data at its
//! training size.

use super::given::Given;
use super::images::{Images, SizeRange, Way, fitting};
use super::real::Real;
use super::{Against, Evaluator, Progress, Resizing, Role, Setup, network};
use crate::error::{Error, Result};
use gan_base::messages::counted;
use gan_core::layers::Pair;
use gan_data::images::Small;
use gan_data::npy::{ImageArray, NpyFile, VectorArray};
use gan_data::{Dataset, Folder, SampleSizes, Split};
use gan_metrics::{Occasion, Protocol};
use gan_train::config::{DataConfig, EvaluateConfig};
use gan_train::data;
use std::path::PathBuf;
use std::sync::Arc;

/// Samples to evaluate.
pub enum Subject {
    /// Samples of this shape from a generator.
    Made(Vec<usize>),
    /// A folder of images.
    Folder(PathBuf),
    /// Images or points in an array.
    Array(NpyFile),
}

/// Samples and the data to compare them with.
pub struct Request {
    /// Samples to evaluate.
    pub subject: Subject,
    /// Name of the samples in messages.
    pub name: String,
    /// Maximum number of samples of a folder or an array, spread evenly over it; all by default.
    pub most: Option<usize>,
    /// Real data.
    pub data: DataConfig,
    /// Role of the real data.
    pub role: Role,
    /// Size `[H, W]` that the user sets and to which all images are resized.
    pub size: Option<[usize; 2]>,
    /// Seed of every random choice of samples.
    pub seed: u64,
    /// Published protocol to follow.
    pub protocol: Option<Protocol>,
}

/// Returns the evaluator for a request, and the samples if they already exist.
///
/// # Errors
/// If the data, the samples or the embedding network cannot be read, or do not fit together.
pub fn compare(request: Request, how: &EvaluateConfig, progress: &mut Progress) -> Result<(Evaluator, Option<Given>)> {
    check_protocol(&request, how)?;
    let is_points = request.data.sizes() == SampleSizes::Points;
    match (is_points, &request.subject) {
        (true, _) => points(request, how, progress),
        // The data as in training, with the same numbers.
        (false, Subject::Made(shape)) if request.role == Role::TrainingData && request.size.is_none() => {
            let sample = shape.clone();
            of_training(request, sample, how, progress)
        }
        _ => images(request, how, progress),
    }
}

/// Refuses settings that a published protocol does not allow.
fn check_protocol(request: &Request, how: &EvaluateConfig) -> Result<()> {
    let Some(protocol) = request.protocol else { return Ok(()) };
    let (key, reference) = (protocol.key(), "compares with all of the training set: leave it out");
    let refuse = |setting: &str, problem: &str| Err(Error::config(setting, format!("{key} {problem}")));
    if !matches!(request.data.set.split(), None | Some(Split::Train)) {
        return refuse("data.split", reference);
    }
    if request.data.limit.is_some() {
        return refuse("data.limit", reference);
    }
    if how.embedder != protocol.embedder() {
        return refuse("--embedder", &format!("takes \"{}\"", protocol.embedder()));
    }
    if how.samples != protocol.samples() {
        return refuse("--samples", &format!("takes {} samples: leave it out", protocol.samples()));
    }
    Ok(())
}

/// Refuses fewer samples than a published protocol needs, before any is embedded.
pub(super) fn check_count(protocol: Option<Protocol>, name: &str, count: usize) -> Result<()> {
    match protocol.filter(|protocol| count < protocol.samples()) {
        None => Ok(()),
        Some(protocol) => {
            let (key, samples) = (protocol.key(), protocol.samples());
            let problem = format!("has {}, and {key} takes {samples}", counted(count, "image"));
            Err(Error::config(name, format!("{problem}: generate as many, or measure fd_inception")))
        }
    }
}

/// Compares a generator with its training data.
fn of_training(
    request: Request,
    sample: Vec<usize>,
    how: &EvaluateConfig,
    progress: &mut Progress,
) -> Result<(Evaluator, Option<Given>)> {
    let mut data = request.data;
    data.channels = sample[0];
    data.size = sides(&sample).map(Pair::Each);
    let Request { seed, role, protocol, .. } = request;
    let against = Against { data, sample, seed, role, way: Way::AsGiven, occasion: Occasion::Evaluation, protocol };
    Ok((Evaluator::new(&against, how, progress)?, None))
}

fn points(request: Request, how: &EvaluateConfig, progress: &mut Progress) -> Result<(Evaluator, Option<Given>)> {
    let Request { subject, name, most, mut data, role, seed, protocol, .. } = request;
    let set = data::find(&data, &[], seed)?;
    let dim = set.pixels();
    data.channels = dim;
    let other = |problem: String| Err(Error::config(name.clone(), problem));
    let given = match subject {
        Subject::Made(shape) if shape == [dim] => None,
        Subject::Made(shape) => {
            return other(format!("makes samples {shape:?}, but {} has points [{dim}]", data.name()));
        }
        Subject::Folder(_) => return other(format!("holds images, but {} has points", data.name())),
        Subject::Array(file) if file.shape().len() == 4 => {
            return other(format!(
                "holds images, an array of shape {:?}, but {} has points",
                file.shape(),
                data.name()
            ));
        }
        Subject::Array(file) => {
            let mut array = VectorArray::of(file, dim)?;
            let count = most.map_or(array.count(), |most| most.min(array.count()));
            if count == 0 {
                return other("holds no points, there has to be one".into());
            }
            Some(Given::points(&array.spread(count)?, set.as_ref())?)
        }
    };
    let sample = vec![dim];
    let against = Against { data, sample, seed, role, way: Way::AsGiven, occasion: Occasion::Evaluation, protocol };
    Ok((Evaluator::new(&against, &as_many(how, given.as_ref()), progress)?, given))
}

fn images(request: Request, how: &EvaluateConfig, progress: &mut Progress) -> Result<(Evaluator, Option<Given>)> {
    let Request { subject, name, most, mut data, role, size, seed, protocol } = request;
    let most = protocol.map(Protocol::samples).or(most);
    let (made, array, folder) = match subject {
        Subject::Made(shape) => (Some(shape), None, None),
        Subject::Array(file) => (None, Some(ImageArray::of(file, most, None)?), None),
        Subject::Folder(path) => (None, None, Some(path)),
    };
    let shape = made.or_else(|| array.as_ref().map(|array| array.shape().to_vec()));
    if let Some(shape) = &shape {
        let Some(own) = sides(shape) else {
            return Err(Error::config(name, format!("makes points, but {} has images", data.name())));
        };
        data.channels = shape[0];
        // Synthetic images have no size of their own.
        if data.sizes() == SampleSizes::Any {
            data.size = Some(Pair::Each(own));
        }
    }
    if let Some(size) = size {
        data.size = Some(Pair::Each(size));
    }
    let sample = size.map_or(Ok(vec![]), |[h, w]| Ok::<_, Error>(vec![own_channels(&data, seed)?, h, w]))?;
    let way = if size.is_some() { Way::AsGiven } else { Way::Own };
    let mut against = Against { data, sample, seed, role, way, occasion: Occasion::Evaluation, protocol };
    let real = Real::open(&against)?;
    let has = real.reference.set.shape();
    let channels = has[0];
    if let Some(shape) = shape.as_ref().filter(|shape| shape[0] != channels) {
        let whose = against.data.name();
        let problem = format!("has images of {} channels, but those of {whose} have {channels}", channels_of(shape));
        return Err(Error::config(name, format!("{problem}: compare like with like")));
    }
    let folder = folder.map(|dir| open_folder(dir, channels, &against, most)).transpose()?;
    if let Some(count) = array.as_ref().map(ImageArray::count).or_else(|| Some(folder.as_ref()?.set.len())) {
        check_count(protocol, &name, count)?;
    }
    let (Some(samples), Some(reals)) =
        (shape.as_deref().and_then(sides).map(SizeRange::one).or_else(|| folder.as_ref()?.sizes()), real.sizes())
    else {
        return Err(Error::config(name, format!("has images, but {} has points", against.data.name())));
    };
    let natural = size.unwrap_or_else(|| natural(samples, reals));
    against.sample = vec![channels, natural[0], natural[1]];
    let network = network::choose(&against, &how.embedder, real.reference.set.as_ref())?;
    let is_file = shape.is_none() || array.is_some();
    let takes_any = network.embedder.info().takes_any_size;
    against.way = match (size, is_file && takes_any) {
        (Some(_), _) => Way::AsGiven,
        (None, true) => Way::Own,
        (None, false) => Way::Fitted(fitting(&against.data, natural)),
    };
    // Arrays and generated samples are not data sets, which could resize themselves.
    let fit = (against.way != Way::Own).then(|| fitting(&against.data, natural));
    let shown = fit.map_or(Way::Own, Way::Fitted);
    let real_sizes = reals.card(shown, &[], &against.data);
    // Only the real data's files are cropped.
    let sample_sizes = samples.card(shown, &[], &DataConfig { crop: None, ..against.data.clone() });
    let given = match (array, folder) {
        (Some(array), _) => Some(Given::array(array)),
        (_, Some(folder)) => Some(Given::images(Images { way: against.way, ..folder })),
        _ => None,
    };
    let resizing = Resizing { fit, samples: Some(sample_sizes), reals: Some(real_sizes) };
    let how = as_many(how, given.as_ref());
    let setup = Setup { how: &how, network, resizing };
    Ok((Evaluator::with_real(real.taken(against.way), &against, setup, progress)?, given))
}

/// Returns settings for as many samples as there are, with a floor of the same number.
fn as_many(how: &EvaluateConfig, given: Option<&Given>) -> EvaluateConfig {
    EvaluateConfig { samples: given.map_or(how.samples, Given::len), ..how.clone() }
}

/// Opens the images of a folder as samples.
fn open_folder(dir: PathBuf, channels: usize, against: &Against, most: Option<usize>) -> Result<Images> {
    let real = &against.data;
    // Settings of the real data's files do not apply to these.
    let data = DataConfig {
        set: Folder::default().into(),
        dir: Some(dir),
        limit: most,
        crop: None,
        flip: false,
        channels,
        ..real.clone()
    };
    let set = match against.way {
        Way::AsGiven => data::find(&data, &[channels], against.seed)?,
        _ => stored(&data, against.seed)?,
    };
    Ok(Images { set, way: against.way })
}

/// Opens a data set whose images can be read in the sizes in which they are stored.
pub(super) fn stored(data: &DataConfig, seed: u64) -> Result<Arc<dyn Dataset>> {
    let sample = sides_of(data).map_or(vec![], |[h, w]| vec![data.channels, h, w]);
    if data.sizes() == SampleSizes::Any {
        return Ok(data::find(data, &sample, seed)?);
    }
    // Files can be read at any size; no image is smaller than one pixel.
    let any = DataConfig { size: Some(Pair::Each([1, 1])), small: Small::Upscale, ..data.clone() };
    let set = data::find(&any, &[], seed)?;
    let has = set.shape();
    match (data.crop, set.stored_size(0), &has[..]) {
        // Sets of one size can only crop if they are resized.
        (Some(crop), None, &[c, h, w]) => {
            let [height, width] = crop.get();
            let cut = [height.min(h), width.min(w)];
            let cropped = DataConfig { size: Some(Pair::Each(cut)), ..any };
            Ok(data::find(&cropped, &[c, cut[0], cut[1]], seed)?)
        }
        _ => Ok(set),
    }
}

/// Returns the channels of a data set: those of the settings if its files can be read as either, or else its own.
fn own_channels(data: &DataConfig, seed: u64) -> Result<usize> {
    match data.sizes() {
        SampleSizes::Stored | SampleSizes::Any => Ok(data.channels),
        SampleSizes::One | SampleSizes::Points => Ok(data::find(data, &[], seed)?.shape()[0]),
    }
}

/// Returns the size for networks that need one: the samples', unless real images are smaller.
fn natural(samples: SizeRange, reals: SizeRange) -> [usize; 2] {
    [0, 1].map(|i| samples.smallest[i].min(reals.smallest[i]))
}

pub(super) fn sides(shape: &[usize]) -> Option<[usize; 2]> {
    match *shape {
        [_, height, width] => Some([height, width]),
        _ => None,
    }
}

fn sides_of(data: &DataConfig) -> Option<[usize; 2]> {
    data.size.map(|size| size.get())
}

fn channels_of(shape: &[usize]) -> usize {
    shape.first().copied().unwrap_or_default()
}

//! Comparisons of a generator, a folder of images or an array with real data.
//!
//! The size at which images reach the network ([`Way`]) matters. A network that resizes its input itself gets images from files in their
//! original sizes, as in the published protocols. A network that needs one size gets the samples' size, to which larger real images are
//! resized, or the real images' size if they are smaller. `data.size` overrides both. A generator is compared with its training data at its
//! training size.

use super::real::Real;
use super::samples::{Given, Images, Kind, SizeRange, Way, fitting};
use super::{Against, Embedding, Evaluator, Network, Progress, Role};
use crate::error::{Error, Result};
use gan_base::messages::counted;
use gan_core::layers::Pair;
use gan_data::images::Small;
use gan_data::npy::{ImageArray, NpyFile, VectorArray};
use gan_data::{Dataset, Folder, SampleSizes, Split};
use gan_metrics::embed::Inception;
use gan_metrics::frechet::FID;
use gan_metrics::{Card, MetricSuite, Moments, Protocol, Reference};
use gan_train::config::{DataConfig, EvaluateConfig};
use gan_train::data;
use std::path::{Path, PathBuf};
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
    let against = Against::of_request(&request);
    match (against.data.sizes(), &request.subject) {
        (SampleSizes::Points, _) => points(request, against, how, progress),
        // The data as in training, with the same numbers.
        (_, Subject::Made(shape)) if request.role == Role::TrainingData && request.size.is_none() => {
            let size = sides(shape).map(Pair::Each);
            let data = DataConfig { channels: shape[0], size, ..request.data };
            let against = Against { data, sample: shape.clone(), ..against };
            Ok((Evaluator::new(Real::open(&against)?, &against, how, progress)?, None))
        }
        _ => images(request, against, how, progress),
    }
}

/// Refuses settings that a published protocol does not allow.
fn check_protocol(request: &Request, how: &EvaluateConfig) -> Result<()> {
    let Some(protocol) = request.protocol else { return Ok(()) };
    let reference = "compares with all of the training set: leave it out";
    let refuse = |setting: &str, problem: &str| Err(Error::config(setting, format!("{} {problem}", protocol.key())));
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
fn check_count(protocol: Option<Protocol>, name: &str, count: usize) -> Result<()> {
    let Some(protocol) = protocol.filter(|protocol| count < protocol.samples()) else { return Ok(()) };
    let problem = format!("has {}, and {} takes {}", counted(count, "image"), protocol.key(), protocol.samples());
    Err(Error::config(name, format!("{problem}: generate as many, or measure fd_inception")))
}

fn points(
    request: Request,
    mut against: Against,
    how: &EvaluateConfig,
    progress: &mut Progress,
) -> Result<(Evaluator, Option<Given>)> {
    let Request { subject, name, most, .. } = request;
    let set = data::find(&against.data, &[], against.seed)?;
    let dim = set.pixels();
    against.data.channels = dim;
    against.sample = vec![dim];
    let has_points = format!("but {} has points", against.data.name());
    let refuse = |problem: String| Err(Error::config(name.clone(), problem));
    let given = match subject {
        Subject::Made(shape) if shape == [dim] => None,
        Subject::Made(shape) => return refuse(format!("makes samples {shape:?}, {has_points} [{dim}]")),
        Subject::Folder(_) => return refuse(format!("holds images, {has_points}")),
        Subject::Array(file) if file.shape().len() == 4 => {
            return refuse(format!("holds images, an array of shape {:?}, {has_points}", file.shape()));
        }
        Subject::Array(file) => {
            let mut array = VectorArray::of(file, dim)?;
            let count = most.map_or(array.count(), |most| most.min(array.count()));
            if count == 0 {
                return refuse("holds no points, there has to be one".into());
            }
            Some(Given::points(&array.spread(count)?, set.as_ref())?)
        }
    };
    let how = as_many(how, given.as_ref());
    Ok((Evaluator::new(Real::open(&against)?, &against, &how, progress)?, given))
}

fn images(
    request: Request,
    mut against: Against,
    how: &EvaluateConfig,
    progress: &mut Progress,
) -> Result<(Evaluator, Option<Given>)> {
    let Request { subject, name, most, size, protocol, .. } = request;
    let data = &mut against.data;
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
    if let Some([height, width]) = size {
        data.size = Some(Pair::Each([height, width]));
        against.sample = vec![own_channels(data, against.seed)?, height, width];
    } else {
        against.way = Way::Own;
    }
    let real = Real::open(&against)?;
    let channels = real.reference.set.shape()[0];
    if let Some(&other) = shape.iter().flatten().next().filter(|other| **other != channels) {
        let problem = format!("has images of {other} channels, but those of {} have {channels}", against.data.name());
        return Err(Error::config(name, format!("{problem}: compare like with like")));
    }
    let folder = folder.map(|dir| open_folder(dir, channels, &against, most)).transpose()?;
    if let Some(count) = array.as_ref().map(ImageArray::count).or_else(|| Some(folder.as_ref()?.set.len())) {
        check_count(protocol, &name, count)?;
    }
    let (Some(samples), Some(reals)) = (
        shape.as_deref().and_then(sides).map(SizeRange::one).or_else(|| folder.as_ref()?.sizes()),
        real.reference.sizes(),
    ) else {
        return Err(Error::config(name, format!("has images, but {} has points", against.data.name())));
    };
    let natural = size.unwrap_or_else(|| natural(samples, reals));
    against.sample = vec![channels, natural[0], natural[1]];
    let network = Network::choose(&against, how, real.reference.set.as_ref())?;
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
    let array = array.map(|array| Kind::Array(Box::new(array)));
    let given = array.or_else(|| Some(Kind::Images(Images { way: against.way, ..folder? }))).map(Given);
    let how = as_many(how, given.as_ref());
    let real = real.taken(against.way);
    let evaluator = Evaluator::with_network(network, real, Some(real_sizes), &against, &how, progress)?;
    Ok((Evaluator { fit, sample_sizes: Some(sample_sizes), ..evaluator }, given))
}

/// Returns settings for as many samples as there are, with a floor of the same number.
fn as_many(how: &EvaluateConfig, given: Option<&Given>) -> EvaluateConfig {
    EvaluateConfig { samples: given.map_or(how.samples, Given::count), ..how.clone() }
}

/// Opens the images of a folder as samples.
fn open_folder(dir: PathBuf, channels: usize, against: &Against, most: Option<usize>) -> Result<Images> {
    // Settings of the real data's files do not apply to these.
    let data = DataConfig {
        set: Folder::default().into(),
        dir: Some(dir),
        limit: most,
        crop: None,
        flip: false,
        channels,
        ..against.data.clone()
    };
    let set = match against.way {
        Way::AsGiven => data::find(&data, &[channels], against.seed)?,
        _ => stored(&data, against.seed)?,
    };
    Ok(Images { set, way: against.way })
}

/// Opens a data set whose images can be read in the sizes in which they are stored.
pub(super) fn stored(data: &DataConfig, seed: u64) -> Result<Arc<dyn Dataset>> {
    if data.sizes() == SampleSizes::Any {
        let sample = data.size.map_or(vec![], |size| [&[data.channels], &size.get()[..]].concat());
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

fn sides(shape: &[usize]) -> Option<[usize; 2]> {
    match *shape {
        [_, height, width] => Some([height, width]),
        _ => None,
    }
}

/// Compares all images of the folder `samples` with all of the folder `real`, by the features of `embedder`: "inception" for Inception-v3
/// (its weights must be downloaded separately, see `docs/evaluation.md`), "texture", "thumbnails", which contain colors and layout, "digits", or a
/// classifier's weight file. The first figure of the card is the Fréchet distance over these features.
///
/// ```no_run
/// let card = gan_run::evaluate::distance("generated".as_ref(), "photos".as_ref(), "inception")?;
/// println!("{}: {}", card.figures[0].metric.title, card.figures[0].value);
/// # Ok::<(), gan_run::Error>(())
/// ```
///
/// # Errors
/// If a folder has no images, or the network is missing.
pub fn distance(samples: &Path, real: &Path, embedder: &str) -> Result<Card> {
    let name = samples.display().to_string();
    let request = Request {
        subject: Subject::Folder(samples.into()),
        name: name.clone(),
        most: None,
        data: folder(real),
        role: Role::Reference { floor: false },
        size: None,
        seed: 0,
        protocol: None,
    };
    let how = EvaluateConfig { embedder: embedder.into(), ..EvaluateConfig::default() };
    let (evaluator, given) = compare(request, &how, &mut |_, _| ())?;
    let mut given = given.ok_or_else(|| Error::config(&name, "holds no images"))?;
    evaluator.card(&name, &evaluator.collect_given(&mut given, &mut |_| ())?)
}

/// Returns the settings of color images in the folder `dir`.
fn folder(dir: &Path) -> DataConfig {
    DataConfig { dir: Some(dir.into()), ..DataConfig::new(Folder::default(), 3) }
}

/// Returns the evaluator of `subject`, called `name` in messages, against the mean and covariance in the `.npz` file at `statistics`, and
/// the samples if they already exist. `seed` determines every random choice of samples.
///
/// # Errors
/// If the file, the samples or the network cannot be read, or there are fewer samples than the protocol needs.
pub fn compare_statistics(
    subject: Subject,
    name: &str,
    statistics: &Path,
    protocol: Protocol,
    seed: u64,
) -> Result<(Evaluator, Option<Given>)> {
    let most = Some(protocol.samples());
    let (given, sizes) = match subject {
        Subject::Made(shape) => (None, sides(&shape).map(SizeRange::one)),
        Subject::Array(file) => {
            let array = ImageArray::of(file, most, None)?;
            let sizes = sides(&array.shape()).map(SizeRange::one);
            (Some(Given(Kind::Array(Box::new(array)))), sizes)
        }
        Subject::Folder(dir) => {
            let set = stored(&DataConfig { limit: most, ..folder(&dir) }, seed)?;
            let images = Images { set, way: Way::Own };
            let sizes = images.sizes();
            (Some(Given(Kind::Images(images))), sizes)
        }
    };
    if let Some(given) = &given {
        check_count(Some(protocol), name, given.count())?;
    }
    let moments = Moments::read_statistics(statistics)?;
    let described = Reference {
        data: "statistics".into(),
        split: "precomputed statistics".into(),
        path: Some(statistics.display().to_string()),
        ..Reference::default()
    };
    let embedder = Arc::new(Inception::load()?);
    let mut suite = MetricSuite::new(embedder.clone(), &[&FID], seed)?.with_statistics(described, moments)?;
    suite.protocol = Some(protocol);
    let embedding = Embedding { embedder, samples: protocol.samples(), seed, same_classes: false };
    let sample_sizes = sizes.map(|sizes| sizes.card(Way::Own, &[], &folder(statistics)));
    Ok((Evaluator { suite, best: None, embedding, fit: None, sample_sizes }, given))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gan_report::{Colour, Picture};

    /// Returns a folder of PNGs with one gray each, from `first` on.
    fn folder(first: u8) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for i in 0..12 {
            let picture = Picture::new(Colour::Rgb, [8, 8], vec![first + 5 * i; 3 * 64]).unwrap();
            picture.save_png(&dir.path().join(format!("{i}.png"))).unwrap();
        }
        dir
    }

    #[test]
    fn two_folders_are_compared_by_one_call() {
        let (dark, same, light) = (folder(0), folder(0), folder(100));
        let between =
            |a: &tempfile::TempDir, b: &tempfile::TempDir| distance(a.path(), b.path(), "thumbnails").unwrap();
        let (near, far) = (between(&dark, &same), between(&light, &same));
        assert_eq!(near.figures[0].metric.key, "fd_thumbnails");
        assert_eq!((near.samples, near.reference.samples, near.reference.split.as_str()), (12, 12, "all"));
        assert!(near.figures[0].value < 1e-6 && far.figures[0].value > 1.0, "{near} {far}");
        assert!(distance(Path::new("nowhere"), dark.path(), "thumbnails").is_err());
    }
}

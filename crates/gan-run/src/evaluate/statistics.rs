//! Comparison of samples with the precomputed statistics of a reference, by a published protocol.

use super::directories::folder;
use super::images::{Images, SizeRange, Way};
use super::{Embedding, Evaluator, Given, Subject, compare};
use crate::error::Result;
use gan_data::npy::ImageArray;
use gan_metrics::embed::Inception;
use gan_metrics::frechet::FID;
use gan_metrics::{MetricSuite, Moments, Protocol, Reference};
use std::path::Path;
use std::sync::Arc;

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
        Subject::Made(shape) => (None, compare::sides(&shape).map(SizeRange::one)),
        Subject::Array(file) => {
            let array = ImageArray::of(file, most, None)?;
            let sizes = compare::sides(&array.shape()).map(SizeRange::one);
            (Some(Given::array(array)), sizes)
        }
        Subject::Folder(dir) => {
            let set = compare::stored(&gan_train::config::DataConfig { limit: most, ..folder(&dir)? }, seed)?;
            let images = Images { set, way: Way::Own };
            let sizes = images.sizes();
            (Some(Given::images(images)), sizes)
        }
    };
    if let Some(given) = &given {
        compare::check_count(Some(protocol), name, given.len())?;
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
    let settings = folder(statistics)?;
    let sample_sizes = sizes.map(|sizes| sizes.card(Way::Own, &[], &settings));
    Ok((Evaluator { suite, best: None, embedding, fit: None, sample_sizes }, given))
}

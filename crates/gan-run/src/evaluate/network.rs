//! Which network embeds the samples of an evaluation, and what is measured with it.

use super::{Against, Depth};
use crate::error::{Error, Result};
use gan_data::{Classifier, Dataset};
use gan_metrics::embed::{Coordinates, Inception, Layered, Stacked, Thumbnails};
use gan_metrics::{Embedder, Metric, Modes, ModesOf};
use std::path::Path;
use std::sync::Arc;

/// A network, and the modes that the data have.
pub(super) type Network = (Arc<dyn Embedder>, Option<ModesOf>);

/// The network that `name` asks for, and the modes that the data have.
pub(super) fn choose(against: &Against, name: &str, set: &dyn Dataset) -> Result<Network> {
    let Against { data, sample, .. } = against;
    if let Some(units) = set.units() {
        if name != "auto" {
            let problem = format!("\"{name}\" embeds images, and {} has points: leave it out", data.name());
            return Err(Error::config("evaluate.embedder", problem));
        }
        let modes = data.set.points().and_then(|points| points.modes());
        let modes = modes.map(|modes| Modes::new(&modes.centres, modes.sigma)).transpose()?;
        return Ok((Arc::new(Coordinates::new(units.ranges().to_vec())), modes.map(ModesOf::Points)));
    }
    let [c, h, w] = [0, 1, 2].map(|axis| sample.get(axis).copied().unwrap_or(1));
    let thumbnails = || -> Arc<dyn Embedder> { Arc::new(Thumbnails::new([c, h, w])) };
    let classifier = data.set.info().classifier;
    let embedder: Arc<dyn Embedder> = match name {
        "auto" => match classifier {
            Some(Classifier::Digits) if c == 1 => Arc::new(Layered::digits()?),
            Some(Classifier::StackedDigits) => Arc::new(Stacked::digits()?),
            Some(Classifier::Digits) | None => thumbnails(),
        },
        "digits" if c == 3 => Arc::new(Stacked::digits()?),
        "digits" => Arc::new(Layered::digits()?),
        "thumbnails" => thumbnails(),
        "inception" => Arc::new(Inception::load()?),
        path => Arc::new(Layered::read(Path::new(path))?),
    };
    let modes =
        (classifier == Some(Classifier::StackedDigits) && !embedder.classes().is_empty()).then_some(ModesOf::Classes);
    Ok((embedder, modes))
}

/// What kind of features there are to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Of a classifier.
    Classes,
    /// Of a classifier whose classes are modes to be counted.
    ManyClasses,
    /// Of images, without classes.
    Images,
    /// Points around modes.
    Modes,
    /// Points.
    Points,
}

pub(super) fn kind(embedder: &dyn Embedder, modes: bool) -> Kind {
    match (embedder.name(), embedder.classes().is_empty()) {
        ("coordinates", _) if modes => Kind::Modes,
        ("coordinates", _) => Kind::Points,
        (_, false) if modes => Kind::ManyClasses,
        (_, false) => Kind::Classes,
        (_, true) => Kind::Images,
    }
}

impl Kind {
    /// What is measured where nothing is named.
    pub(super) fn metrics(self, depth: Depth) -> Vec<Metric> {
        use Metric::*;
        let (quick, more): (&[Metric], &[Metric]) = match self {
            Self::Classes => (
                &[
                    Fid,
                    Precision,
                    Recall,
                    Density,
                    Coverage,
                    Confident,
                    ClassBalance,
                    AsAsked,
                    Diversity,
                    Memorisation,
                    NearCopies,
                ],
                &[Kid, Score, Sliced],
            ),
            Self::ManyClasses => (&[Fid, Modes, ReverseKl, Precision, Recall, Coverage, Confident, Diversity], &[Kid]),
            Self::Images => {
                (&[Fid, Precision, Recall, Density, Coverage, Diversity, Memorisation, NearCopies], &[Kid, Sliced])
            }
            Self::Modes => {
                (&[Modes, HighQuality, ReverseKl, Energy, Coverage, Diversity], &[Sliced, Precision, Recall, TwoSample])
            }
            Self::Points => (&[Energy, Precision, Recall, Coverage, Diversity], &[Sliced, Density, TwoSample]),
        };
        match depth {
            Depth::InTraining => quick.to_vec(),
            Depth::Whole => [quick, more].concat(),
        }
    }

    /// What chooses the best generator.
    pub(super) fn best(self) -> Metric {
        match self {
            Self::Modes | Self::Points => Metric::Energy,
            Self::ManyClasses => Metric::ReverseKl,
            _ => Metric::Fid,
        }
    }
}

//! Choice of the embedding network, and of the kind of data.

use super::Against;
use crate::error::{Error, Result};
use gan_data::{Classifier, Dataset};
use gan_metrics::DataKind;
use gan_metrics::embed::{Coordinates, Embedder, FeatureSpace, Inception, Layered, Stacked, Thumbnails};
use gan_metrics::mode_coverage::{Modes, ModesOf};
use std::path::Path;
use std::sync::Arc;

/// A network, and the modes of the data.
pub(super) struct Network {
    pub embedder: Arc<dyn Embedder>,
    pub modes: Option<ModesOf>,
}

/// Returns the network called `name`, and the modes of the data.
pub(super) fn choose(against: &Against, name: &str, set: &dyn Dataset) -> Result<Network> {
    let Against { data, sample, .. } = against;
    if let Some(units) = set.units() {
        if name != "auto" {
            let problem = format!("\"{name}\" embeds images, and {} has points: leave it out", data.name());
            return Err(Error::config("evaluate.embedder", problem));
        }
        let modes = data.set.points().and_then(|points| points.modes());
        let modes = modes.map(|modes| Modes::new(&modes.centres, modes.sigma)).transpose()?;
        let embedder = Arc::new(Coordinates::new(units.ranges().to_vec()));
        return Ok(Network { embedder, modes: modes.map(ModesOf::Points) });
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
    let has_classes = !embedder.info().classes.is_empty();
    let modes = (classifier == Some(Classifier::StackedDigits) && has_classes).then_some(ModesOf::Classes);
    Ok(Network { embedder, modes })
}

/// Returns the kind of data that is compared, which determines the metrics.
pub(super) fn kind(embedder: &dyn Embedder, modes: bool) -> DataKind {
    let info = embedder.info();
    match (info.features == FeatureSpace::Coordinates, info.classes.is_empty(), modes) {
        (true, _, true) => DataKind::PointsAroundModes,
        (true, _, false) => DataKind::Points,
        (false, false, true) => DataKind::ManyClasses,
        (false, false, false) => DataKind::Classes,
        (false, true, _) => DataKind::Images,
    }
}

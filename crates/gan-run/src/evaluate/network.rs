//! Which network embeds the samples of an evaluation, and which kind of data they are.

use super::Against;
use crate::error::{Error, Result};
use gan_data::Dataset;
use gan_metrics::embed::{Coordinates, Inception, Layered, Stacked, Thumbnails};
use gan_metrics::metrics::DataKind;
use gan_metrics::metrics::mode_coverage::{Modes, ModesOf};
use gan_metrics::{Embedder, FeatureSpace};
use gan_train::data;
use std::path::Path;
use std::sync::Arc;

/// Data sets of digits, which the digit classifier knows.
const DIGITS: &str = "mnist";
/// Data sets of three digits as red, green and blue.
const STACKED: &str = "stacked-mnist";

/// A network, and the modes that the data have.
pub(super) struct Network {
    pub embedder: Arc<dyn Embedder>,
    pub modes: Option<ModesOf>,
}

/// Returns the network called `name`, and the modes that the data have.
pub(super) fn choose(against: &Against, name: &str, set: &dyn Dataset) -> Result<Network> {
    let Against { data, sample, .. } = against;
    if let Some(units) = set.units() {
        if name != "auto" {
            let problem = format!("\"{name}\" embeds images, and {} has points: leave it out", data.name);
            return Err(Error::config("evaluate.embedder", problem));
        }
        let shape = data::points(data)?;
        let modes = shape.sigma().map(|sigma| Modes::new(&shape.modes(), sigma)).transpose()?;
        let embedder = Arc::new(Coordinates::new(units.ranges().to_vec()));
        return Ok(Network { embedder, modes: modes.map(ModesOf::Points) });
    }
    let [c, h, w] = [0, 1, 2].map(|axis| sample.get(axis).copied().unwrap_or(1));
    let thumbnails = || -> Arc<dyn Embedder> { Arc::new(Thumbnails::new([c, h, w])) };
    let embedder: Arc<dyn Embedder> = match name {
        "auto" if data.name == DIGITS && c == 1 => Arc::new(Layered::digits()?),
        "auto" if data.name == STACKED => Arc::new(Stacked::digits()?),
        "auto" => thumbnails(),
        "digits" if c == 3 => Arc::new(Stacked::digits()?),
        "digits" => Arc::new(Layered::digits()?),
        "thumbnails" => thumbnails(),
        "inception" => Arc::new(Inception::load()?),
        path => Arc::new(Layered::read(Path::new(path))?),
    };
    let modes = (data.name == STACKED && !embedder.classes().is_empty()).then_some(ModesOf::Classes);
    Ok(Network { embedder, modes })
}

/// Returns the kind of data that is compared, which decides what is measured.
pub(super) fn kind(embedder: &dyn Embedder, modes: bool) -> DataKind {
    let is_points = embedder.feature_space() == FeatureSpace::Coordinates;
    match (is_points, embedder.classes().is_empty(), modes) {
        (true, _, true) => DataKind::PointsAroundModes,
        (true, _, false) => DataKind::Points,
        (false, false, true) => DataKind::ManyClasses,
        (false, false, false) => DataKind::Classes,
        (false, true, _) => DataKind::Images,
    }
}

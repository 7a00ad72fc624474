//! Settings of a laboratory.

use gan_base::Rng;
use gan_core::penalties::Penalty;
use gan_core::{Init, Latent, Layer, Loss};
use gan_data::{DatasetConfig, Units};
use gan_step::optimizers::{OptimizerConfig, UpdateRule};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Number of real points from which batches are drawn.
pub(super) const POOL: usize = 1 << 14;

/// Limits of a page's settings, far beyond what is pleasant to watch.
const MOST_UNITS: usize = 1024;
const MOST_LAYERS: usize = 16;
const MOST_BATCH: usize = 1 << 14;

/// Settings of a laboratory, as the page sends them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Setup {
    pub data: Data,
    pub latent: Latent,
    pub generator: Dense,
    pub discriminator: Dense,
    pub loss: Loss,
    #[serde(default)]
    pub penalties: Vec<Penalty>,
    pub optimizer_g: OptimizerConfig,
    pub optimizer_d: OptimizerConfig,
    pub batch: usize,
    pub seed: u64,
}

/// What is learned.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Data {
    /// Points that the user drew, in [−1, 1], with the spread of the brush.
    Drawn { drawn: Vec<[f64; 2]>, spread: f64 },
    /// Settings of a data set of points.
    Set(Map<String, Value>),
}

/// A dense network.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dense {
    pub hidden: Vec<usize>,
    pub activation: Layer,
    #[serde(default)]
    pub features: Option<usize>,
    pub init: Init,
}

impl Setup {
    /// Refuses settings that are out of range.
    pub fn check(&self) -> Result<(), String> {
        let expect = |key: &str, fits: bool, expected: &str| {
            if fits { Ok(()) } else { Err(format!("{key}: expected {expected}")) }
        };
        for (key, dense) in [("generator", &self.generator), ("discriminator", &self.discriminator)] {
            let units = dense.hidden.iter().chain(&dense.features);
            let fits = dense.hidden.len() <= MOST_LAYERS && units.clone().all(|units| (1..=MOST_UNITS).contains(units));
            expect(&format!("{key}.hidden"), fits, &format!("up to {MOST_LAYERS} layers of 1 to {MOST_UNITS} units"))?;
        }
        expect("batch", (2..=MOST_BATCH).contains(&self.batch), &format!("2 to {MOST_BATCH} points"))?;
        expect("latent.dim", (1..=MOST_UNITS).contains(&self.latent.dim), &format!("1 to {MOST_UNITS} numbers"))?;
        for (key, optimizer) in [("optimizer_g", &self.optimizer_g), ("optimizer_d", &self.optimizer_d)] {
            optimizer.check().map_err(|(name, problem)| format!("{key}.{name}: {problem}"))?;
        }
        Ok(())
    }
}

impl Data {
    /// Draws points, scaled to [−1, 1], and returns them with their units.
    pub fn draw(self, seed: u64) -> Result<(Vec<f32>, Units), String> {
        // ignore-tidy-names: the stream from which `gan train` draws points
        let mut rng = Rng::stream(seed, "curve");
        match self {
            Self::Drawn { drawn, spread } => {
                if drawn.is_empty() {
                    return Err("nothing is drawn yet: draw some points in the plane".into());
                }
                let mut around = |v: f64| (v + spread * f64::from(rng.normal())) as f32;
                let pick = |i: usize| drawn[i % drawn.len()];
                let pool = (0..POOL).flat_map(|i| pick(i).map(&mut around)).collect();
                Ok((shuffled(pool, seed), Units::new(vec![[-1.0, 1.0]; 2])))
            }
            Self::Set(mut settings) => {
                let name =
                    settings.remove("name").and_then(|name| Some(name.as_str()?.to_string())).unwrap_or_default();
                let set = DatasetConfig::read(&name, Value::Object(settings)).map_err(|e| format!("data: {e}"))?;
                let points = set.points().ok_or_else(|| format!("data.name: \"{name}\" has no points"))?;
                points.check().map_err(|e| e.to_string())?;
                let units = points.units();
                if units.dimensions() != 2 {
                    return Err(format!("data: points of {} coordinates, expected 2", units.dimensions()));
                }
                let pool = (0..POOL).flat_map(|_| units.scaled(&points.draw(&mut rng))).collect();
                Ok((pool, units))
            }
        }
    }
}

/// Returns points in random order.
fn shuffled(points: Vec<f32>, seed: u64) -> Vec<f32> {
    let mut pairs = points.as_chunks::<2>().0.to_vec();
    Rng::stream(seed, "drawn").shuffle(&mut pairs);
    pairs.concat()
}

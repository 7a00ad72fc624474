//! Pictures of samples, and the observers that draw them into the run folder.
//!
//! In reading order: this file (sheets of images, points in the plane), `plane` (for points only: D's output over the plane, G's warped
//! latent grid), `images` (real beside generated, nearest neighbors), `observers`.

mod images;
mod observers;
mod plane;

pub(crate) use observers::{Final, Progress, file_name, frames, make};

use crate::error::Result;
use candle_core::Tensor;
use gan_base::messages::counted;
use gan_data::Units;
use gan_report::plot::{Cloud, Ink, Plane, panels};
use gan_report::{Images, Picture};

/// Maximum number of pixels per side of images that are enlarged twofold.
const SMALL: usize = 48;

/// Draws a sheet of images `[N, C, H, W]`, small ones enlarged, or points `[N, D]` in their original `units` over axes.
///
/// # Errors
/// If there are more images than cells, or the images are neither gray nor color.
pub fn sheet(samples: &Tensor, units: Option<&Units>, rows: usize, columns: usize) -> Result<Picture> {
    if samples.rank() == 2 {
        let units = units_of(samples, units)?;
        let generated = Kind { name: "generated", ink: Ink::Generated, rows: rows_of(samples, &units)? };
        return points(&axes(&units), &[generated], &counted(samples.dim(0)?, "generated point"));
    }
    let (n, c, h, w) = samples.dims4()?;
    let pixels: Vec<f32> = samples.flatten_all()?.to_vec1()?;
    let sheet = gan_report::grid(&Images::new(&pixels, [n, c, h, w])?, rows, columns)?;
    Ok(if h.max(w) <= SMALL { sheet.enlarged(2)? } else { sheet })
}

/// Checks that [`sheet`] can draw samples of this shape, `[C, H, W]` or `[D]`, before they are computed.
///
/// # Errors
/// If there are no cells, or the sheet would be too large.
pub fn check_sheet(sample: &[usize], rows: usize, columns: usize) -> Result<()> {
    let [c, h, w] = *sample else { return Ok(()) };
    // Everything on an enlarged sheet is twice as large, including the gaps.
    let side = |pixels: usize| if h.max(w) <= SMALL { 2 * (pixels + 1) } else { pixels };
    Ok(gan_report::check_grid([c, side(h), side(w)], rows, columns)?)
}

/// Draws images `[N, C, H, W]` as pictures of their own size, or points `[N, D]` each as a dot over the same axes.
///
/// # Errors
/// If they are neither gray nor color.
pub fn singles(samples: &Tensor, units: Option<&Units>) -> Result<Vec<Picture>> {
    if samples.rank() == 2 {
        let units = units_of(samples, units)?;
        let draw =
            |point: Vec<f32>| points(&axes(&units), &[Kind { name: "", ink: Ink::Generated, rows: vec![point] }], "");
        return rows_of(samples, &units)?.into_iter().map(draw).collect();
    }
    let (n, c, h, w) = samples.dims4()?;
    let pixels: Vec<f32> = samples.flatten_all()?.to_vec1()?;
    Ok(Images::new(&pixels, [n, c, h, w])?.pictures()?)
}

/// Returns the given units, or [−1, 1] for each coordinate of points `[N, D]`.
fn units_of(samples: &Tensor, units: Option<&Units>) -> Result<Units> {
    let dimensions = samples.dim(1)?;
    let fits = units.filter(|units| units.dimensions() == dimensions).cloned();
    Ok(fits.unwrap_or_else(|| Units::new(vec![[-1.0, 1.0]; dimensions])))
}

/// Converts points `[N, D]` in [−1, 1] to rows in their original units.
fn rows_of(samples: &Tensor, units: &Units) -> Result<Vec<Vec<f32>>> {
    let rows = samples.to_vec2::<f32>()?;
    Ok(rows.into_iter().map(|row| units.restored(&row)).collect())
}

/// A group of points in all their coordinates.
struct Kind {
    name: &'static str,
    ink: Ink,
    rows: Vec<Vec<f32>>,
}

impl Kind {
    /// Returns the points in two of their coordinates.
    fn cloud(&self, axes: [usize; 2], opacity: f64) -> Cloud {
        cloud(self.name, self.ink, &self.rows, axes, opacity)
    }
}

/// Returns `rows` in two of their coordinates.
pub(crate) fn cloud(name: &str, ink: Ink, rows: &[Vec<f32>], [x, y]: [usize; 2], opacity: f64) -> Cloud {
    Cloud { name: name.into(), points: rows.iter().map(|row| [row[x], row[y]]).collect(), ink, opacity }
}

/// Margin around the data's range, as a fraction of it, because generated points exceed the range at first.
const ROOM: f64 = 0.15;
const PANEL: [u32; 2] = [520, 480];
const SMALL_PANEL: [u32; 2] = [400, 380];

/// Returns the visible range of each coordinate.
fn axes(units: &Units) -> Vec<[f64; 2]> {
    units.ranges().iter().map(|[low, high]| [low - ROOM * (high - low), high + ROOM * (high - low)]).collect()
}

/// Returns the pairs of coordinates that are drawn against each other: all pairs of up to three, or the first against the next three.
fn pairs(dimensions: usize) -> Vec<[usize; 2]> {
    match dimensions {
        0..=2 => vec![[0, dimensions.saturating_sub(1)]],
        3 => vec![[0, 1], [0, 2], [1, 2]],
        _ => vec![[0, 1], [0, 2], [0, 3]],
    }
}

/// Returns a coordinate's name: x, y, z, or its number.
fn axis_name(axis: usize) -> String {
    ["x", "y", "z"].get(axis).map_or_else(|| format!("x{axis}"), |name| (*name).into())
}

/// Draws groups of points over the data's axes; beyond two dimensions, with a panel for each pair of coordinates.
fn points(axes: &[[f64; 2]], kinds: &[Kind], title: &str) -> Result<Picture> {
    let pairs = pairs(axes.len());
    let panel = |[a, b]: [usize; 2]| {
        let title = match pairs.len() {
            1 => title.to_string(),
            _ => format!("{title}: {} and {}", axis_name(a), axis_name(b)),
        };
        Plane {
            title,
            x: axes[a],
            y: axes[b],
            clouds: kinds.iter().map(|kind| kind.cloud([a, b], 0.7)).collect(),
            ..Plane::default()
        }
    };
    let planes: Vec<Plane> = pairs.iter().map(|pair| panel(*pair)).collect();
    Ok(panels(&planes, if planes.len() == 1 { PANEL } else { SMALL_PANEL })?)
}

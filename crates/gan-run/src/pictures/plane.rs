//! Pictures for points in the plane: D's output over the plane as a heat map, and G's latent grid as a warped mesh.

use super::{Kind, PANEL, axes};
use crate::error::Result;
use candle_core::{Device, Tensor};
use gan_core::{Distribution, ForwardContext, Latent};
use gan_data::Units;
use gan_report::Picture;
use gan_report::plot::{Heat, Ink, Line, Plane, panels};
use gan_train::Trainer;

/// Values per side of the heat map.
const CELLS: usize = 72;
/// Number of lines of the mesh in each direction, and points on each.
const LINES: usize = 21;
const ALONG: usize = 61;

/// Draws D(x) over the plane, blue where D classifies points as real and orange where as generated, with both kinds of points on top. A D
/// that sees several points at once gets each point repeated.
pub(super) fn surface(trainer: &Trainer, units: &Units, kinds: &[Kind]) -> Result<Picture> {
    let shown = axes(units);
    let middle = |axis: usize, i: usize| {
        let [low, high] = shown[axis];
        low + (high - low) * (i as f64 + 0.5) / CELLS as f64
    };
    let cells = (0..CELLS).flat_map(|row| (0..CELLS).map(move |column| (row, column)));
    let scaled: Vec<f32> = cells.flat_map(|(row, column)| units.scaled(&[middle(0, column), middle(1, row)])).collect();
    let x = Tensor::from_vec(scaled, (CELLS * CELLS, 2), trainer.device())?;
    let x = Tensor::cat(&vec![x; trainer.plan().config().train.pacgan], 1)?;
    let logits = trainer.discriminator().forward(&x, &mut ForwardContext::eval())?.logits.detach();
    let heat = Heat { values: gan_kernels::ops::sigmoid(&logits)?.to_vec1()?, columns: CELLS };
    let title = format!("step {}: D's verdict, blue real, orange generated", trainer.step());
    let clouds = kinds.iter().map(|kind| kind.cloud([0, 1], 0.55)).collect();
    let plane = Plane { title, x: shown[0], y: shown[1], heat: Some(heat), clouds, ..Plane::default() };
    Ok(panels(&[plane], PANEL)?)
}

/// Draws G's images of a square grid in its latent space (in the first two numbers; the others are 0), with real points below.
pub(super) fn mesh(trainer: &Trainer, units: &Units, real: &Kind) -> Result<Picture> {
    let shown = axes(units);
    let z = grid_latents(&trainer.plan().config().latent, trainer.device())?;
    let made = trainer.with_sampler(|g| -> Result<_> { Ok(g.forward(&z, &mut ForwardContext::eval())?.detach()) })?;
    let rows: Vec<[f32; 2]> = super::rows_of(&made, units)?.iter().map(|row| [row[0], row[1]]).collect();
    let line = |(i, points): (usize, &[[f32; 2]])| {
        let ink = if i < LINES { Ink::Generated } else { Ink::Neutral };
        Line { points: points.to_vec(), ink }
    };
    let lines = rows.chunks_exact(ALONG).enumerate().map(line).collect();
    let title = format!("step {}: the latent grid as G warps it", trainer.step());
    let plane =
        Plane { title, x: shown[0], y: shown[1], lines, clouds: vec![real.cloud([0, 1], 0.55)], ..Plane::default() };
    Ok(panels(&[plane], PANEL)?)
}

/// Returns `[2 · LINES · ALONG, latent]`: first the lines along which the first number varies, then those of the second.
fn grid_latents(latent: &Latent, device: &Device) -> Result<Tensor> {
    let reach = match latent.distribution {
        Distribution::Uniform => 1.0,
        // Contains 95 % of each number.
        Distribution::Normal => 2.0,
    };
    let at = |i: usize, count: usize| reach * (2.0 * i as f32 / (count - 1) as f32 - 1.0);
    let mut values = vec![0.0; 2 * LINES * ALONG * latent.dim];
    for (i, z) in values.chunks_exact_mut(latent.dim).enumerate() {
        let line = at(i / ALONG % LINES, LINES);
        let along = at(i % ALONG, ALONG);
        let [first, second] = if i < LINES * ALONG { [along, line] } else { [line, along] };
        z[0] = first;
        z.iter_mut().skip(1).take(1).for_each(|v| *v = second);
    }
    Ok(Tensor::from_vec(values, (2 * LINES * ALONG, latent.dim), device)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_covers_the_latent_square_and_leaves_the_rest_at_zero() {
        let latent = Latent { dim: 3, distribution: Distribution::Uniform, truncation: None };
        let z = grid_latents(&latent, &Device::Cpu).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(z.len(), 2 * LINES * ALONG);
        assert_eq!((z[0].as_slice(), z[ALONG - 1].as_slice()), (&[-1.0, -1.0, 0.0][..], &[1.0, -1.0, 0.0][..]));
        assert_eq!(z[LINES * ALONG + 1][0], -1.0);
        assert!(z[LINES * ALONG + 1][1] > -1.0 && z.last().unwrap()[..2] == [1.0, 1.0]);
        let one = Latent { dim: 1, distribution: Distribution::Normal, truncation: None };
        assert_eq!(grid_latents(&one, &Device::Cpu).unwrap().to_vec2::<f32>().unwrap()[0], [-2.0]);
    }
}

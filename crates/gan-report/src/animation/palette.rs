//! The 256 colors that represent the frames of an animation best.
//!
//! Wu's method (1991, "Efficient statistical computations for optimal color quantization", in Graphics Gems II) in short: the color cube is
//! cut again and again where that lowers the squared error most, here at the mean of the widest axis; a few rounds of k-means (Lloyd 1982)
//! then move each color to the middle of the pixels that are nearest to it.

use crate::Picture;
use std::collections::HashMap;

/// Maximum number of colors.
const MOST: usize = 256;
/// Bits per channel of the histogram's cells.
const BITS: u32 = 5;
/// Rounds of k-means; more change no visible color.
const ROUNDS: usize = 4;

/// Colors, and the index of the nearest one for each color that was looked up.
pub(super) struct Palette {
    colors: Vec<[u8; 3]>,
    known: HashMap<[u8; 3], u8>,
}

impl Palette {
    /// Returns the palette of at most 256 colors.
    pub(super) fn new(colors: Vec<[u8; 3]>) -> Self {
        Self { colors, known: HashMap::new() }
    }

    /// Returns the palette for all frames: their own colors if there are few enough.
    pub(super) fn of(frames: &[Picture]) -> Self {
        few_colors(frames).map_or_else(|| Self::new(learned(&histogram(frames))), Self::new)
    }

    pub(super) fn colors(&self) -> &[[u8; 3]] {
        &self.colors
    }

    /// Returns the index of the nearest color for each pixel of `rgb`.
    pub(super) fn indices(&mut self, rgb: &[u8]) -> Vec<u8> {
        let colors = &self.colors;
        let known = &mut self.known;
        let nearest = |pixel: [u8; 3]| nearest(colors, pixel.map(f32::from)) as u8;
        let index = |pixel: &[u8]| {
            let pixel = [pixel[0], pixel[1], pixel[2]];
            *known.entry(pixel).or_insert_with(|| nearest(pixel))
        };
        rgb.chunks_exact(3).map(index).collect()
    }
}

/// Returns the red, green and blue of each pixel.
fn pixels(frames: &[Picture]) -> impl Iterator<Item = [u8; 3]> {
    let pixel = |bytes: &[u8]| if bytes.len() == 3 { [bytes[0], bytes[1], bytes[2]] } else { [bytes[0]; 3] };
    frames.iter().flat_map(move |frame| frame.data().chunks_exact(frame.colour().channels()).map(pixel))
}

/// Returns all colors in their order of appearance, unless there are more than a palette holds.
fn few_colors(frames: &[Picture]) -> Option<Vec<[u8; 3]>> {
    let mut colors = vec![];
    let mut met = std::collections::HashSet::new();
    for pixel in pixels(frames) {
        if met.insert(pixel) {
            if colors.len() == MOST {
                return None;
            }
            colors.push(pixel);
        }
    }
    Some(colors)
}

/// A cell of the color cube: its number of pixels and their mean.
#[derive(Clone, Copy)]
struct Cell {
    weight: f32,
    mean: [f32; 3],
}

/// Returns the cells that have pixels.
fn histogram(frames: &[Picture]) -> Vec<Cell> {
    let mut sums = vec![[0u64; 4]; 1 << (3 * BITS)];
    for pixel in pixels(frames) {
        let at = pixel.iter().fold(0, |at, &channel| (at << BITS) | usize::from(channel >> (8 - BITS)));
        let [count, channels @ ..] = &mut sums[at];
        *count += 1;
        channels.iter_mut().zip(pixel).for_each(|(sum, channel)| *sum += u64::from(channel));
    }
    let cell = |[count, channels @ ..]: [u64; 4]| Cell {
        weight: count as f32,
        mean: channels.map(|sum| (sum as f64 / count as f64) as f32),
    };
    sums.into_iter().filter(|sums| sums[0] > 0).map(cell).collect()
}

/// Returns 256 colors with a low squared error for these cells.
fn learned(cells: &[Cell]) -> Vec<[u8; 3]> {
    let mut boxes = vec![cells.to_vec()];
    while boxes.len() < MOST {
        let errors = boxes.iter().map(|cells| spread(cells).iter().sum::<f32>());
        let Some((widest, _)) = errors.enumerate().filter(|(_, error)| *error > 0.0).max_by(|a, b| a.1.total_cmp(&b.1))
        else {
            break;
        };
        let cells = boxes.swap_remove(widest);
        let spread = spread(&cells);
        let axis = (0..3).max_by(|a, b| spread[*a].total_cmp(&spread[*b])).unwrap_or(0);
        let middle = mean(&cells)[axis];
        let (mut low, mut high): (Vec<Cell>, Vec<Cell>) = cells.iter().partition(|cell| cell.mean[axis] <= middle);
        if low.is_empty() || high.is_empty() {
            // Rounding left no difference to cut at.
            low = cells[..1].to_vec();
            high = cells[1..].to_vec();
        }
        boxes.push(low);
        boxes.push(high);
    }
    let mut colors: Vec<[u8; 3]> = boxes.iter().map(|cells| mean(cells).map(byte)).collect();
    for _ in 0..ROUNDS {
        let mut groups = vec![vec![]; colors.len()];
        cells.iter().for_each(|cell| groups[nearest(&colors, cell.mean)].push(*cell));
        for (color, group) in colors.iter_mut().zip(&groups).filter(|(_, group)| !group.is_empty()) {
            *color = mean(group).map(byte);
        }
    }
    colors
}

fn byte(value: f32) -> u8 {
    value.round() as u8
}

fn mean(cells: &[Cell]) -> [f32; 3] {
    let weight: f64 = cells.iter().map(|cell| f64::from(cell.weight)).sum();
    let sum = |axis: usize| cells.iter().map(|cell| f64::from(cell.weight) * f64::from(cell.mean[axis])).sum::<f64>();
    [0, 1, 2].map(|axis| (sum(axis) / weight) as f32)
}

/// Returns the weighted sum of squared distances to the mean along each axis.
fn spread(cells: &[Cell]) -> [f32; 3] {
    let mean = mean(cells);
    [0, 1, 2].map(|axis| cells.iter().map(|cell| cell.weight * (cell.mean[axis] - mean[axis]).powi(2)).sum())
}

fn nearest(colors: &[[u8; 3]], to: [f32; 3]) -> usize {
    let distance = |color: &[u8; 3]| color.iter().zip(to).map(|(a, b)| (f32::from(*a) - b).powi(2)).sum::<f32>();
    let distances = colors.iter().map(distance).enumerate();
    distances.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Colour;

    #[test]
    fn few_colors_are_kept_exactly() {
        let frame = |at: u8| Picture::new(Colour::Rgb, [2, 1], vec![at, 1, 2, 3, at, 5]).unwrap();
        let frames = [frame(9), frame(200), frame(9)];
        let mut palette = Palette::of(&frames);
        assert_eq!(palette.colors().len(), 4);
        let indices = palette.indices(frames[1].data());
        let colors: Vec<u8> = indices.iter().flat_map(|index| palette.colors()[usize::from(*index)]).collect();
        assert_eq!(colors, frames[1].data());
    }

    #[test]
    fn clusters_get_colors_of_their_own() {
        // A thousand shades around each of three far colors, and the rarest is not lost.
        let shades = |[r, g, b]: [u8; 3], n: usize| {
            (0..n).flat_map(move |i| [r + (i % 10) as u8, g + (i / 10 % 10) as u8, b + (i / 100) as u8])
        };
        let data: Vec<u8> =
            shades([20, 20, 20], 1000).chain(shades([200, 30, 30], 990)).chain(shades([30, 220, 60], 10)).collect();
        let frame = Picture::new(Colour::Rgb, [100, 20], data).unwrap();
        let mut palette = Palette::of(std::slice::from_ref(&frame));
        assert!(palette.colors().len() <= MOST);
        for (pixel, index) in frame.data().chunks_exact(3).zip(palette.indices(frame.data())) {
            let color = palette.colors()[usize::from(index)];
            assert!(color.iter().zip(pixel).all(|(a, b)| a.abs_diff(*b) <= 4), "{pixel:?} became {color:?}");
        }
    }
}

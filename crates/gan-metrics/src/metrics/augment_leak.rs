//! Leaks of augmentation into samples: how many samples look augmented beyond the real ones, because G has learned what D sees.
//!
//! Three signs are sought in pictures of 16×16 pixels, one for each augmentation: a blank square, which cutout leaves; a blank line at the
//! border, which translation brings in; and a mean brightness outside of the real images' range, which color changes give.

use super::inputs::CopySearch;
use super::{Better, DataKind, Inputs, Measured, Metric, Needs};
use crate::error::Result;
use crate::features::Features;

/// Rows and columns of a picture.
const SIDE: usize = 16;
/// Largest absolute value of a blank pixel, in the data's range of −1 to 1: augmentations fill with 0.
const BLANK: f32 = 0.06;
/// Side of a blank square that counts.
const SQUARE: usize = 4;
/// Percentiles of the real images' brightness between which a sample is usual.
const USUAL: [f64; 2] = [0.5, 99.5];

/// Share of samples with the most frequent sign, above the share of real ones.
pub static AUGMENT_LEAK: Metric = Metric {
    needs: Needs::TrainingSamples,
    in_training: &[DataKind::Images],
    ..Metric::new(
        "augment_leak",
        "Samples that look augmented",
        Better::Lower,
        "Karras et al. 2020, arXiv:2006.06676",
        measure,
    )
};

/// Whether a picture shows a sign of augmentation.
type Sign<'a> = dyn Fn(&[f32]) -> bool + 'a;

fn measure(inputs: &Inputs<'_>) -> Result<Measured> {
    let CopySearch { generated, training: real, are_pictures, .. } = inputs.copies;
    if !are_pictures || !real.dim().is_multiple_of(SIDE * SIDE) {
        return Err(crate::Error::values("images", "there are no pictures of them: leave augment_leak out"));
    }
    let share = |set: &Features, sign: &Sign<'_>| {
        (0..set.len()).filter(|i| sign(set.row(*i))).count() as f64 / set.len() as f64
    };
    let mut brightness: Vec<f64> = (0..real.len()).map(|i| mean(real.row(i))).collect();
    brightness.sort_by(f64::total_cmp);
    let at = |percent: f64| brightness[((brightness.len() - 1) as f64 * percent / 100.0).round() as usize];
    let usual = at(USUAL[0])..=at(USUAL[1]);
    let signs: [&Sign<'_>; 3] = [&has_blank_square, &has_blank_border, &|picture| !usual.contains(&mean(picture))];
    let excess = signs.map(|sign| share(generated, sign) - share(real, sign));
    Ok(excess.into_iter().fold(0.0, f64::max).into())
}

fn mean(picture: &[f32]) -> f64 {
    picture.iter().map(|v| f64::from(*v)).sum::<f64>() / picture.len() as f64
}

/// Returns which pixels of a picture `[C, 16, 16]` are blank in all channels.
fn blank(picture: &[f32]) -> Vec<bool> {
    (0..SIDE * SIDE).map(|at| picture.iter().skip(at).step_by(SIDE * SIDE).all(|v| v.abs() <= BLANK)).collect()
}

fn has_blank_square(picture: &[f32]) -> bool {
    let blank = blank(picture);
    // The side of the largest blank square whose last corner is each pixel.
    let mut sides = [0usize; SIDE * SIDE];
    for at in (0..SIDE * SIDE).filter(|at| blank[*at]) {
        sides[at] = match [at / SIDE, at % SIDE] {
            [0, _] | [_, 0] => 1,
            _ => 1 + sides[at - 1].min(sides[at - SIDE]).min(sides[at - SIDE - 1]),
        };
    }
    sides.into_iter().any(|side| side >= SQUARE)
}

fn has_blank_border(picture: &[f32]) -> bool {
    let blank = blank(picture);
    let line = |index: &dyn Fn(usize) -> usize| (0..SIDE).all(|i| blank[index(i)]);
    let last = SIDE - 1;
    line(&|i| i) || line(&|i| last * SIDE + i) || line(&|i| i * SIDE) || line(&|i| i * SIDE + last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::Thumbnails;
    use crate::{MetricSuite, Reference};
    use candle_core::{Device, Tensor};
    use gan_base::Rng;
    use std::sync::Arc;

    const N: usize = 200;

    /// Returns images of 3×32×32, every fourth of them changed by `change` per channel, row and column.
    fn images(seed: u64, change: impl Fn(usize, usize, f32) -> f32) -> Tensor {
        let mut rng = Rng::new(seed);
        let mut values = vec![];
        for n in 0..N {
            let colors: Vec<f32> = (0..3).map(|_| rng.uniform(-0.8, 0.8)).collect();
            for color in colors {
                for at in 0..32 * 32 {
                    let value = color + rng.uniform(-0.2, 0.2);
                    values.push(if n % 4 == 0 { change(at / 32, at % 32, value) } else { value });
                }
            }
        }
        Tensor::from_vec(values, (N, 3, 32, 32), &Device::Cpu).unwrap()
    }

    fn leak(generated: &Tensor) -> f64 {
        let suite = MetricSuite::new(Arc::new(Thumbnails::new([3, 32, 32])), &[&AUGMENT_LEAK], 7).unwrap();
        let mut real = suite.sample_set();
        real.push(&images(1, |_, _, value| value)).unwrap();
        let mut train = suite.sample_set();
        train.push(&images(1, |_, _, value| value)).unwrap();
        let mut samples = suite.sample_set();
        samples.push(generated).unwrap();
        let suite = suite.with_real(Reference::default(), real, None, train).unwrap();
        suite.card("made", &samples, 0).unwrap().value(&AUGMENT_LEAK).unwrap()
    }

    #[test]
    fn each_sign_is_counted_above_the_real_share() {
        assert!(leak(&images(2, |_, _, value| value)) < 0.05);
        let cut = images(3, |y, x, value| if (8..24).contains(&y) && (8..24).contains(&x) { 0.0 } else { value });
        let shifted = images(4, |_, x, value| if x < 4 { 0.0 } else { value });
        let bright = images(5, |_, _, value| value + 1.5);
        for made in [cut, shifted, bright] {
            assert!((leak(&made) - 0.25).abs() < 0.05, "{}", leak(&made));
        }
    }
}

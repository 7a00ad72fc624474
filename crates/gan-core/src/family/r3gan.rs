//! The networks of R3GAN (Huang et al. 2024, arXiv:2501.05441), in the form of its authors' code.

use crate::Layer;
use crate::layers::{Bilinear, BlurPool, Conv, Dense, Flatten, LeakyRelu, Pad, Reshape, Residual, ZeroPad};

/// Side of the smallest stage.
const BASE: usize = 4;
/// Residual blocks of each stage.
const BLOCKS: usize = 2;
/// Channels of a block's grouped convolution for each of its input channels.
const EXPANSION: usize = 2;
/// Channels of each group there.
const GROUP: usize = 16;
/// Largest side whose stage has the full width; larger ones have half of the one before.
const FULL: usize = 32;

/// Settings of both networks. For initial values as its authors', both need [`crate::Init::He`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct R3gan {
    /// Height and width of images: 4, doubled up to 8 times.
    pub size: usize,
    /// Channels of images.
    pub channels: usize,
    /// Numbers of a latent vector; 64 in the paper.
    pub latent: usize,
    /// Width of the stages: 768 in the paper. Images above 64 have stages of half, a quarter, ... of it from 64 on.
    pub width: usize,
}

impl R3gan {
    /// Returns the widths of the stages from 4×4 to the size of images.
    ///
    /// # Errors
    /// If the size is not 4, doubled 1 to 8 times, or a width is not a multiple of 8.
    fn widths(&self) -> Result<Vec<usize>, String> {
        let Self { size, width, .. } = *self;
        if !size.is_power_of_two() || !(2 * BASE..=1024).contains(&size) {
            return Err(format!(
                "r3gan makes images of 8, 16, 32, 64, 128, 256, 512 or 1024 pixels a side, not {size}"
            ));
        }
        let halvings = |side: usize| if size > 2 * FULL { (side / FULL).max(1).ilog2() } else { 0 };
        let sides = (0..).map(|i| BASE << i).take_while(|side| *side <= size);
        let widths: Vec<usize> = sides.map(|side| width >> halvings(side)).collect();
        let smallest = widths.iter().min().copied().unwrap_or(0);
        let steps = halvings(size);
        if smallest == 0 || !(smallest * EXPANSION).is_multiple_of(GROUP) || (smallest << steps) != width {
            let unit = (GROUP / EXPANSION) << steps;
            return Err(format!("r3gan's width for this size must be a multiple of {unit}, found {width}"));
        }
        Ok(widths)
    }

    /// Returns G's layers, for inputs `[latent]`: a learned image of 4×4 in each channel times a linear function of z, then blocks, where a
    /// change of width comes before the enlargement.
    ///
    /// # Errors
    /// If the size or the width does not fit.
    pub fn generator(&self) -> Result<Vec<Layer>, String> {
        let widths = self.widths()?;
        let first = widths[0];
        // A kernel of 4×4 in each channel, over a single pixel between zeros, is that image, upside down.
        let basis = Conv { groups: first, gain: Some(he_to(1.0, BASE * BASE)), ..unbiased(first, BASE) };
        let mut layers = vec![
            Dense { bias: false, gain: Some(LINEAR), ..Dense::new(first) }.into(),
            Reshape { reshape: vec![first, 1, 1] }.into(),
            ZeroPad { zero_pad: Pad::All(BASE - 1) }.into(),
            basis.into(),
        ];
        for (i, width) in widths.iter().enumerate() {
            if i > 0 {
                layers.extend((widths[i - 1] != *width).then(|| linear(*width)));
                layers.push(Bilinear { bilinear: 2.into() }.into());
            }
            layers.extend(self.blocks(*width, widths.len())?);
        }
        layers.push(linear(self.channels));
        Ok(layers)
    }

    /// Returns D's layers, for inputs `[C, size, size]`: the generator's stages in reverse, and a kernel of 4×4 in each channel before the
    /// logit.
    ///
    /// # Errors
    /// As [`R3gan::generator`].
    pub fn discriminator(&self) -> Result<Vec<Layer>, String> {
        let widths = self.widths()?;
        let last = widths[0];
        let mut layers = vec![linear(widths[widths.len() - 1])];
        for (i, width) in widths.iter().enumerate().rev() {
            layers.extend(self.blocks(*width, widths.len())?);
            if i > 0 {
                layers.push(BlurPool { blur_pool: 2 }.into());
                layers.extend((widths[i - 1] != *width).then(|| linear(widths[i - 1])));
            }
        }
        let basis = Conv { groups: last, gain: Some(LINEAR), ..unbiased(last, BASE) };
        layers.extend([
            basis.into(),
            Flatten.into(),
            Dense { bias: false, gain: Some(LINEAR), ..Dense::new(1) }.into(),
        ]);
        Ok(layers)
    }

    /// Returns the blocks of a stage: 1×1, 3×3 in groups, 1×1 beside the identity. The first two kernels begin at √(2 / 1.04) · L^(−1/4)
    /// times 1/√fan_in for L blocks in the network, the last at 0 (Zhang et al. 2019, arXiv:1901.09321).
    fn blocks(&self, width: usize, stages: usize) -> Result<Vec<Layer>, String> {
        let wide = width * EXPANSION;
        let gain = Some(((BLOCKS * stages) as f64).powf(-0.25) / 1.04f64.sqrt());
        let slope = || Layer::from(LeakyRelu { leaky_relu: 0.2 });
        let first = Conv { gain, ..Conv::new(wide, 1) };
        let grouped = Conv { padding: Pad::All(1), groups: wide / GROUP, gain, ..Conv::new(wide, 3) };
        let last = Conv { gain: Some(0.0), ..unbiased(width, 1) };
        let residual = vec![first.into(), slope(), grouped.into(), slope(), last.into()];
        Ok(vec![Residual { residual, skip: vec![] }.into(); BLOCKS])
    }
}

/// Gain of a layer without an activation, relative to [`crate::Init::He`].
const LINEAR: f64 = std::f64::consts::FRAC_1_SQRT_2;

/// Returns the gain that makes He's deviation for `fan_in` inputs `deviation`.
fn he_to(deviation: f64, fan_in: usize) -> f64 {
    deviation / (2.0 / fan_in as f64).sqrt()
}

fn unbiased(outputs: usize, kernel: usize) -> Conv {
    Conv { bias: false, ..Conv::new(outputs, kernel) }
}

fn linear(outputs: usize) -> Layer {
    Conv { gain: Some(LINEAR), ..unbiased(outputs, 1) }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::{infer, parameter_count};

    #[test]
    fn widths_and_parameters_are_those_of_the_authors_code() {
        let of = |size, width| R3gan { size, channels: 3, latent: 64, width };
        assert_eq!(of(256, 768).widths().unwrap(), [768, 768, 768, 768, 384, 192, 96]);
        assert_eq!(of(64, 768).widths().unwrap(), [768; 5]);
        for (size, width) in [(32, 48), (64, 96), (128, 64), (256, 128)] {
            let nets = of(size, width);
            let g = infer("generator", &[64], &nets.generator().unwrap()).unwrap();
            assert_eq!(g.last().unwrap().output, [3, size, size]);
            let d = infer("discriminator", &[3, size, size], &nets.discriminator().unwrap()).unwrap();
            assert_eq!(d.last().unwrap().output, [1]);
        }
        // By hand, for 32 pixels and width W: four stages of two blocks. A block has 2W·W + 2W, 2W·16·9 + 2W and 2W·W numbers.
        let w = 48;
        let blocks = 8 * (4 * w * w + 4 * w + 2 * w * 144);
        let g = infer("generator", &[64], &of(32, w).generator().unwrap()).unwrap();
        assert_eq!(parameter_count(&g), blocks + 64 * w + 16 * w + 3 * w);
        let d = infer("discriminator", &[3, 32, 32], &of(32, w).discriminator().unwrap()).unwrap();
        assert_eq!(parameter_count(&d), blocks + 3 * w + 16 * w + w);
    }

    #[test]
    fn sizes_and_widths_that_do_not_fit_are_named() {
        let problem = |size, width| R3gan { size, channels: 3, latent: 64, width }.generator().unwrap_err();
        assert!(problem(48, 96).contains("not 48"));
        assert!(problem(64, 20).contains("a multiple of 8, found 20"));
        assert!(problem(256, 72).contains("a multiple of 64, found 72"));
    }
}

//! A discriminator without norms, for regularization by R1.

use super::{dense, doublings};
use crate::Layer;
use crate::layers::{Conv, Flatten, LeakyRelu, MinibatchStd, Pad};

/// Units of the hidden layer before the logit.
const HIDDEN: usize = 128;

/// Returns a discriminator of images of `size` `[H, W]` whose convolutions have DCGAN's form and widths, but biases instead of batch norm;
/// then minibatch standard deviation (Karras et al. 2018, arXiv:1710.10196) and a hidden layer.
///
/// # Errors
/// As [`super::dcgan`].
pub fn plain(size: [usize; 2], width: usize) -> Result<Vec<Layer>, String> {
    let (_, doublings) = doublings(size)?;
    let slope = || Layer::from(LeakyRelu { leaky_relu: 0.2 });
    let down = |outputs| Conv { stride: 2.into(), padding: Pad::All(1), ..Conv::new(outputs, 4) };
    let widths = (0..doublings).map(|i| width.checked_shl(i as u32).filter(|w| (1..=1 << 20).contains(w)));
    let widths: Option<Vec<usize>> = widths.collect();
    let widths = widths.ok_or_else(|| format!("a width of {width}, doubled {} times, is impossible", doublings - 1))?;
    let body = widths.into_iter().flat_map(|outputs| [down(outputs).into(), slope()]);
    let head = [MinibatchStd { minibatch_std: 4 }.into(), Flatten.into(), dense(HIDDEN), slope(), dense(1)];
    Ok(body.chain(head).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_size_of_dcgan_ends_in_one_logit() {
        for size in [[28, 28], [64, 64], [32, 32], [96, 64], [128, 128]] {
            let layers = plain(size, 8).unwrap();
            let shapes = crate::shape::infer("discriminator", &[3, size[0], size[1]], &layers).unwrap();
            assert_eq!(shapes.last().unwrap().output, [1]);
        }
        assert!(plain([60, 60], 8).unwrap_err().contains("nearest"));
        assert!(plain([64, 64], 0).unwrap_err().contains("impossible"));
    }
}

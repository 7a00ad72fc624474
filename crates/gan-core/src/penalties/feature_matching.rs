//! Feature matching: ‖E[f(x)] − E[f(G(z))]‖² is added to G's loss, f being the input of D's head (Salimans et al. 2016, arXiv:1606.03498,
//! section 3.1).

use super::Effect;
use candle_core::{Result, Tensor};

pub(super) const EFFECT: Effect = Effect::Features(distance);

fn distance(real: &Tensor, fake: &Tensor) -> Result<Tensor> {
    (real.detach().mean(0)? - fake.mean(0)?)?.sqr()?.sum_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gan_kernels::testing::test_device;

    #[test]
    fn feature_matching_is_the_squared_distance_of_the_means() -> Result<()> {
        let real = Tensor::new(&[[1.0f64, 2.0], [3.0, 4.0]], test_device())?;
        let fake = Tensor::new(&[[0.0f64, 1.0]], test_device())?;
        assert_eq!(distance(&real, &fake)?.to_scalar::<f64>()?, 2.0 * 2.0 + 2.0 * 2.0);
        Ok(())
    }
}

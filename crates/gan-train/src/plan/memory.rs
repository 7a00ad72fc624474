//! Lower bound on the memory that training a plan needs.

use super::{Architecture, Plan};
use crate::error::{Error, Result};
use crate::optimizers::UpdateRule;
use gan_base::memory;
use gan_core::shape::{infer, parameter_count, saved_for_backward};

/// Number of bytes of an f32.
const FLOAT: u64 = size_of::<f32>() as u64;

impl Plan {
    /// Fails if training on the CPU, with `at_once` samples in each batch of this process, certainly needs more memory than it can get.
    ///
    /// # Errors
    /// With the setting to lower.
    pub(crate) fn check_memory(&self, at_once: usize) -> Result<()> {
        let [state, batch] = self.least_memory(at_once)?;
        let sample = self.sample();
        if let Err(shortage) = memory::check(state) {
            let problem = format!("for training both networks {shortage}: use fewer or narrower layers");
            return Err(Error::config("generator, discriminator", problem));
        }
        memory::check(state.saturating_add(batch)).map_err(|shortage| {
            let problem = format!(
                "for training on {at_once} samples of shape {sample:?} at once {shortage}: lower train.batch, or use smaller samples \
                 or narrower layers"
            );
            Error::config("train.batch", problem)
        })
    }

    /// Returns the number of bytes that are certainly held at once: for parameters, the state of optimizers, and one batch.
    fn least_memory(&self, at_once: usize) -> Result<[u64; 2]> {
        let inferred = |name: &str, network: &Architecture| infer(name, &network.input, &network.layers);
        let g = inferred("generator", &self.generator)?;
        let d = inferred("discriminator", &self.discriminator)?;
        let config = &self.config;
        let train = &config.train;
        // The parameters themselves, and the optimizer's running averages.
        let copies = |rule: &dyn UpdateRule| 1 + rule.averages().len() as u64;
        let parameters = [parameter_count(&g), parameter_count(&d)].map(|n| n as u64 * FLOAT);
        let state = parameters[0] * (copies(&config.optimizer.generator) + u64::from(train.has_average()))
            + parameters[1] * copies(&config.optimizer.discriminator);

        let sample = self.sample().iter().product::<usize>() as u64;
        let batch = at_once as u64;
        // D sees a batch in micro-batches and packs; G's graph is kept for all of it.
        let seen = batch / (train.accumulate.max(1) * train.pacgan.max(1)) as u64;
        let kept = |list, n: u64| n.saturating_mul(saved_for_backward(list) as u64);
        let samples = batch.saturating_mul(2 * sample);
        let numbers = samples.saturating_add(kept(&g, batch).max(kept(&d, seen)));
        Ok([state, numbers.saturating_mul(FLOAT)])
    }
}

#[cfg(test)]
mod tests {
    use crate::{layering, presets};

    fn plan(assignments: &[&str]) -> super::Plan {
        let mut table = layering::from_preset(presets::get("dcgan-mnist").unwrap()).unwrap();
        assignments.iter().for_each(|assignment| layering::set(&mut table, assignment).unwrap());
        layering::read(table).unwrap().check().unwrap()
    }

    #[test]
    fn a_batch_takes_its_samples_and_what_backward_passes_read() {
        let networks = [
            "generator.layers=[{dense=3}, {dense=784}, {reshape=[1,28,28]}, \"tanh\"]",
            "generator.input=[100]",
            "discriminator.layers=[\"flatten\", {dense=1}]",
        ];
        let of = |batch: usize, setting: &str| plan(&[&networks[..], &[setting]].concat()).least_memory(batch).unwrap();
        let (g, d) = (3 * 101 + 784 * 4, 785);
        // G keeps 100 + 3 numbers per sample, D 784.
        assert_eq!(of(10, "train.batch=10"), [4 * 3 * (g + d), 4 * 10 * (2 * 784 + 784)]);
        assert_eq!(of(10, "train.accumulate=5"), [4 * 3 * (g + d), 4 * (10 * 2 * 784 + 2 * 784)]);
        assert_eq!(of(10, "train.ema=0.9"), [4 * (4 * g + 3 * d), 4 * 10 * (2 * 784 + 784)]);
    }

    #[test]
    fn a_batch_that_cannot_fit_is_refused_with_advice() {
        plan(&[]).check_memory(64).unwrap();
        if gan_base::memory::available().is_some_and(|bytes| bytes < 1 << 37) {
            let message = plan(&[]).check_memory(3_000_000).unwrap_err().to_string();
            assert!(
                message.starts_with("train.batch: for training on 3000000 samples of shape [1, 28, 28]"),
                "{message}"
            );
            assert!(message.contains("lower train.batch"), "{message}");
        }
    }
}

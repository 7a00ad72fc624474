//! A run's state on a device, the host's copy of it, and what happens when the device fails.

use super::step::Engine;
use super::{Resident, Result};
use crate::ema::Ema;
use crate::error::Error;
use crate::optimizers::Optimizer;
use candle_core::Tensor;
use gan_base::memory::shown;
use gan_core::{Discriminator, Generator};
use gan_cuda::step::StepBackend;
use gan_cuda::{Failure, caught};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Who has the newest numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Newest {
    Host,
    Device,
    Both,
}

/// A run's state on a device, and the host's copy of it.
pub(crate) struct Residence(Mutex<State>);

struct State {
    device: Box<dyn Resident>,
    newest: Newest,
    /// Bytes of the device's memory that do not depend on the batch, and the batch.
    fixed: usize,
    batch: usize,
    /// The message of the failure after which the device is not used any more, because it was in the middle of something.
    failed: Option<String>,
}

impl fmt::Debug for Residence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Residence").field(&self.state().newest).finish()
    }
}

impl Residence {
    /// Allocates both networks on a device, for updates with a `batch` of samples.
    ///
    /// # Errors
    /// If a network is not made of a layer list or has a layer that the device lacks, or the device fails.
    pub fn new<B: StepBackend>(
        backend: &B,
        generator: &dyn Generator,
        discriminator: &dyn Discriminator,
        optimizers: [&Optimizer; 2],
        ema: Option<&Ema>,
        [seed, batch]: [u64; 2],
    ) -> Result<Self> {
        let own = || Error::config("--device", "networks of your own run on the CPU: they are not made of layer lists");
        let networks = [generator.layered().ok_or_else(own)?, discriminator.layered().ok_or_else(own)?];
        let made = caught(|| Engine::new(backend, networks, optimizers, ema, seed));
        let engine = made.map_err(|failure| Error::Device { problem: not_started(&failure) })??;
        let device = Box::new(engine);
        let fixed = device.requested();
        Ok(Self(Mutex::new(State { device, newest: Newest::Host, fixed, batch: batch as usize, failed: None })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic leaves no half-written host values behind that anybody reads.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells that the host's numbers have changed.
    pub fn changed(&self) {
        self.state().newest = Newest::Host;
    }

    /// Writes the newest numbers to the host's variables: all of them, or none if the device has failed.
    pub fn fetch(&self, optimizers: [&Optimizer; 2], ema: Option<&Ema>) -> Result<()> {
        let mut state = self.state();
        if state.newest == Newest::Device {
            state.call(|device| device.fetch(optimizers, ema))?;
            state.newest = Newest::Both;
        }
        Ok(())
    }

    /// Reads the newest numbers from the host's variables.
    pub fn send(&self, optimizers: [&Optimizer; 2], ema: Option<&Ema>) -> Result<()> {
        let mut state = self.state();
        if state.newest == Newest::Host {
            state.call(|device| device.send(optimizers, ema))?;
            state.newest = Newest::Both;
        }
        Ok(())
    }

    /// Changes the numbers on the device, which must be the newest.
    pub fn update<T>(&self, f: impl FnOnce(&mut dyn Resident) -> Result<T>) -> Result<T> {
        let mut state = self.state();
        debug_assert_ne!(state.newest, Newest::Host, "the device has old numbers");
        state.newest = Newest::Device;
        state.call(f)
    }

    /// Generates samples with the numbers on the device, which must be the newest.
    pub fn sample(&self, z: &Tensor, classes: Option<&Tensor>) -> Result<Tensor> {
        self.state().call(|device| device.sample(z, classes))
    }

    /// Returns the bytes of device memory that were requested.
    pub fn requested(&self) -> usize {
        self.state().device.requested()
    }

    /// Returns whether D has derivatives in directions there, which penalties need.
    pub fn has_derivatives(&self) -> bool {
        self.state().device.has_derivatives()
    }
}

impl State {
    /// Calls `f` with the device, unless it has failed.
    fn call<T>(&mut self, f: impl FnOnce(&mut dyn Resident) -> Result<T>) -> Result<T> {
        if self.failed.is_none() {
            match caught(|| f(self.device.as_mut())) {
                Ok(result) => return result,
                Err(failure) => self.failed = Some(self.message(&failure)),
            }
        }
        Err(Error::Device { problem: self.failed.clone().unwrap_or_default() })
    }

    fn message(&self, failure: &Failure) -> String {
        let Failure::OutOfMemory { wanted, free, total } = *failure else {
            return format!(
                "the GPU failed ({failure}). Nothing of this step was saved, and the last checkpoint is whole: go on from it with --resume, \
                 and on the CPU with --device cpu. If it fails again, `dmesg` and `nvidia-smi` tell more about the GPU"
            );
        };
        let held = self.device.requested();
        let room = [total, held, free, wanted].map(|bytes| shown(bytes as u64));
        let [total, used, free, wanted] = room;
        let advice = match batch_that_fits(self.batch, self.fixed, held, failure) {
            Some(batch) => format!("a batch of {batch} may fit: try train.batch={batch}"),
            None => "use narrower layers or smaller samples, or --device cpu".into(),
        };
        format!(
            "the GPU has too little memory for train.batch={}: of {total} in all, this run holds {used} and {free} are free, but {wanted} more \
             were needed at once; {advice}",
            self.batch
        )
    }
}

/// Returns the largest batch that can fit, by what was held when the memory ended: what grows with the batch is proportional to it. The step was
/// not over, so a smaller batch may be needed. A multiple of 8 if there is one; `None` if no batch fits.
fn batch_that_fits(batch: usize, fixed: usize, held: usize, failure: &Failure) -> Option<usize> {
    let Failure::OutOfMemory { wanted, free, .. } = *failure else { return None };
    let needed = (held + wanted).saturating_sub(fixed).max(1);
    let room = (held + free).saturating_sub(fixed);
    let fits = (batch as u128 * room as u128 / needed as u128) as usize;
    let fits = fits.min(batch.saturating_sub(1));
    let rounded = if fits >= 8 { fits / 8 * 8 } else { fits };
    (rounded > 0).then_some(rounded)
}

fn not_started(failure: &Failure) -> String {
    match *failure {
        Failure::OutOfMemory { total, free, wanted } => {
            let [total, free, wanted] = [total, free, wanted].map(|bytes| shown(bytes as u64));
            format!(
                "the GPU has too little memory for both networks and their optimizers: of {total} in all, {free} are free, but {wanted} more were \
                 needed at once; use narrower layers, or --device cpu"
            )
        }
        Failure::Call { .. } => format!("the GPU failed ({failure}); train on the CPU with --device cpu"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_batch_that_fits_follows_what_grows_with_it() {
        let fits = |batch, fixed, held, wanted, free| {
            batch_that_fits(batch, fixed, held, &Failure::OutOfMemory { wanted, free, total: 0 })
        };
        // 100 samples need 900 at least, and there is room for 450.
        assert_eq!(fits(100, 100, 500, 500, 50), Some(48));
        assert_eq!(fits(12, 100, 500, 500, 50), Some(6));
        // Free memory in pieces that are too small.
        assert_eq!(fits(64, 0, 500, 100, 100), Some(56));
        assert_eq!(fits(64, 500, 500, 100, 0), None);
        assert_eq!(fits(1, 0, 500, 100, 0), None);
    }
}

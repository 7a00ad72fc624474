//! Measured durations, also where a program has no clock.

#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
use std::time::Instant;

/// A running clock. In WebAssembly without a system, where asking for the time would panic, every duration is 0.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    #[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
    start: Instant,
}

impl Stopwatch {
    /// Starts a clock.
    #[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Starts a clock.
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    pub fn start() -> Self {
        Self {}
    }

    /// Returns the seconds since the start.
    #[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
    pub fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// Returns 0.
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    pub fn seconds(&self) -> f64 {
        0.0
    }

    /// Returns the seconds since the start, and starts again.
    pub fn lap(&mut self) -> f64 {
        let seconds = self.seconds();
        *self = Self::start();
        seconds
    }
}

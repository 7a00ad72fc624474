//! Segments that run, are recorded, or are replayed.

use crate::error::Result;
use gan_cuda::step::StepBackend;
use std::collections::HashMap;

/// Number of times that an update runs before it is recorded, so that its memory is there.
const RUNS: u32 = 2;

/// What is done with the segments of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Run,
    Record,
    Replay,
}

/// The recorded segments of all updates so far.
#[derive(Debug)]
pub(super) struct Recorder<B: StepBackend> {
    recordings: B::Recordings,
    /// Number of runs of each kind of update, by its signature.
    runs: HashMap<String, u32>,
    /// Number of gradients that a recorded update writes.
    gradients: HashMap<String, usize>,
    mode: Mode,
    signature: String,
    /// How often the backend had given memory back when the last update began.
    releases: usize,
}

impl<B: StepBackend> Default for Recorder<B> {
    fn default() -> Self {
        let (runs, gradients) = (HashMap::new(), HashMap::new());
        Self {
            recordings: B::Recordings::default(),
            runs,
            gradients,
            mode: Mode::Run,
            signature: String::new(),
            releases: 0,
        }
    }
}

impl<B: StepBackend> Recorder<B> {
    /// Begins an update.
    pub fn begin(&mut self, backend: &B, signature: String, is_recordable: bool) {
        let releases = backend.releases();
        if std::mem::replace(&mut self.releases, releases) != releases {
            // The memory of what is not recorded yet may be gone. What is recorded has its own.
            self.runs.retain(|_, runs| *runs > RUNS);
        }
        let runs = self.runs.entry(signature.clone()).or_default();
        self.mode = match is_recordable {
            false => Mode::Run,
            true if *runs < RUNS => Mode::Run,
            true if *runs == RUNS => Mode::Record,
            true => Mode::Replay,
        };
        *runs += 1;
        self.signature = signature;
    }

    /// Goes on with an update that needs what the one before has left: if that was recorded or replayed, this is, too.
    pub fn go_on(&mut self, signature: String) {
        self.signature = format!("{} {signature}", self.signature);
    }

    /// Returns the number of gradients that this update has written, which is `found` unless it was replayed.
    pub fn gradients(&mut self, found: usize) -> usize {
        if self.mode == Mode::Replay {
            return self.gradients.get(&self.signature).copied().unwrap_or(found);
        }
        self.gradients.insert(self.signature.clone(), found);
        found
    }

    /// Runs, records or replays a segment.
    pub fn play(&mut self, backend: &B, name: &str, f: impl FnOnce() -> Result<()>) -> Result<()> {
        let name = format!("{} {name}", self.signature);
        match self.mode {
            Mode::Run => f(),
            Mode::Record => backend.record(&mut self.recordings, &name, f),
            Mode::Replay if backend.replay(&self.recordings, &name) => Ok(()),
            Mode::Replay => {
                let problem = format!("the work \"{name}\" was never recorded");
                Err(candle_core::Error::Msg(problem).into())
            }
        }
    }
}

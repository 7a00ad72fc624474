//! Published protocols: everything that two numbers must have in common to be comparable.

use gan_base::messages::choose;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A published protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// FID between 50,000 generated samples and the whole training set with Inception-v3's features (Heusel et al. 2017,
    /// arXiv:1706.08500; numbers of samples as in Karras et al. 2018, arXiv:1710.10196, and later papers).
    Fid50k,
}

impl Protocol {
    /// Returns its name on the command line.
    pub fn key(self) -> &'static str {
        match self {
            Self::Fid50k => "fid50k",
        }
    }

    /// Returns the number of generated samples.
    pub fn samples(self) -> usize {
        match self {
            Self::Fid50k => 50_000,
        }
    }

    /// Returns the name of the network for `--embedder`.
    pub fn embedder(self) -> &'static str {
        match self {
            Self::Fid50k => "inception",
        }
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "fid50k" => Ok(Self::Fid50k),
            name => Err(format!("unknown protocol{}", choose(name, &[Self::Fid50k.key()]))),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} generated samples against all of the reference", self.key(), self.samples())
    }
}

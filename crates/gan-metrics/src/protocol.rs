//! Published protocols: everything that two numbers must share before they may be compared.

use gan_base::messages::choose;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A published protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// FID between 50,000 generated samples and the whole training set, over Inception-v3's features (Heusel et al. 2017,
    /// arXiv:1706.08500; with the numbers of samples that Karras et al. 2018, arXiv:1710.10196, and later papers take).
    Fid50k,
}

impl Protocol {
    /// Returns its name on the command line.
    pub fn key(self) -> &'static str {
        match self {
            Self::Fid50k => "fid50k",
        }
    }

    /// Returns how many samples are generated.
    pub fn samples(self) -> usize {
        match self {
            Self::Fid50k => 50_000,
        }
    }

    /// Returns the network that makes the features, as `--embedder` names it.
    pub fn embedder(self) -> &'static str {
        match self {
            Self::Fid50k => "inception",
        }
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = [Self::Fid50k];
        let keys = known.map(Self::key);
        known
            .into_iter()
            .find(|protocol| protocol.key() == name)
            .ok_or_else(|| format!("unknown protocol{}", choose(name, &keys)))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} generated samples against all of the reference", self.key(), self.samples())
    }
}

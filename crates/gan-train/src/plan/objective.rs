//! What a step minimizes, and whose turn it is in it.

use super::Plan;
use crate::config::{Alternate, TrainConfig};
use crate::step::{Batches, DiscriminatorInput, Objective};

impl Plan {
    /// Returns what both networks minimize in update number `update` of D, counted from 0, after `progress` of the run, from 0 to 1.
    pub(crate) fn objective(&self, update: u64, progress: f64) -> Objective {
        let config = self.config();
        let train = &config.train;
        Objective {
            loss: config.loss.kind,
            labels: self.labels(),
            flip: config.loss.flip,
            batches: if train.joint_batch { Batches::Joint } else { Batches::Separate },
            view: DiscriminatorInput {
                augment: config.augment,
                noise: train.instance_noise.map_or(0.0, |noise| noise.at(progress)),
                pack: train.pacgan,
            },
            penalties: config.penalties.iter().filter_map(|penalty| penalty.scheduled(update, progress)).collect(),
            auxiliary: config.loss.auxiliary,
            clip_norm: train.clip_norm,
        }
    }
}

/// How many updates of each network a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub d: u64,
    pub g: u64,
}

impl Turn {
    /// Returns the updates of the step after `step`, where an epoch has `batches` batches.
    pub fn of(train: &TrainConfig, step: u64, batches: u64) -> Self {
        let (d, g) = (train.d_steps, train.g_steps);
        match train.alternate {
            Alternate::Steps => Self { d, g },
            Alternate::Epochs if step % ((d + g) * batches) < d * batches => Self { d: 1, g: 0 },
            Alternate::Epochs => Self { d: 0, g: 1 },
        }
    }
}

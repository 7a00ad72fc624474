//! What a step minimizes, and whose turn it is in it.

use super::Plan;
use crate::config::{Alternate, PenaltyKind, TrainConfig};
use crate::step::{Batches, DiscriminatorInput, Objective, ScheduledPenalty};

impl Plan {
    /// Returns what both networks minimize when `progress` of the run is done, from 0 to 1, penalties on D's gradient apart.
    pub(crate) fn objective(&self, progress: f64) -> Objective {
        let config = self.config();
        let train = &config.train;
        let weight = |kind: PenaltyKind| {
            config.penalties.iter().find(|penalty| penalty.kind == kind).map(|penalty| penalty.weight_at(progress))
        };
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
            penalties: vec![],
            auxiliary: config.loss.auxiliary,
            feature_matching: weight(PenaltyKind::FeatureMatching),
            clip_norm: train.clip_norm,
            clip_weights: weight(PenaltyKind::Clip),
        }
    }

    /// Returns the penalties that D's update of this number, counted from 0, is charged for.
    pub(crate) fn penalties(&self, update: u64, progress: f64) -> Vec<ScheduledPenalty> {
        let due = self.config().penalties.iter().filter(|penalty| update.is_multiple_of(penalty.every));
        let due = due.filter_map(|p| {
            let weight = p.weight_at(progress) * p.every as f64;
            Some(ScheduledPenalty { penalty: p.kind.on_gradient()?, weight, share: p.share })
        });
        due.collect()
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

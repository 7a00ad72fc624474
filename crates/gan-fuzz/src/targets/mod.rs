//! One file for each target. `small` decides which networks are small enough to run, and `training` trains two steps.

pub mod assignments;
pub mod celeba;
pub mod checkpoint;
pub mod cifar;
pub mod classifier;
pub mod embeddings;
pub mod fetch;
pub mod idx;
pub mod idx_gz;
pub mod image;
pub mod import;
pub mod moments;
pub mod network;
pub mod npy;
pub mod pack;
pub mod report;
pub mod settings;
mod small;
pub mod state_dict;
mod training;
pub mod weights;
pub mod zip;

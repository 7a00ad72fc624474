//! `gan data fetch`: data sets from the Hugging Face Hub into the folders that the readers read.
//!
//! Modules in reading order: `source` says where a data set is (each data set has its own); `answers` reads what the server answers; `environment` says where
//! to fetch from; `hub` asks the server; `cache` and `download` get files, go on where one broke off and check them; `rows` reads
//! them; `layout` writes them down anew; `place` puts the folder in its place. All but the first two are there with the feature
//! `hub` alone.

pub mod answers;
mod source;

#[cfg(feature = "hub")]
mod cache;
#[cfg(feature = "hub")]
mod download;
#[cfg(feature = "hub")]
mod environment;
#[cfg(feature = "hub")]
mod hash;
#[cfg(feature = "hub")]
mod hub;
#[cfg(feature = "hub")]
mod layout;
#[cfg(feature = "hub")]
mod place;
#[cfg(feature = "hub")]
mod rows;
#[cfg(feature = "hub")]
mod whole;

#[cfg(feature = "hub")]
pub use environment::{Access, Environment};
pub(crate) use source::advice;
pub use source::{Layout, Source};
#[cfg(feature = "hub")]
pub use whole::{Outcome, Progress, fetch};

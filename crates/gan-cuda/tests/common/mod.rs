//! Shared by the tests.
#![allow(dead_code, unused_imports)]

pub mod device;
pub mod networks;
pub mod operations;

pub use device::device;

//! f32 convolutions over channels-last images: `kernel` selects, for each problem and direction, Winograd's algorithms (`winograd`), row
//! products (`dense`), products of unfolded windows (`im2col`, `im2col_gemm`), or col2im (`col2im`).

mod col2im;
mod dense;
mod im2col;
mod im2col_gemm;
pub(crate) mod kernel;
mod taps;
#[cfg(test)]
mod tests;
#[allow(clippy::needless_range_loop, reason = "tiles are indexed by point in both directions, as the formulas are")]
pub(crate) mod winograd;

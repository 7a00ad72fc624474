//! The dense layer, with a matrix product that spends nothing on a frozen weight's gradient.

use crate::product::{Matrix, Onto, Threads, product};
use crate::storage::{Real, elements, for_backward, with_real};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

/// x `[N, I]`, w `[O, I]`, bias `[O]` -> x·wᵀ + bias `[N, O]`.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn linear(x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let y = if x.device().is_cpu() { x.apply_op2(w, Product(Side::AsIs, Side::Turned))? } else { x.matmul(&w.t()?)? };
    match bias {
        Some(bias) => y.broadcast_add(bias),
        None => Ok(y),
    }
}

/// Whether a factor enters a product as it is or transposed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    AsIs,
    Turned,
}
use Side::{AsIs, Turned};

/// a·b with either factor transposed: a family closed under differentiation.
struct Product(Side, Side);

impl CustomOp2 for Product {
    fn name(&self) -> &'static str {
        "product"
    }

    fn cpu_fwd(&self, a: &CpuStorage, al: &Layout, b: &CpuStorage, bl: &Layout) -> Result<(CpuStorage, Shape)> {
        with_real!(candle_core::backend::BackendStorage::dtype(a), self.name(), T => self.run::<T>((a, al), (b, bl)))
    }

    fn bwd(&self, a: &Tensor, b: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (a1, b1) = (for_backward(a), for_backward(b));
        let other = |side| if side == AsIs { Turned } else { AsIs };
        // y = A·B gives dA = g·Bᵀ and dB = Aᵀ·g; a transposed factor's gradient is the transpose of that.
        let grad_a = || match self.0 {
            AsIs => g.apply_op2(&b1, Product(AsIs, other(self.1))),
            Turned => b1.apply_op2(g, Product(self.1, Turned)),
        };
        let grad_b = || match self.1 {
            AsIs => a1.apply_op2(g, Product(other(self.0), AsIs)),
            Turned => g.apply_op2(&a1, Product(Turned, self.0)),
        };
        let wanted = |t: &Tensor, f: &dyn Fn() -> Result<Tensor>| t.track_op().then(f).transpose();
        Ok((wanted(a, &grad_a)?, wanted(b, &grad_b)?))
    }
}

impl Product {
    fn run<T: Real>(&self, a: (&CpuStorage, &Layout), b: (&CpuStorage, &Layout)) -> Result<(CpuStorage, Shape)> {
        let ((ar, ac), (br, bc)) = (a.1.shape().dims2()?, b.1.shape().dims2()?);
        let (a, b) = (elements::<T>(a.0, a.1)?, elements::<T>(b.0, b.1)?);
        let sides = |rows: usize, cols: usize, side| if side == AsIs { (rows, cols) } else { (cols, rows) };
        let ((m, k), (k2, n)) = (sides(ar, ac, self.0), sides(br, bc, self.1));
        if k != k2 {
            bail!("a dense layer for {k2} inputs got {k}: [{ar}, {ac}] against [{br}, {bc}]");
        }
        let mut y = vec![T::ZERO; m * n];
        if !y.is_empty() && k > 0 {
            let (a, b) = (orient(Matrix::new(&a, ar, ac), self.0), orient(Matrix::new(&b, br, bc), self.1));
            product(a, b, &mut y, Onto::Fresh, Threads::All);
        }
        Ok((T::store(y), Shape::from((m, n))))
    }
}

fn orient<T>(m: Matrix<'_, T>, side: Side) -> Matrix<'_, T> {
    if side == AsIs { m } else { m.t() }
}

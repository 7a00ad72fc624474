//! A tensor in a file: its place in a storage, and its values when they are needed.

use crate::error::Result;
use candle_core::{DType, Device, Tensor};

/// Type of the numbers of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// Half precision.
    F16,
    /// The first 16 bits of single precision.
    Bf16,
    /// Single precision.
    F32,
    /// Double precision.
    F64,
    /// A byte.
    U8,
    /// A signed byte.
    I8,
    /// A signed integer of 16 bits.
    I16,
    /// A signed integer of 32 bits.
    I32,
    /// A signed integer of 64 bits.
    I64,
    /// A boolean in a byte.
    Bool,
}

impl ElementType {
    /// Returns the number of bytes.
    pub fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }

    /// Returns the name, as safetensors writes it in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::Bool => "bool",
        }
    }

    /// Returns whether it is a floating point type.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::Bf16 | Self::F32 | Self::F64)
    }

    /// Returns candle's type; `None` if candle lacks it.
    pub fn dtype(self) -> Option<DType> {
        match self {
            Self::F16 => Some(DType::F16),
            Self::Bf16 => Some(DType::BF16),
            Self::F32 => Some(DType::F32),
            Self::F64 => Some(DType::F64),
            Self::U8 => Some(DType::U8),
            Self::I64 => Some(DType::I64),
            Self::I8 | Self::I16 | Self::I32 | Self::Bool => None,
        }
    }
}

/// A named tensor whose values are still in the file's bytes.
#[derive(Clone, Debug)]
pub struct ForeignTensor<'a> {
    /// Name in its state dict.
    pub name: String,
    /// Type of the numbers.
    pub element: ElementType,
    /// Shape.
    pub shape: Vec<usize>,
    /// Bytes of the storage, which other tensors may share.
    storage: &'a [u8],
    /// Index of the first number in the storage.
    offset: usize,
    strides: Vec<usize>,
}

/// Maximum number of axes.
pub(crate) const MOST_AXES: usize = 8;

impl<'a> ForeignTensor<'a> {
    /// Returns a tensor that begins at number `offset` of a `storage`. `None` if a number lies outside, or there are more numbers than the storage
    /// has, as in a tensor that repeats some.
    pub(crate) fn new(
        name: String,
        element: ElementType,
        shape: Vec<usize>,
        storage: &'a [u8],
        offset: usize,
        strides: Vec<usize>,
    ) -> Option<Self> {
        let stored = storage.len() / element.size();
        let count = shape.iter().try_fold(1usize, |all, side| all.checked_mul(*side))?;
        let mut last = offset;
        for (side, stride) in shape.iter().zip(&strides) {
            last = last.checked_add(side.saturating_sub(1).checked_mul(*stride)?)?;
        }
        let is_inside = count == 0 || (last < stored && count <= stored);
        let fits = is_inside && shape.len() == strides.len() && shape.len() <= MOST_AXES;
        fits.then_some(Self { name, element, shape, storage, offset, strides })
    }

    /// Returns a tensor that is a whole `storage`. `None` if its length is another.
    pub(crate) fn whole(name: String, element: ElementType, shape: &[usize], storage: &'a [u8]) -> Option<Self> {
        let mut strides = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = shape[axis].checked_mul(strides[axis])?;
        }
        Self::new(name, element, shape.to_vec(), storage, 0, strides)
    }

    /// Returns the same tensor with another name.
    pub(crate) fn renamed(&self, name: &str) -> Self {
        Self { name: name.into(), ..self.clone() }
    }

    /// Returns the number of values.
    pub fn elem_count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns the number of bytes of its values.
    pub fn size(&self) -> usize {
        self.elem_count() * self.element.size()
    }

    /// Returns the values in the order of the shape, as little-endian bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let size = self.element.size();
        let count = self.elem_count();
        let mut bytes = Vec::with_capacity(count * size);
        if self.is_contiguous() {
            let start = self.offset * size;
            bytes.extend_from_slice(self.storage.get(start..start + count * size).unwrap_or_default());
            return bytes;
        }
        let mut index = vec![0; self.shape.len()];
        for _ in 0..count {
            let at: usize = self.offset + index.iter().zip(&self.strides).map(|(i, stride)| i * stride).sum::<usize>();
            bytes.extend_from_slice(&self.storage[at * size..(at + 1) * size]);
            // The last axis varies fastest.
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                if index[axis] < self.shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        bytes
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1usize;
        self.shape.iter().zip(&self.strides).rev().all(|(side, stride)| {
            let fits = *side == 1 || *stride == expected;
            expected = expected.saturating_mul(*side);
            fits
        })
    }

    /// Returns the values as a tensor of their own type on the CPU.
    ///
    /// # Errors
    /// If candle lacks the type.
    pub fn to_tensor(&self) -> Result<Tensor> {
        let name = self.element.name();
        let dtype = self.element.dtype();
        let dtype = dtype.ok_or_else(|| candle_core::Error::Msg(format!("candle has no numbers of type {name}")))?;
        Ok(Tensor::from_raw_buffer(&self.bytes(), dtype, &self.shape, &Device::Cpu)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(shape: &[usize], offset: usize, strides: &[usize]) -> Option<Vec<u8>> {
        let storage: Vec<u8> = (0..12).collect();
        let tensor = ForeignTensor::new("x".into(), ElementType::U8, shape.into(), &storage, offset, strides.into())?;
        Some(tensor.bytes())
    }

    #[test]
    fn views_are_read_in_the_order_of_their_shape() {
        assert_eq!(values(&[2, 3], 0, &[3, 1]), Some(vec![0, 1, 2, 3, 4, 5]));
        assert_eq!(values(&[3, 2], 1, &[1, 3]), Some(vec![1, 4, 2, 5, 3, 6]));
        assert_eq!(values(&[2, 2, 2], 0, &[6, 1, 3]), Some(vec![0, 3, 1, 4, 6, 9, 7, 10]));
        assert_eq!(values(&[], 7, &[]), Some(vec![7]));
        assert_eq!(values(&[0, 5], 100, &[5, 1]), Some(vec![]));
    }

    #[test]
    fn numbers_outside_or_repeated_are_refused() {
        for (shape, offset, strides) in [
            (&[13][..], 0, &[1][..]),
            (&[3], 10, &[1]),
            (&[13], 0, &[0]),
            (&[usize::MAX, 2], 0, &[1, 1]),
            (&[2], usize::MAX, &[1]),
            (&[2, 2], 0, &[usize::MAX, 1]),
            (&[2], 0, &[1, 1]),
            (&[1; 9], 0, &[1; 9]),
        ] {
            assert_eq!(values(shape, offset, strides), None, "{shape:?} {offset} {strides:?}");
        }
    }
}

//! Weights packed for their kernels, kept until they change.

use crate::Cuda;
use crate::memory::{Buffer, Slice, Type, lock};
use gan_kernels::backend::{ConvCall, Memory};
use gan_kernels::fused::Reuse;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Packed weights by layer and form.
#[derive(Debug)]
pub struct WeightCache {
    kept: Mutex<HashMap<(usize, Form), Packed>>,
    /// Number of changes; 0 if nobody reports them, so that weights must be packed at every use.
    version: AtomicU64,
}

/// Form of packed weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Form {
    of: Type,
    outputs: usize,
    channels: usize,
}

#[derive(Debug)]
struct Packed {
    buffer: Buffer,
    version: u64,
    /// Address of the weights that were packed.
    from: u64,
}

impl WeightCache {
    pub(crate) fn new(_: Reuse) -> Self {
        Self { kept: Mutex::default(), version: AtomicU64::new(0) }
    }

    pub(crate) fn changed(&self) {
        self.version.fetch_add(1, Ordering::Relaxed);
    }
}

impl Cuda {
    /// Calls `f` with a call's weights for `outputs` filters of `channels` each. Nobody else packs others in the same place before `f` has
    /// queued its work.
    pub(super) fn with_packed(
        &self,
        call: &ConvCall<Self>,
        of: Type,
        outputs: usize,
        channels: usize,
        f: impl FnOnce(Slice<'_>),
    ) {
        let p = &call.problem;
        let taps = p.kernel[0] * p.kernel[1];
        let source = call.weights;
        assert_eq!(source.len, p.weights(), "a convolution's weights for {p:?}");
        let [_, filters] = p.pitch();
        let padded = outputs != filters || channels != p.in_channels;
        if taps == 1 && of == source.of && !padded {
            return f(source);
        }
        let form = Form { of, outputs, channels };
        let version = call.cache.version.load(Ordering::Relaxed);
        let mut kept = lock(&call.cache.kept);
        let packed = kept.entry((call.layer, form)).or_insert_with(|| Packed {
            buffer: Buffer::new(self.root_arena(), outputs * taps * channels, of),
            version: 0,
            from: 0,
        });
        if version == 0 || packed.version != version || packed.from != source.address {
            let to = self.slice_mut(&mut packed.buffer);
            self.transpose(source, &to, [filters, outputs], p.in_channels, taps, taps, channels);
            packed.version = version;
            packed.from = source.address;
        }
        f(self.slice(&packed.buffer));
    }
}

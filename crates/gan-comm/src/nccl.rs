//! Sums between GPUs by NCCL, without copies to the host; everything else uses another communicator.
//!
//! An NCCL communicator belongs to the thread that created it, so each rank has a thread that only computes its sums. They run on the
//! stream of the rank's own operations, after those that computed the numbers.

use crate::{Communicator, Error};
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaStream};
use candle_core::cuda_backend::cudarc::nccl::{Comm, Id, ReduceOp};
use candle_core::{CpuStorage, CudaStorage, CustomOp1, Device, Layout, Shape, Tensor};
use std::ffi::c_char;
use std::fmt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

/// Number of bytes of the identifier by which ranks find each other.
const NAME: usize = 128;

/// Numbers to sum, and the destination of the sums.
struct Request {
    values: CudaSlice<f32>,
    reply: Sender<Result<CudaSlice<f32>, String>>,
}

/// Rank with its own GPU.
pub struct Nccl {
    control: Arc<dyn Communicator>,
    requests: Mutex<Sender<Request>>,
}

impl Nccl {
    /// Returns the ranks of `control`, each with its own CUDA `device`. Waits for all of them.
    ///
    /// # Errors
    /// If the device is not a CUDA device, or NCCL cannot connect the GPUs (for example with several ranks on one GPU).
    pub fn new(control: Arc<dyn Communicator>, device: &Device) -> Result<Self, Error> {
        let Device::Cuda(cuda) = device else {
            return Err(Error::Library("NCCL adds up numbers on CUDA devices: add --device cuda".into()));
        };
        let mine = match control.rank() {
            0 => Id::new().map_err(failed)?.internal().iter().map(|c| *c as u8).collect(),
            _ => vec![],
        };
        let name = control.broadcast(&mine)?;
        let name: [c_char; NAME] = std::array::from_fn(|i| name.get(i).copied().unwrap_or(0) as c_char);
        let rank = control.rank();
        let size = control.size();
        let stream = cuda.cuda_stream();
        let (requests, asked) = channel();
        let (started, starts) = channel();
        thread::spawn(move || {
            let joined = stream.context().bind_to_thread().map_err(|e| e.to_string());
            let joined = joined.and_then(|()| {
                Comm::from_rank(Arc::clone(&stream), rank, size, Id::uninit(name)).map_err(|e| format!("{e:?}"))
            });
            match joined {
                Ok(comm) => {
                    started.send(Ok(())).ok();
                    serve(&comm, &asked);
                }
                Err(problem) => _ = started.send(Err(problem)),
            }
        });
        starts.recv().unwrap_or_else(|_| Err("its thread ended".into())).map_err(failed_to_start)?;
        Ok(Self { control, requests: Mutex::new(requests) })
    }
}

fn failed(error: impl fmt::Debug) -> Error {
    Error::Library(format!("NCCL: {error:?}"))
}

fn failed_to_start(problem: String) -> Error {
    Error::Library(format!("NCCL cannot connect the GPUs ({problem}): each rank needs one of its own"))
}

/// Handles requests for sums until there are no more senders.
fn serve(comm: &Comm, asked: &Receiver<Request>) {
    for Request { mut values, reply } in asked {
        let summed = comm.all_reduce_in_place(&mut values, &ReduceOp::Sum);
        reply.send(summed.map(|_| values).map_err(|e| format!("{e:?}"))).ok();
    }
}

/// Sum of f32 numbers on a CUDA device over all ranks.
struct Sum<'a>(&'a Nccl);

impl Sum<'_> {
    fn of(&self, values: CudaSlice<f32>) -> candle_core::Result<CudaSlice<f32>> {
        let (reply, sums) = channel();
        let sent = self.0.requests.lock().unwrap_or_else(|e| e.into_inner()).send(Request { values, reply });
        let gone = || candle_core::Error::Msg("the thread of NCCL has ended".into());
        sent.map_err(|_| gone())?;
        sums.recv().map_err(|_| gone())?.map_err(|problem| candle_core::Error::Msg(format!("NCCL: {problem}")))
    }
}

/// Returns a copy of contiguous numbers for NCCL to write into.
fn copied(stream: &Arc<CudaStream>, values: &CudaSlice<f32>, layout: &Layout) -> candle_core::Result<CudaSlice<f32>> {
    let Some((from, to)) = layout.contiguous_offsets() else {
        candle_core::bail!("numbers to be summed over ranks must be contiguous");
    };
    stream.clone_dtod(&values.slice(from..to)).map_err(candle_core::Error::wrap)
}

impl CustomOp1 for Sum<'_> {
    fn name(&self) -> &'static str {
        "sum-over-gpus"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        candle_core::bail!("NCCL adds up numbers on CUDA devices only")
    }

    fn cuda_fwd(&self, values: &CudaStorage, layout: &Layout) -> candle_core::Result<(CudaStorage, Shape)> {
        use candle_core::backend::BackendStorage;
        let device = values.device().clone();
        let mine = copied(&device.cuda_stream(), values.as_cuda_slice::<f32>()?, layout)?;
        Ok((CudaStorage::wrap_cuda_slice(self.of(mine)?, device), layout.shape().clone()))
    }
}

impl Communicator for Nccl {
    fn rank(&self) -> usize {
        self.control.rank()
    }

    fn size(&self) -> usize {
        self.control.size()
    }

    fn sum(&self, values: &mut [f32]) -> Result<(), Error> {
        self.control.sum(values)
    }

    fn sum_wide(&self, values: &mut [f64]) -> Result<(), Error> {
        self.control.sum_wide(values)
    }

    fn sum_tensor(&self, values: &Tensor) -> Result<Option<Tensor>, Error> {
        if !values.device().is_cuda() {
            return Ok(None);
        }
        values.apply_op1_no_bwd(&Sum(self)).map(Some).map_err(|e| Error::Library(e.to_string()))
    }

    fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        self.control.gather(bytes)
    }

    fn broadcast(&self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        self.control.broadcast(bytes)
    }

    fn abandon(&self) {
        self.control.abandon();
    }
}

impl fmt::Debug for Nccl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} with a GPU", self.control)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Single;
    use gan_kernels::testing::test_device;

    /// With one GPU there is one rank; the numbers still go through NCCL.
    #[test]
    fn the_sum_over_one_rank_is_its_own_input() {
        let device = test_device();
        if !device.is_cuda() {
            assert!(Nccl::new(Arc::new(Single), device).is_err());
            return;
        }
        let ranks = Nccl::new(Arc::new(Single), device).unwrap();
        let mine: Vec<f32> = (0..100_000).map(|i| i as f32 * 0.5).collect();
        let tensor = Tensor::new(&mine[..], device).unwrap().narrow(0, 10, 99_000).unwrap();
        let sums: Vec<f32> = ranks.sum_tensor(&tensor).unwrap().unwrap().to_vec1().unwrap();
        assert_eq!(sums, mine[10..99_010]);
    }
}

//! Ranks as processes that `mpirun` or `srun` has started, which communicate through the MPI library.
//!
//! The launcher notices if a rank is killed. It does not notice if a rank is stopped, or its host is cut off, and each rank would wait for
//! it forever. Therefore all ranks exchange heartbeats with rank 0 every second. A rank that receives nothing for [`PATIENCE`] reports it
//! and ends the run.

use crate::{Communicator, Error};
use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::environment::Universe;
use mpi::point_to_point::{Destination, Source};
use mpi::topology::{Communicator as _, SimpleCommunicator};
use mpi::traits::{CommunicatorCollectives, Equivalence, Root};
use std::fmt;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Time after which a silent rank counts as lost.
const PATIENCE: Duration = Duration::from_secs(15);
/// Interval of heartbeats.
const BEAT: Duration = Duration::from_secs(1);
/// Interval of checks for heartbeats.
const LOOK: Duration = Duration::from_millis(200);
/// Time that MPI may take to end the run before this process exits by itself.
const GRACE: Duration = Duration::from_secs(5);
/// Maximum number of values per sum between hosts, where each sum costs a round trip: MPI counts in 32 bits.
const BETWEEN_HOSTS: usize = 1 << 22;
/// The same on one host, where this many values stay in the caches while they are copied, sent and added.
const ON_ONE_HOST: usize = 1 << 16;
/// Maximum number of bytes per message.
const PIECE: usize = 1 << 28;
/// Tags of heartbeats and bytes.
const SIGN: i32 = 1;
const BYTES: i32 = 2;

/// Rank that is a process.
pub struct Mpi {
    rank: usize,
    size: usize,
    pulse: Option<(Sender<()>, JoinHandle<()>)>,
    /// Kept between sums, because fresh memory costs more than the copy.
    bucket: Mutex<Vec<f32>>,
    /// Number of values in a bucket.
    most: usize,
    // Dropped last, which ends MPI.
    _universe: Universe,
}

impl Mpi {
    /// Joins the other processes. Waits for all of them.
    ///
    /// # Errors
    /// If MPI is already in use, or its library does not support calls from two threads at once.
    pub fn start() -> Result<Self, Error> {
        let (universe, threading) = mpi::initialize_with_threading(Threading::Multiple)
            .ok_or_else(|| Error::Library("MPI is in use in this process already".into()))?;
        if threading < Threading::Multiple {
            let problem =
                "this MPI library cannot be called by several threads (MPI_THREAD_MULTIPLE): use one that can";
            return Err(Error::Library(problem.into()));
        }
        let world = SimpleCommunicator::world();
        let rank = world.rank() as usize;
        let size = world.size() as usize;
        let mut ranks =
            Self { rank, size, pulse: None, bucket: Mutex::default(), most: BETWEEN_HOSTS, _universe: universe };
        let host = mpi::environment::processor_name().unwrap_or_default();
        let hosts = ranks.gather(host.as_bytes())?;
        let hosts = hosts.iter().map(|host| String::from_utf8_lossy(host)).collect::<Vec<_>>().join("\n");
        let hosts = ranks.broadcast(hosts.as_bytes())?;
        let hosts: Vec<String> = String::from_utf8_lossy(&hosts).lines().map(String::from).collect();
        if hosts.iter().all(|host| *host == hosts[0]) {
            ranks.most = ON_ONE_HOST;
        }
        if size > 1 {
            let (end, ended) = channel();
            ranks.pulse = Some((end, thread::spawn(move || beat(rank, hosts, &ended))));
        }
        Ok(ranks)
    }
}

/// Sends heartbeats and checks those of the others, until `ended`.
fn beat(rank: usize, hosts: Vec<String>, ended: &Receiver<()>) {
    let world = SimpleCommunicator::world();
    let watched: Vec<usize> = if rank == 0 { (1..hosts.len()).collect() } else { vec![0] };
    let mut heard = vec![Instant::now(); hosts.len()];
    let mut said: Option<Instant> = None;
    let mut looked = Instant::now();
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(LOOK) {
        // A process that was stopped itself must not report others.
        if looked.elapsed() > PATIENCE / 2 {
            heard.fill(Instant::now());
        }
        looked = Instant::now();
        while let Some((message, status)) = world.any_process().immediate_matched_probe_with_tag(SIGN) {
            let _: (u8, _) = message.matched_receive();
            heard[status.source_rank() as usize] = Instant::now();
        }
        if said.is_none_or(|at| at.elapsed() >= BEAT) {
            said = Some(Instant::now());
            watched.iter().for_each(|other| world.process_at_rank(*other as i32).send_with_tag(&0u8, SIGN));
        }
        if let Some(other) = watched.iter().find(|other| heard[**other].elapsed() > PATIENCE) {
            tracing::error!(
                "rank {other} of {} on {} has not been heard of for {} seconds: it was killed or stopped, or its host is cut off. The run ends; \
                 --resume goes on from what was saved",
                hosts.len(),
                hosts[*other],
                PATIENCE.as_secs()
            );
            end();
        }
    }
}

/// Ends all ranks, including this one in any case.
fn end() -> ! {
    thread::spawn(|| {
        thread::sleep(GRACE);
        std::process::exit(1);
    });
    SimpleCommunicator::world().abort(1)
}

/// Sums in place, in buckets of at most `most`; `mine` holds this rank's values of one bucket.
fn sum<T: Equivalence + Copy>(values: &mut [T], mine: &mut Vec<T>, most: usize) {
    let world = SimpleCommunicator::world();
    for bucket in values.chunks_mut(most) {
        mine.clear();
        mine.extend_from_slice(bucket);
        world.all_reduce_into(&mine[..], bucket, SystemOperation::sum());
    }
}

impl Communicator for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn sum(&self, values: &mut [f32]) -> Result<(), Error> {
        sum(values, &mut self.bucket.lock().unwrap_or_else(|e| e.into_inner()), self.most);
        Ok(())
    }

    fn sum_wide(&self, values: &mut [f64]) -> Result<(), Error> {
        sum(values, &mut vec![], self.most);
        Ok(())
    }

    fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        let world = SimpleCommunicator::world();
        if self.rank > 0 {
            let root = world.process_at_rank(0);
            root.send_with_tag(&(bytes.len() as u64), BYTES);
            bytes.chunks(PIECE).for_each(|piece| root.send_with_tag(piece, BYTES));
            return Ok(vec![]);
        }
        let receive = |rank: usize| {
            let process = world.process_at_rank(rank as i32);
            let (len, _) = process.receive_with_tag::<u64>(BYTES);
            let mut bytes = vec![0; len as usize];
            bytes.chunks_mut(PIECE).for_each(|piece| {
                process.receive_into_with_tag(piece, BYTES);
            });
            bytes
        };
        Ok(std::iter::once(bytes.to_vec()).chain((1..self.size).map(receive)).collect())
    }

    fn broadcast(&self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let world = SimpleCommunicator::world();
        let root = world.process_at_rank(0);
        let mut len = bytes.len() as u64;
        root.broadcast_into(&mut len);
        let mut all = if self.rank == 0 { bytes.to_vec() } else { vec![0; len as usize] };
        all.chunks_mut(PIECE).for_each(|piece| root.broadcast_into(piece));
        Ok(all)
    }

    fn abandon(&self) {
        if self.size > 1 {
            end();
        }
    }
}

impl Drop for Mpi {
    fn drop(&mut self) {
        if thread::panicking() {
            self.abandon();
        }
        let Some((end, pulse)) = self.pulse.take() else { return };
        drop(end);
        pulse.join().ok();
        // Nobody sends any more: pending messages are received, so that MPI ends with nothing left over.
        let world = SimpleCommunicator::world();
        world.barrier();
        while let Some((message, _)) = world.any_process().immediate_matched_probe_with_tag(SIGN) {
            let _: (u8, _) = message.matched_receive();
        }
    }
}

impl fmt::Debug for Mpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} of {}", self.rank, self.size)
    }
}

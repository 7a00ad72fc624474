//! Threads that make numbered things ahead of time, which are taken in order.

use crate::Error;
use std::any::Any;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, JoinHandle};

/// Number of finished things that wait in each thread's channel at most; the thread may be making one more.
const AHEAD: usize = 2;

/// Running threads. Dropping them stops and joins them.
///
/// Of n threads, thread i makes every n-th thing from number `start` + i on and sends them through its own bounded channel, so the order does
/// not depend on which thread is faster.
pub(crate) struct OrderedThreads<T> {
    start: u64,
    threads: Vec<Worker<T>>,
    stop: Arc<AtomicBool>,
}

struct Worker<T> {
    made: Receiver<Result<T, Error>>,
    thread: JoinHandle<()>,
}

impl<T: Send + 'static> OrderedThreads<T> {
    /// Starts `count` threads that call `make` for each of `numbers`. What it returns once the flag that it gets is set is dropped.
    pub fn start<F>(count: usize, numbers: Range<u64>, make: F) -> Result<Self, Error>
    where
        F: FnMut(u64, &AtomicBool) -> Result<T, Error> + Clone + Send + 'static,
    {
        let Range { start, end } = numbers;
        let mut threads = Self { start, threads: Vec::with_capacity(count), stop: Arc::default() };
        for first in (0..count as u64).map(|thread| start.saturating_add(thread)) {
            let mut make = make.clone();
            let stop = Arc::clone(&threads.stop);
            let (sender, made) = sync_channel(AHEAD);
            // Continues until the first error or until nobody wants more.
            let work = move || {
                for number in (first..end).step_by(count) {
                    let thing = make(number, &stop);
                    let failed = thing.is_err();
                    if sender.send(thing).is_err() || failed {
                        return;
                    }
                }
            };
            let thread = Builder::new().name("gan-data".into()).spawn(work);
            let thread = thread.map_err(|cause| Error::worker(first, format!("it could not start ({cause})")))?;
            threads.threads.push(Worker { made, thread });
        }
        Ok(threads)
    }

    /// Returns thing `number`, waiting until it is made. Must be called with every number from the start on, in order, and not
    /// again after an error.
    pub fn take(&mut self, number: u64) -> Result<T, Error> {
        let at = ((number - self.start) % self.threads.len() as u64) as usize;
        self.threads[at].made.recv().unwrap_or_else(|_| {
            let message = self.threads.swap_remove(at).thread.join().map_or_else(panic_message, |()| "it ended".into());
            Err(Error::worker(number, message))
        })
    }
}

impl<T> Drop for OrderedThreads<T> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // All channels close before the first join: a thread that waits for room in one goes on and ends.
        let threads: Vec<JoinHandle<()>> = self.threads.drain(..).map(|worker| worker.thread).collect();
        for thread in threads {
            // The panic of a thread was reported by `take`.
            let _ = thread.join();
        }
    }
}

fn panic_message(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    format!("it panicked: {}", text.unwrap_or("without a message"))
}

//! The thread that wakes the tasks of asynchronous appends. A waker is a user's code: it may append and wait, which on
//! the thread that drives the core would wait for itself.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SendError, Sender, channel};
use std::task::Waker;
use std::thread::{self, Builder, JoinHandle, ThreadId};

use parking_lot::Mutex;

/// Passes wakers to the thread that calls them.
#[derive(Debug)]
pub(super) struct Wakers {
    sender: Mutex<Option<Sender<Waker>>>,
    thread: ThreadId,
}

impl Wakers {
    /// Starts the thread. It ends once it has called all wakers, after [`end`](Self::end).
    pub(super) fn start() -> io::Result<(Self, JoinHandle<()>)> {
        let (sender, receiver) = channel();
        let thread = Builder::new().name("annals-wake".into()).spawn(move || run(&receiver))?;
        let its = thread.thread().id();
        Ok((Self { sender: Mutex::new(Some(sender)), thread: its }, thread))
    }

    /// Calls a waker on the thread. After the end, when no append waits any more, calls it here.
    pub(super) fn wake(&self, waker: Waker) {
        let sender = self.sender.lock().clone();
        let sent = match sender {
            Some(sender) => sender.send(waker),
            None => Err(SendError(waker)),
        };
        // The thread is gone too if a waker made it panic in a way that cannot be caught.
        if let Err(SendError(waker)) = sent {
            call(waker);
        }
    }

    /// Ends the thread once it has called the wakers that it has.
    pub(super) fn end(&self) {
        *self.sender.lock() = None;
    }

    /// Returns whether the caller is in a waker that the thread calls. No other waker is called meanwhile.
    pub(super) fn wakes_here(&self) -> bool {
        thread::current().id() == self.thread
    }
}

fn run(receiver: &Receiver<Waker>) {
    receiver.iter().for_each(call);
}

fn call(waker: Waker) {
    if catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() {
        tracing::error!("a waker panicked; its task may not be woken");
    }
}

//! The thread that wakes the tasks of asynchronous appends. A waker is a user's code: it may append and wait, which on
//! the thread that drives the core would wait for itself.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::Waker;
use std::thread::{Builder, JoinHandle};

use parking_lot::Mutex;

/// Passes wakers to the thread that calls them.
#[derive(Debug)]
pub(super) struct Wakers(Mutex<Option<Sender<Waker>>>);

impl Wakers {
    /// Starts the thread. It ends once it has called all wakers, after [`end`](Self::end).
    pub(super) fn start() -> io::Result<(Self, JoinHandle<()>)> {
        let (sender, receiver) = channel();
        let thread = Builder::new().name("annals-wake".into()).spawn(move || run(&receiver))?;
        Ok((Self(Mutex::new(Some(sender))), thread))
    }

    /// Calls a waker on the thread. After the end, when no append waits any more, calls it here.
    pub(super) fn wake(&self, waker: Waker) {
        let sender = self.0.lock().clone();
        match sender {
            // The thread ends after its sender, so this does not fail.
            Some(sender) => drop(sender.send(waker)),
            None => call(waker),
        }
    }

    /// Ends the thread once it has called the wakers that it has.
    pub(super) fn end(&self) {
        *self.0.lock() = None;
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

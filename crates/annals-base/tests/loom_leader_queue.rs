//! Tests of the hand-over of a line's lead under loom, which tries every interleaving.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p annals-base --release --test loom_line
//! ```
//!
//! A request that no thread leads, or an answer that is lost, leaves a thread parked for ever, which loom reports as a
//! deadlock. Two leaders at the same time race on the data that a leader writes, which loom reports as well.

#![cfg(loom)]

use std::task::{Poll, Wake, Waker};

use annals_base::{Line, Ticket, Told};
use loom::{
    cell::UnsafeCell,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Thread},
};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

struct Request {
    number: usize,
    ticket: Arc<Ticket<usize>>,
    may_lead: bool,
}

/// A log whose leader appends, as in the commit path.
struct Log {
    line: Line<Request, ()>,
    /// The events. Only a leader may access them.
    events: UnsafeCell<Vec<usize>>,
    helper: Mutex<bool>,
    called: Condvar,
    end: AtomicBool,
}

// SAFETY: only a leader accesses `events`. Loom checks that.
unsafe impl Sync for Log {}
// SAFETY: the events are numbers.
unsafe impl Send for Log {}

impl Log {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            line: Line::new(()),
            events: UnsafeCell::new(Vec::new()),
            helper: Mutex::new(false),
            called: Condvar::new(),
            end: AtomicBool::new(false),
        })
    }

    fn commit(&self, number: usize) -> usize {
        self.events.with_mut(|events| {
            // SAFETY: this thread leads. Loom checks that.
            let events = unsafe { &mut *events };
            events.push(number);
            events.len()
        })
    }

    /// Appends for a caller that waits and may lead.
    fn append(&self, number: usize) -> usize {
        let mut line = self.line.lock();
        if line.try_lead() {
            drop(line);
            let answer = self.commit(number);
            self.pass_on();
            return answer;
        }
        let ticket = Arc::new(Ticket::default());
        let led = line.push(Request { number, ticket: Arc::clone(&ticket), may_lead: true });
        assert!(!led, "the line was led under the same lock");
        drop(line);
        match wait(&ticket) {
            Told::Answer(answer) => answer,
            Told::Lead => {
                self.lead();
                let Told::Answer(answer) = wait(&ticket) else {
                    panic!("the ticket got the lead twice")
                };
                answer
            }
        }
    }

    /// Appends for a caller that must not wait.
    fn submit(&self, number: usize) -> Arc<Ticket<usize>> {
        let ticket = Arc::new(Ticket::default());
        let request = Request { number, ticket: Arc::clone(&ticket), may_lead: false };
        if self.line.lock().push(request) {
            self.call_helper();
        }
        ticket
    }

    fn lead(&self) {
        let mut line = self.line.lock();
        line.take_lead();
        let count = line.waiting().count();
        let group = line.take(count);
        drop(line);
        for request in group {
            let answer = self.commit(request.number);
            if let Some(waker) = request.ticket.answer(answer) {
                waker.wake();
            }
        }
        self.pass_on();
    }

    fn pass_on(&self) {
        let mut line = self.line.lock();
        if !self.line.resign(&mut line) {
            return;
        }
        let first = line.waiting().next().expect("something waits");
        let (ticket, may_lead) = (Arc::clone(&first.ticket), first.may_lead);
        drop(line);
        if !may_lead {
            self.call_helper();
        } else if let Some(waker) = ticket.lead() {
            waker.wake();
        }
    }

    fn call_helper(&self) {
        *self.helper.lock().expect("no panic") = true;
        self.called.notify_one();
    }

    /// Runs the helper until the end.
    fn help(&self) {
        while !self.end.load(Ordering::SeqCst) {
            self.help_once();
        }
    }

    fn help_once(&self) {
        let mut called = self.helper.lock().expect("no panic");
        while !*called {
            called = self.called.wait(called).expect("no panic");
        }
        *called = false;
        drop(called);
        if !self.end.load(Ordering::SeqCst) {
            self.lead();
        }
    }
}

fn wait(ticket: &Ticket<usize>) -> Told<usize> {
    let waker = Waker::from(std::sync::Arc::new(Unpark(thread::current())));
    loop {
        match ticket.poll(&waker) {
            Poll::Ready(told) => return told,
            Poll::Pending => thread::park(),
        }
    }
}

fn model(preemptions: Option<usize>, check: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions;
    model.check(check);
}

#[test]
fn two_callers_are_each_answered_once() {
    model(None, || {
        let log = Log::new();
        let other = {
            let log = Arc::clone(&log);
            thread::spawn(move || log.append(1))
        };
        let mine = log.append(0);
        let theirs = other.join().expect("the other");
        assert_eq!(mine + theirs, 3, "both got offset {mine}");
    });
}

#[test]
fn three_callers_are_each_answered_once() {
    model(Some(2), || {
        let log = Log::new();
        let others = [1, 2].map(|number| {
            let log = Arc::clone(&log);
            thread::spawn(move || log.append(number))
        });
        let mut answers = vec![log.append(0)];
        answers.extend(others.map(|other| other.join().expect("another")));
        answers.sort_unstable();
        assert_eq!(answers, [1, 2, 3]);
    });
}

#[test]
fn the_helper_leads_for_a_caller_that_must_not_wait() {
    model(Some(2), || {
        let log = Log::new();
        let helper = {
            let log = Arc::clone(&log);
            thread::spawn(move || log.help())
        };
        let other = {
            let log = Arc::clone(&log);
            thread::spawn(move || log.append(1))
        };
        let ticket = log.submit(0);
        let theirs = other.join().expect("the other");
        let Told::Answer(mine) = wait(&ticket) else { panic!("the ticket got the lead") };
        assert_eq!(mine + theirs, 3);
        // If the other caller led for this request, the helper was not called. This call ends it.
        log.end.store(true, Ordering::SeqCst);
        log.call_helper();
        helper.join().expect("the helper");
    });
}

#[test]
fn one_that_waits_for_the_idle_line_sees_all_that_was_answered() {
    model(Some(2), || {
        let log = Log::new();
        let other = {
            let log = Arc::clone(&log);
            thread::spawn(move || log.append(1))
        };
        let mine = log.append(0);
        let line = log.line.wait_until_idle(log.line.lock());
        assert!(line.waiting().next().is_none());
        drop(line);
        assert_eq!(mine + other.join().expect("the other"), 3);
    });
}

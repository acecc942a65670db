//! The thread that drives the core.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use annals::{AppendError, Appended, Backend as _, Condition, Event, JournalReplica, ReadError};

use super::engine::{Engine, SendJob};
use super::errors::append_error;
use super::meters::Meters;
use super::shared::{Job, Shared};
use super::status::RecordStatus;
use crate::core::core::Core;
use crate::core::messages::{Input, Output, Refusal, RequestId};
use crate::core::replica::Replica;
use crate::log::commit_log::AppendOutcome;

/// How long the driver sleeps if nothing waits for a time.
const IDLE: Duration = Duration::from_secs(1);

/// Drives the core of one backend.
pub(super) struct Driver<E: Event> {
    pub(super) shared: Arc<Shared<E>>,
    pub(super) core: Core,
    pub(super) engine: Engine,
    pub(super) meters: Meters,
}

impl<E: Event> Driver<E> {
    /// Drives the core until the end. Fails all callers if it panics.
    pub(super) fn run(mut self) {
        self.shared.driver.get_or_init(|| thread::current().id());
        if catch_unwind(AssertUnwindSafe(|| self.drive())).is_err() {
            self.shared.fail("a panic in the protocol of the replicated log");
            let source = std::io::Error::other("a panic in the protocol of the replicated log");
            self.shared.requests.fail_all(&AppendError::Failed { source: Arc::new(source) });
            self.shared.jobs.wake();
            self.shared.close_if_idle();
        }
    }

    fn drive(&mut self) {
        self.input(Input::Ticked);
        loop {
            let until = self.report();
            let Some(inputs) = self.shared.inbox.wait(until) else { return };
            for input in inputs {
                self.note(&input);
                self.input(input);
            }
            self.input(Input::Ticked);
        }
    }

    /// Reports the state of the core, ends the callers without room whose time is up, and returns when to wake up.
    fn report(&mut self) -> Instant {
        let status = RecordStatus {
            position: self.core.position().copied(),
            doubts: self.core.doubts(),
            divergence: self.core.divergence(),
            counts: self.core.counts(),
            caught_up: self.core.is_caught_up(),
            lag_slots: 0,
        };
        let lag_slots = self.shared.progress.note(status);
        self.meters.report(&status, lag_slots);
        let now_ms = self.shared.now().steady_ms;
        let (late, next) = self.shared.requests.expired(now_ms);
        for request in late {
            let cause = self.shared.progress.cause();
            let error = append_error(Refusal::Unavailable, request.bytes, cause.as_ref());
            self.shared.end_request(request, error);
        }
        let wakeup = self.core.next_wakeup().into_iter().chain(next).min();
        let idle = Instant::now() + IDLE;
        let at = |ms| self.shared.started.checked_add(Duration::from_millis(ms));
        wakeup.and_then(at).map_or(idle, |wakeup| wakeup.min(idle))
    }

    /// Notes why the engine did not do what was asked.
    fn note(&self, input: &Input) {
        let Input::Answered { outcome, .. } = input else { return };
        match outcome {
            AppendOutcome::Unknown(cause) | AppendOutcome::NotSent(cause) => {
                self.shared.progress.note_cause(cause);
            }
            AppendOutcome::At(_) => self.shared.progress.forget_cause(),
            AppendOutcome::Refused | AppendOutcome::TooLarge | AppendOutcome::Full => {}
        }
    }

    fn input(&mut self, input: Input) {
        let now = self.shared.now();
        let replica = View(&self.shared.replica);
        for output in self.core.step(now, input, &replica) {
            self.output(output);
        }
    }

    fn output(&self, output: Output) {
        match output {
            Output::Append { send, after, entry } => {
                self.engine.send(SendJob::Append { send, after, entry });
            }
            Output::Read { kind, after } => self.engine.read(kind, after),
            Output::Anchor { after, to_commit, count, asked } => {
                self.engine.anchor(after, to_commit, count, asked);
            }
            Output::Apply { commit, position } => {
                self.shared.jobs.push(Job::Apply { commit, position });
            }
            Output::Answer { request, reply } => self.answer(request, reply),
            Output::Hint => self.engine.send(SendJob::Hint),
            Output::Diverged(divergence) => {
                tracing::error!(%divergence, "the record has diverged; the store takes no more appends");
                // Before any caller is told, so that its next call is refused at once.
                self.shared.progress.diverged(divergence);
                self.shared.note_diverged(true);
                self.shared.jobs.push(Job::Diverged);
            }
        }
    }

    fn answer(&self, id: RequestId, reply: Result<Appended, Refusal>) {
        let shared = &self.shared;
        let is_full = matches!(reply, Err(Refusal::Full));
        if is_full || reply.is_ok() {
            // Relaxed: pairs with the load in `Replicated::health`, which returns no other data.
            shared.progress.is_full.store(is_full, Ordering::Relaxed);
        }
        let result = reply.map_err(|refusal| {
            let cause = shared.progress.cause();
            append_error(refusal, shared.requests.bytes_of(id), cause.as_ref())
        });
        shared.requests.complete(id, result, &shared.inbox);
        shared.jobs.wake();
        shared.close_if_idle();
    }
}

/// The replica, as the core reads it.
struct View<'a, E: Event>(&'a JournalReplica<E>);

impl<E: Event> Replica for View<'_, E> {
    fn head(&self) -> u64 {
        self.0.head().get()
    }

    fn conflict(&self, condition: &Condition) -> Result<Option<u64>, ReadError> {
        self.0.conflict(condition)
    }

    fn find_id(&self, id: &str) -> Result<Option<u64>, ReadError> {
        self.0.journal().find_id(id)
    }

    fn event_type(&self, offset: u64) -> Result<String, ReadError> {
        self.0.event_type(offset)
    }

    fn is_same_type(&self, recorded: &str, given: &str) -> bool {
        recorded == given
            || E::aliases(given).contains(&recorded)
            || E::aliases(recorded).contains(&given)
    }
}

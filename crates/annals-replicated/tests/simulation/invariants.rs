//! The invariants at the end of a run on an engine that keeps its promises. `divergence_is_told` is a test of its own: it
//! needs an engine that does not.

use annals_replicated::{Chain, Slot, Step};

use crate::world::Outcome;
use crate::{commits, events};

type Invariant = fn(&Outcome) -> bool;

pub(crate) const INVARIANTS: [(&str, Invariant); 4] = [
    ("a_replica_is_never_ahead", a_replica_is_never_ahead),
    ("void_commits_change_nothing", void_commits_change_nothing),
    ("doubts_end", doubts_end),
    ("replicas_are_equal", replicas_are_equal),
];

/// No process showed an event that the record did not have at that time.
fn a_replica_is_never_ahead(outcome: &Outcome) -> bool {
    !outcome.was_ahead
}

/// The valid commits of a record are a record without void entries.
fn void_commits_change_nothing(outcome: &Outcome) -> bool {
    let mut chain = Chain::new(None);
    commits(&outcome.record).iter().zip(1..).all(|(commit, slot)| {
        let entry = commit.entries(usize::MAX).remove(0);
        matches!(chain.push(Slot(slot), &entry), Step::Valid(_))
    })
}

/// All callers were answered, and no process has a commit in doubt.
fn doubts_end(outcome: &Outcome) -> bool {
    outcome.settled
}

/// All replicas have the events of the record, and nothing else.
fn replicas_are_equal(outcome: &Outcome) -> bool {
    let log = events(&outcome.record);
    outcome.replicas.iter().all(|replica| replica.events == log)
}

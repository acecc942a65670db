//! A party in a long channel: its settled turns are in its log and not in memory, with snapshots or without.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use annals::{DecideError, MemorySnapshots, SnapshotPolicy, SnapshotStore};
use annals_channels::{
    Channel, ChannelState, Party, PartyError, Refusal, Rule, SignedState, State,
};
use common::*;

const LAST: u64 = 300;

fn at(turn_num: u64, variant: u8) -> State {
    State {
        channel_id: channel(),
        app_data: vec![variant],
        outcome: vec![],
        turn_num,
        is_final: false,
    }
}

fn by_second(state: State) -> SignedState {
    let [_, second] = parties();
    let signature = second.sign(state.hash()).unwrap();
    SignedState { state, signer: second.address(), signature }
}

/// Returns a party that moved in turn with the other one up to `LAST`.
fn long() -> (Store, Party) {
    let store = Store::in_memory();
    let mut party = open(&store);
    for turn in 1..=LAST {
        if turn % 2 == 0 {
            party.sign(&at(turn, 0)).unwrap();
        } else {
            party.receive(&by_second(at(turn, 0))).unwrap();
        }
    }
    (store, party)
}

fn open(store: &Store) -> Party {
    let [first, _] = parties();
    Party::options().snapshots(SnapshotPolicy::every(50)).open(store, first, &fixed(7)).unwrap()
}

fn whole(store: &Store) -> ChannelState {
    store.reconstruct(Channel(channel())).now().unwrap().clone()
}

fn refusal(error: PartyError) -> Refusal {
    match error {
        DecideError::Rejected(refusal) => *refusal,
        other => panic!("expected a refusal, found {other}"),
    }
}

#[test]
fn its_mind_stays_small_and_says_what_the_log_says() {
    let (store, mut party) = long();
    let (recent, mut whole) = (party.state().unwrap().clone(), whole(&store));
    assert_eq!(whole.signatures.len() as u64, LAST);
    assert_eq!(recent.signatures.len(), 64);
    whole.signatures = whole.signatures.split_off(&(LAST - 63));
    assert_eq!(recent, whole, "the settled turns are all that is left out");
    assert_eq!(recent.supported.unwrap().turn_num, LAST);
}

/// A snapshot repository that records the size of the largest snapshot, and the last one that was loaded.
#[derive(Debug, Default)]
struct Watched {
    repository: MemorySnapshots,
    largest: AtomicUsize,
    loaded: AtomicU64,
}

impl SnapshotStore for Watched {
    fn save(&self, series: &str, head: u64, bytes: &[u8]) -> io::Result<()> {
        self.largest.fetch_max(bytes.len(), Ordering::Relaxed);
        self.repository.save(series, head, bytes)
    }

    fn load(&self, series: &str, head: u64) -> io::Result<Vec<u8>> {
        self.loaded.store(head, Ordering::Relaxed);
        self.repository.load(series, head)
    }

    fn heads(&self, series: &str) -> io::Result<Vec<u64>> {
        self.repository.heads(series)
    }

    fn remove(&self, series: &str, head: u64) -> io::Result<()> {
        self.repository.remove(series, head)
    }
}

#[test]
fn opened_again_it_begins_at_its_snapshot_and_knows_the_same() {
    let (store, mut party) = long();
    let repository = Arc::new(Watched::default());
    let open = || {
        let [first, _] = parties();
        let options = Party::options()
            .snapshots_in(Arc::<Watched>::clone(&repository), SnapshotPolicy::every(100));
        options.open(&store, first, &fixed(7)).unwrap().state().unwrap().clone()
    };
    let state = party.state().unwrap().clone();
    assert_eq!(open(), state);
    assert_eq!(repository.loaded.load(Ordering::Relaxed), 0, "there was none");
    assert_eq!(open(), state);
    let begun = repository.loaded.load(Ordering::Relaxed);
    assert!(begun > 0 && store.len() - begun < 100, "it began at {begun} of {}", store.len());
    let largest = repository.largest.load(Ordering::Relaxed);
    assert!(largest < 64 * 400, "{largest} bytes, which do not grow with the log");
    let [first, _] = parties();
    assert_eq!(*Party::open(&store, first, &fixed(7)).unwrap().state().unwrap(), state);
}

#[test]
fn it_forgets_nothing_that_it_signed() {
    let (store, mut party) = long();
    let (first, last) = (at(2, 0), at(LAST, 0));
    let again = party.sign(&first).unwrap();
    assert_eq!(again.signature, parties()[0].sign(first.hash()).unwrap());
    party.sign(&last).unwrap();
    for turn_num in [2, LAST] {
        let asked = at(turn_num, 1);
        let Refusal::SecondState { first, .. } = refusal(party.sign(&asked).unwrap_err()) else {
            panic!("it has signed turn {turn_num}")
        };
        assert_eq!(first, at(turn_num, 0).hash());
    }
    // A turn that the other party signed.
    let Refusal::Violation(violation) = refusal(party.sign(&at(3, 0)).unwrap_err()) else {
        panic!("expected a violation")
    };
    assert_eq!(*violation.rule, Rule::TurnGoesUp { latest: LAST, found: 3 });
    assert_eq!(store.len(), 2 * LAST, "nothing was written");
}

#[test]
fn a_second_state_for_a_settled_turn_is_evidence() {
    let (store, mut party) = long();
    let head = store.len();
    assert_eq!(party.receive(&by_second(at(1, 0))).unwrap(), None);
    assert_eq!(store.len(), head, "it had that");
    let evidence = party.receive(&by_second(at(1, 1))).unwrap().unwrap();
    assert_eq!((evidence.turn_num, evidence.first.state_hash), (1, at(1, 0).hash()));
    assert_eq!(party.receive(&by_second(at(1, 1))).unwrap(), None, "it is reported once");
    assert_eq!(store.len(), head + 1);
    assert_eq!(whole(&store).equivocations, [evidence]);
}

#[test]
fn what_the_log_says_is_supported_does_not_make_it_forget() {
    let (store, mut party) = long();
    // An event that is appended directly is not checked.
    store.append(supported(u64::MAX, 0, 2)).unwrap();
    assert!(matches!(refusal(party.sign(&at(LAST, 1)).unwrap_err()), Refusal::SecondState { .. }));
    assert!(matches!(refusal(party.sign(&at(7, 1)).unwrap_err()), Refusal::Violation(_)));
    assert_eq!(party.state().unwrap().signatures.len(), 2, "the last of each");
}

#[test]
fn its_own_signature_binds_it_wherever_it_comes_from() {
    let [first, _] = parties();
    let mut party = open(&Store::in_memory());
    // The party has lost its log, and the other one returns its signature.
    let state = at(5, 0);
    let (signer, signature) = (first.address(), first.sign(state.hash()).unwrap());
    party.receive(&SignedState { state, signer, signature }).unwrap();
    assert!(matches!(refusal(party.sign(&at(5, 1)).unwrap_err()), Refusal::SecondState { .. }));
    assert!(matches!(refusal(party.sign(&at(4, 1)).unwrap_err()), Refusal::Violation(_)));
    assert_eq!(party.sign(&at(5, 0)).unwrap().signature, signature);
    party.sign(&at(6, 1)).unwrap();
}

//! A party whose process is killed while it signs: every signature that it returned is in its log, and binds it.
//!
//! This program starts itself again as the process to kill. That process writes each signature to a pipe.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use annals::{DecideError, Durability, EventStore, Journal, SnapshotPolicy};
use annals_channels::{
    Channel, ChannelEvent, ChannelState, Hash, Party, Refusal, Signature, SignedState, State,
};
use annals_conformance::Random;
use common::*;

const PATH: &str = "ANNALS_PARTY_KILL_PATH";
const ROUND: &str = "ANNALS_PARTY_KILL_ROUND";
const ROUNDS: u64 = 20;

type Durable = Journal<ChannelEvent>;

fn open(
    path: &Path,
    durability: Durability,
) -> (EventStore<ChannelEvent, Durable>, Party<Durable>) {
    let options = Journal::options().segment_bytes(64 << 10).durability(durability);
    let store = EventStore::on(options.open(path).unwrap());
    let [first, _] = parties();
    let options = Party::options().keep_states().snapshots(SnapshotPolicy::every(20).keep(2));
    let party = options.open(&store, first, &fixed(7)).unwrap();
    (store, party)
}

fn at(turn_num: u64, variant: u8) -> State {
    let (app_data, outcome) = (vec![variant], vec![]);
    State { channel_id: channel(), app_data, outcome, turn_num, is_final: false }
}

/// The signatures that a party returned, by turn and variant of the state.
type HandedOut = BTreeMap<(u64, u8), Signature>;

/// Signs turn after turn, with a random variant of the state each time, and reports each signature.
fn play(
    party: &mut Party<Durable>,
    round: u64,
    turns: u64,
    tell: &mut dyn FnMut(u64, u8, Signature),
) {
    let [_, second] = parties();
    let mut random = Random::new(round);
    let first = party.state().unwrap().latest_signed_turn.map_or(1, |turn| turn + 1);
    for turn in first..first + turns {
        // The two variants may be equal. If they differ, the party signs only the first.
        let variants = [0, 1].map(|_| u8::try_from(random.below(2)).unwrap());
        for variant in variants {
            match party.sign(&at(turn, variant)) {
                Ok(signed) => tell(turn, variant, signed.signature),
                Err(DecideError::Rejected(refusal)) => {
                    assert!(matches!(*refusal, Refusal::SecondState { .. }), "{refusal}");
                }
                Err(error) => panic!("{error}"),
            }
        }
        if random.below(4) > 0 {
            let state = at(turn, variants[0]);
            let (signer, signature) = (second.address(), second.sign(state.hash()).unwrap());
            party.receive(&SignedState { state, signer, signature }).unwrap();
        }
    }
}

/// Signs until the process is killed, if it is the process to kill. Otherwise signs 30 turns and checks them.
#[test]
fn signs_until_it_is_killed() {
    let Some(path) = std::env::var_os(PATH) else {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let mut handed_out = HandedOut::new();
        let (_, mut party) = open(&path, Durability::Buffered);
        play(&mut party, 1, 30, &mut |turn, variant, signature| {
            handed_out.insert((turn, variant), signature);
        });
        drop(party);
        check(&path, &handed_out);
        return;
    };
    let round: u64 = std::env::var(ROUND).unwrap().parse().unwrap();
    let durability = if round.is_multiple_of(2) { Durability::Sync } else { Durability::Buffered };
    let (_, mut party) = open(Path::new(&path), durability);
    play(&mut party, round, 1_000_000, &mut |turn, variant, signature| {
        // Each line is one write, so that only the last one can be incomplete.
        let line = format!("\nsigned {turn} {variant} {signature}\n");
        std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
    });
}

fn start(path: &Path, round: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "signs_until_it_is_killed", "--nocapture"])
        .env(PATH, path)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn read(line: &str, handed_out: &mut HandedOut) -> bool {
    let Some(rest) = line.trim().strip_prefix("signed ") else { return false };
    let parts: Vec<&str> = rest.split(' ').collect();
    let [turn, variant, signature] = parts[..] else { panic!("{line:?}") };
    let known = handed_out
        .insert((turn.parse().unwrap(), variant.parse().unwrap()), signature.parse().unwrap());
    assert!(known.is_none_or(|known| known == signature.parse().unwrap()), "two for one state");
    true
}

/// Reads `count` signatures, kills the process, and reads the signatures that it wrote before its end.
fn kill_after(mut child: Child, count: u64, handed_out: &mut HandedOut) {
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    let mut left = count;
    while left > 0 && lines.read_line(&mut line).unwrap() > 0 {
        left -= u64::from(read(&line, handed_out));
        line.clear();
    }
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "the process ended by itself");
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    // The last line may be incomplete.
    for line in rest.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        read(line, handed_out);
    }
}

/// Asserts that the log has the first signature of a state and the state itself, or neither.
fn check_kept(store: &EventStore<ChannelEvent, Durable>) {
    let mut first = std::collections::BTreeSet::new();
    let mut due = None;
    for recorded in store.read(..) {
        let event = recorded.unwrap().event.clone();
        let signed = match &event {
            ChannelEvent::StateSigned(signed) => Some((signed.state_hash, signed.turn_num)),
            ChannelEvent::StateReceived(signed) => Some((signed.state_hash, signed.turn_num)),
            _ => None,
        };
        match (due.take(), &event) {
            (Some((hash, turn)), ChannelEvent::StateKept(kept)) => {
                assert_eq!((kept.state_hash, kept.state(turn, false).hash()), (hash, hash));
            }
            (None, ChannelEvent::StateKept(kept)) => panic!("{kept:?} was kept before"),
            (Some(due), other) => panic!("{due:?} is not kept; {other:?} follows"),
            (None, _) => due = signed.filter(|(hash, _)| first.insert(*hash)),
        }
    }
    assert_eq!(due, None, "the last signature is not kept");
}

/// Asserts that every returned signature is in the log, that no turn has two states, and that the party returns the
/// same signatures again.
fn check(path: &Path, handed_out: &HandedOut) {
    let (store, mut party) = open(path, Durability::Sync);
    let whole: ChannelState = store.reconstruct(Channel(channel())).now().unwrap().clone();
    assert!(whole.equivocations.is_empty(), "{:?}", whole.equivocations);
    let own = |turn| -> Vec<(Hash, Signature)> {
        let own = whole.signatures_at(turn).iter().filter(|signed| signed.own);
        own.map(|signed| (signed.state_hash, signed.signature)).collect()
    };
    check_kept(&store);
    for turn in whole.signatures.keys() {
        assert!(own(*turn).len() < 2, "turn {turn} is signed with two states");
    }
    for (&(turn, variant), &signature) in handed_out {
        assert_eq!(
            own(turn),
            [(at(turn, variant).hash(), signature)],
            "turn {turn} was handed out"
        );
    }
    // The last 20 turns, and every 50th of all.
    let recent = handed_out.iter().rev().take(20);
    for (&(turn, variant), &signature) in recent.chain(handed_out.iter().step_by(50)) {
        assert_eq!(party.sign(&at(turn, variant)).unwrap().signature, signature);
        let refused = party.sign(&at(turn, 1 - variant)).unwrap_err();
        assert!(
            matches!(&refused, DecideError::Rejected(refusal) if matches!(**refusal, Refusal::SecondState { .. })),
            "{refused}"
        );
    }
}

#[test]
fn a_killed_party_stands_by_every_signature_that_it_handed_out() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let mut random = Random::new(20);
    let mut handed_out = HandedOut::new();
    for round in 0..ROUNDS {
        kill_after(start(&path, round), random.below(40), &mut handed_out);
        check(&path, &handed_out);
    }
    assert!(handed_out.len() as u64 > 5 * ROUNDS, "only {} signatures", handed_out.len());
}

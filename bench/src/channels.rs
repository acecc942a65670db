//! State channels: ids, signatures, a channel's thousand events, and a party that comes back to a log of a million.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use annals::{Event, EventStore, SnapshotPolicy};
use annals_channels::{
    Channel, ChannelCreated, ChannelEvent, EventVersion, FixedPart, Hash, Participants, Party,
    SecretKey, Signature, SignedState, State, StateReceived, StateSigned, StateSupportedUpdated,
    recover,
};

use crate::report::Report;
use crate::table::{Figures, Row};

/// Events of the log that a party comes back to.
const LOG: u64 = 1_000_000;
const BATCH: u64 = 10_000;
/// Events of the channel that is folded.
const FOLDED: u64 = 1_000;
/// Calls of what takes nanoseconds or microseconds.
const CALLS: u32 = 2_000;

fn keys() -> [SecretKey; 2] {
    [[0x11; 32], [0x22; 32]].map(|bytes| SecretKey::from_bytes(&bytes).expect("a key"))
}

fn fixed(channel_nonce: u64) -> FixedPart {
    FixedPart {
        participants: Participants::new(keys().iter().map(SecretKey::address).collect())
            .expect("two"),
        channel_nonce,
        app_definition: "0x5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f".parse().expect("an address"),
        challenge_duration: 60.try_into().expect("not zero"),
    }
}

fn state(channel_id: Hash, turn_num: u64) -> State {
    let app_data = turn_num.to_be_bytes().to_vec();
    State { channel_id, app_data, outcome: vec![], turn_num, is_final: false }
}

/// Any bytes: who folds a log does not verify its signatures again.
fn bytes<const N: usize>(n: u64) -> [u8; N] {
    let mut mixed = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    std::array::from_fn(|_| {
        mixed = mixed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        mixed.to_be_bytes()[0]
    })
}

/// Event `n` of a channel whose two participants move in turn: created, then a signature and that it is supported,
/// again and again. Turn t is ours if it is even.
fn event(fixed: &FixedPart, channel_id: Hash, n: u64) -> ChannelEvent {
    let (timestamp_ms, event_version, turn_num) =
        (1_700_000_000_000 + n, EventVersion, n.div_ceil(2));
    let state_hash = Hash::new(bytes(turn_num));
    let (signature, is_final) = (Signature::new(bytes(!turn_num)), false);
    match n {
        0 => ChannelCreated {
            app_definition: fixed.app_definition,
            challenge_duration: fixed.challenge_duration,
            channel_id,
            channel_nonce: fixed.channel_nonce,
            event_version,
            participants: fixed.participants.clone(),
            timestamp_ms,
        }
        .into(),
        n if n % 2 == 0 => StateSupportedUpdated {
            channel_id,
            event_version,
            num_signatures: 2.try_into().expect("not zero"),
            prev_supported_turn: turn_num - 1,
            state_hash,
            supported_turn: turn_num,
            timestamp_ms,
        }
        .into(),
        _ if turn_num % 2 == 0 => StateSigned {
            app_data_hash: Some(Hash::new(bytes(turn_num ^ 1 << 60))),
            channel_id,
            event_version,
            is_final,
            signature,
            signer: fixed.participants[0],
            state_hash,
            timestamp_ms,
            turn_num,
        }
        .into(),
        _ => StateReceived {
            channel_id,
            event_version,
            is_final,
            peer_id: Some("bob".into()),
            signature,
            signer: fixed.participants[1],
            state_hash,
            timestamp_ms,
            turn_num,
        }
        .into(),
    }
}

/// A log of `LOG` events, and the channel in it whose party comes back.
struct Log {
    path: PathBuf,
    nonce: u64,
    /// The turn that is supported at its end.
    turn: u64,
}

/// A log of so many channels, which take turns.
fn make_log(directory: &Path, channels: u64) -> Log {
    let path = directory.join(format!("channels-{channels}.store"));
    let store = EventStore::open(&path).expect("the store opens");
    let fixed: Vec<(FixedPart, Hash)> =
        (0..channels).map(|nonce| (fixed(nonce), fixed(nonce).channel_id())).collect();
    for first in (0..LOG).step_by(BATCH as usize) {
        let events = (first..first + BATCH).map(|n| {
            let (fixed, channel_id) = &fixed[(n % channels) as usize];
            event(fixed, *channel_id, n / channels)
        });
        store.append_batch(events).expect("it appends");
    }
    store.close().expect("it is synced");
    Log { path, nonce: channels - 1, turn: LOG / channels / 2 }
}

/// Milliseconds from a program's start to a party that can sign: the log opened, the party there.
fn recovery(log: &Log, snapshots: bool) -> f64 {
    let [key, _] = keys();
    let fixed = fixed(log.nonce);
    let start = Instant::now();
    let store = EventStore::<ChannelEvent>::open(&log.path).expect("the store opens");
    let mut options = Party::options();
    if snapshots {
        options = options.snapshots(SnapshotPolicy::default());
    }
    let mut party = options.open(&store, key, &fixed).expect("it is there");
    let supported = party.state().expect("it can be read").supported;
    let took = start.elapsed();
    assert_eq!(supported.map(|supported| supported.turn_num), Some(log.turn));
    took.as_secs_f64() * 1_000.0
}

/// Microseconds a call.
fn micros(mut call: impl FnMut(u32)) -> f64 {
    let start = Instant::now();
    for n in 0..CALLS {
        call(n);
    }
    start.elapsed().as_secs_f64() * 1_000_000.0 / f64::from(CALLS)
}

/// Ids, signatures, and a party in memory that signs and receives.
fn calls(figures: &mut [Figures; 5]) {
    let [alice, bob] = keys();
    let fixed = fixed(7);
    let channel_id = fixed.channel_id();
    // Turn 2 is signed by us: with every field there is.
    let signed = event(&fixed, channel_id, 3);
    figures[0].0.push(micros(|_| {
        black_box(black_box(&signed).id());
    }));
    let hashes: Vec<Hash> = (0..u64::from(CALLS)).map(|n| Hash::new(bytes(n))).collect();
    let mut signatures = Vec::new();
    figures[1].0.push(micros(|n| signatures.push(alice.sign(hashes[n as usize]).expect("signed"))));
    figures[2].0.push(micros(|n| {
        black_box(recover(hashes[n as usize], signatures[n as usize]).expect("recovered"));
    }));
    let mut party = Party::open(&EventStore::in_memory(), alice, &fixed).expect("opened");
    let turns: Vec<State> = (1..=u64::from(CALLS)).map(|turn| state(channel_id, turn)).collect();
    let theirs: Vec<SignedState> = turns
        .iter()
        .map(|state| SignedState {
            state: state.clone(),
            signer: bob.address(),
            signature: bob.sign(state.hash()).expect("signed"),
        })
        .collect();
    let (mut signing, mut receiving) = (0.0, 0.0);
    for (state, theirs) in turns.iter().zip(&theirs) {
        let start = Instant::now();
        black_box(party.sign(state).expect("signed"));
        let signed = start.elapsed();
        black_box(party.receive(theirs).expect("received"));
        signing += signed.as_secs_f64();
        receiving += (start.elapsed() - signed).as_secs_f64();
    }
    assert_eq!(
        party.state().expect("read").supported.map(|last| last.turn_num),
        Some(CALLS.into())
    );
    figures[3].0.push(signing * 1_000_000.0 / f64::from(CALLS));
    figures[4].0.push(receiving * 1_000_000.0 / f64::from(CALLS));
}

pub fn run(rounds: usize, directory: &Path, report: &mut Report) {
    let directory = tempfile::tempdir_in(directory).expect("a directory can be made");
    let memory = EventStore::in_memory();
    let (channel_fixed, channel_id) = (fixed(7), fixed(7).channel_id());
    let events = (0..FOLDED).map(|n| event(&channel_fixed, channel_id, n));
    memory.append_batch(events).expect("it appends");
    let logs = [1, 100].map(|channels| make_log(directory.path(), channels));
    for log in &logs {
        recovery(log, true); // so that there are snapshots
    }
    let mut fold = Figures::default();
    let mut called: [Figures; 5] = Default::default();
    let mut recovered: [[Figures; 2]; 2] = Default::default();
    for _ in 0..rounds {
        fold.0.push(
            micros(|n| {
                if n % 100 == 0 {
                    black_box(
                        memory.reconstruct(Channel(channel_id)).now().expect("it can be read"),
                    );
                }
            }) * 100.0,
        );
        calls(&mut called);
        for (log, figures) in logs.iter().zip(&mut recovered) {
            figures[0].0.push(recovery(log, true));
            figures[1].0.push(recovery(log, false));
        }
    }
    let row = |what: &str, figures: &[Figures]| Row {
        what: what.to_owned(),
        figures: figures.iter().cloned().map(Some).collect(),
    };
    let [id, sign, recover, party_signs, party_receives] = called;
    let rows = [
        row("the id of a state-signed", &[id]),
        row("signing a state's hash", &[sign]),
        row("who signed: recovering", &[recover]),
        row("a party in memory signs a turn", &[party_signs]),
        row("a party in memory receives a turn, which is supported by it", &[party_receives]),
        row(&format!("a channel's {FOLDED} events folded, in memory"), &[fold]),
    ];
    let title = format!("State channels, µs each, median (least–most) of {rounds} rounds");
    report.ratios(&title, &["annals-channels"], &rows);
    let title = format!(
        "A program starts: the Journal of {LOG} events opened and the party ready to sign, ms"
    );
    let [one, hundred] = recovered;
    let rows = [row("all of the party's channel", &one), row("of 100 channels", &hundred)];
    report.ratios(&title, &["with snapshots", "without"], &rows);
}

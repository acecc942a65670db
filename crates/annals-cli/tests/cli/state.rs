//! `annals state`: the current state and earlier states of a channel, and the message if there is none.

use annals::{EventStore, RawEvent};
use annals_channels::{
    ChannelEvent, EventVersion, FixedPart, Hash, Participants, Party, SecretKey, State,
};
use serde_json::Value;

use crate::harness::{Run, TestDir, annals, line};

/// Creates a log of Alice: the channel (offset 0), turn 1 (1 to 3, supported at 3), turn 2 (4 to 6, supported at 5,
/// because it is her turn). Returns the channel's id.
fn channel(store: &str, nonce: u64) -> Hash {
    let [alice, bob] = [0x11, 0x22].map(|byte| SecretKey::from_bytes(&[byte; 32]).unwrap());
    let fixed = FixedPart {
        participants: Participants::new(vec![alice.address(), bob.address()]).unwrap(),
        channel_nonce: nonce,
        app_definition: "0x5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f".parse().unwrap(),
        challenge_duration: 60.try_into().unwrap(),
    };
    let channel_id = fixed.channel_id();
    let mut alice =
        Party::open(&EventStore::<ChannelEvent>::open(store).unwrap(), alice, &fixed).unwrap();
    let mut bob = Party::open(&EventStore::in_memory(), bob, &fixed).unwrap();
    for turn_num in 1..3 {
        let (app_data, outcome) = (vec![], vec![]);
        let state = State { channel_id, app_data, outcome, turn_num, is_final: false };
        alice.sign(&state).unwrap();
        alice.receive(&bob.sign(&state).unwrap()).unwrap();
    }
    channel_id
}

/// Creates a store with one channel. Returns the store and the channel's id.
pub(crate) fn store(dir: &TestDir) -> (String, String) {
    let store = dir.arg("a.store");
    let channel = channel(&store, 1).to_string();
    (store, channel)
}

fn state(store: &str, channel: &str, more: &[&str]) -> Run {
    let args = ["state", store, "--channel", channel];
    annals(args.into_iter().chain(more.iter().copied()), "")
}

/// Returns the state that a run printed.
#[track_caller]
fn printed(run: Run) -> Value {
    let run = run.succeeds();
    assert_eq!(run.out.lines().count(), 1);
    run.lines().remove(0)
}

#[test]
fn the_state_now_and_at_every_offset() {
    let dir = TestDir::new();
    let (store, channel) = store(&dir);
    let now = printed(state(&store, &channel, &[]));
    assert_eq!((&now["status"], &now["supported"]["turn_num"]), (&"open".into(), &2.into()));
    let supported = |at: usize| {
        printed(state(&store, &channel, &["--at", &at.to_string()]))["supported"].clone()
    };
    let turns: Vec<Value> = (0..7).map(|at| supported(at)["turn_num"].clone()).collect();
    // The event at the offset is included in the state.
    assert_eq!(Value::from(turns), serde_json::json!([null, null, null, 1, 1, 2, 2]));
    assert_eq!(printed(state(&store, &channel, &["--at", "6"])), now);
}

#[test]
fn a_line_is_the_librarys_state_with_sorted_keys() {
    let dir = TestDir::new();
    let (store, channel) = store(&dir);
    let run = state(&store, &channel, &[]).succeeds();
    let log = EventStore::<ChannelEvent>::open_read_only(&store).unwrap();
    let mut view = log.reconstruct(annals_channels::Channel(channel.parse().unwrap()));
    let expected = serde_json::to_value(view.now().unwrap()).unwrap();
    // serde_json sorts the keys of a value.
    assert_eq!(run.out, format!("{expected}\n"));
    assert!(run.out.starts_with(r#"{"challenge":null,"concluded":false,"#), "{}", run.out);
}

#[test]
fn a_table_for_people() {
    let dir = TestDir::new();
    let (store, channel) = store(&dir);
    let table = state(&store, &channel, &["--format", "table"]).succeeds().out;
    for row in [
        format!("channel         {channel}"),
        "after offset    6, the last one".into(),
        "status          open".into(),
        "challenge time  60 s".into(),
        "signed by us    up to turn 2".into(),
        "signatures      4 signatures, of turns 1 to 2".into(),
        "supported       turn 2, by 2 signatures".into(),
    ] {
        assert!(table.lines().any(|line| line == row), "{row:?} is not in\n{table}");
    }
    assert!(!table.contains("withdrawn") && !table.contains("final"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    let then = state(&store, &channel, &["--at", "0", "--format", "table"]).succeeds().out;
    assert!(then.contains("after offset    0\n") && then.contains("created\n"), "{then}");
}

#[test]
fn valid_and_invalid_ids() {
    let dir = TestDir::new();
    let (store, channel) = store(&dir);
    let now = printed(state(&store, &channel, &[]));
    let upper = format!("0x{}", channel[2..].to_uppercase());
    for same in [format!("channel:{channel}"), upper] {
        assert_eq!(printed(state(&store, &same, &[])), now);
    }
    let right = "a channel's id: 0x and 64 hex digits (32 bytes)";
    for (wrong, reason) in
        [(&channel[2..], "0x"), (&channel[..65], "63"), ("0xseven", "'s'"), ("", "0x")]
    {
        state(&store, wrong, &[]).complains(&[reason, right]);
    }
    annals(["state", &store], "").complains(&["--channel <ID>"]);
    state(&store, &channel, &["--at", "-1"]).complains(&["a whole number from 0 to"]);
}

#[test]
fn a_channel_that_is_not_there() {
    let dir = TestDir::new();
    let (store, channel) = store(&dir);
    let other = format!("0x{}", "ab".repeat(32));
    let run = state(&store, &other, &[]).fails(&[
        &other,
        "it has 1 channel\n",
        &channel,
        "annals tags STORE --prefix channel:",
    ]);
    assert_eq!(run.out, "");
    for nonce in 2..6 {
        self::channel(&store, nonce);
    }
    let many = state(&store, &other, &[]).fails(&["it has 5 channels\n", "among others"]);
    assert_eq!(many.err.matches("0x").count(), 1 + 3, "{}", many.err);
    let second = self::channel(&store, 2).to_string();
    state(&store, &second, &["--at", "3"]).fails(&[
        "at offset 3 there was no channel",
        "first event is at offset 7",
        "--at 7",
    ]);
    let unrelated = dir.store("b.store", &line(0));
    let none = state(&unrelated, &other, &[]).fails(&["it has no channels"]);
    assert_eq!(none.err.lines().count(), 1, "{}", none.err);
    state(&dir.store("c.store", ""), &other, &[]).fails(&["it has no channels"]);
}

#[test]
fn an_offset_beyond_the_head_is_refused_as_get_does() {
    let dir = TestDir::new();
    let (store, channel) = store(&dir);
    let get = annals(["get", &store, "7"], "").fails(&["no event at offset 7", "offsets 0 to 6"]);
    assert_eq!(state(&store, &channel, &["--at", "7"]).fails(&[]).err, get.err);
    let empty = dir.store("b.store", "");
    state(&empty, &channel, &["--at", "0"]).fails(&["the store is empty"]);
}

#[test]
fn events_of_unknown_types_are_skipped_with_a_warning() {
    let dir = TestDir::new();
    let (store, channel) = store(&dir);
    let now = printed(state(&store, &channel, &[]));
    // Events that are not about the channel do not change it.
    annals(["append", &store], line(0)).succeeds();
    assert_eq!(printed(state(&store, &channel, &[])), now);

    let newer = |name: &str| format!("{{\"type\":\"{name}\",\"tags\":[\"channel:{channel}\"]}}\n");
    let lines = [newer("channel-paused"), newer("channel-paused"), newer("channel-resumed")];
    annals(["append", &store], lines.concat()).succeeds();
    let run = state(&store, &channel, &[]);
    assert_eq!((run.code, &run.lines()[0]), (Some(0), &now));
    for words in ["warning: skipped 3 events of unknown types", "channel-paused, channel-resumed\n"]
    {
        assert!(run.err.contains(words), "{}", run.err);
    }
    // Only the events up to that offset are counted.
    let then = state(&store, &channel, &["--at", "8"]);
    assert_eq!((then.code, &then.lines()[0]), (Some(0), &now));
    assert!(then.err.contains("warning: skipped 1 event of unknown types"), "{}", then.err);
    assert_eq!(printed(state(&store, &channel, &["--at", "7"])), now);
}

#[test]
fn a_payload_that_does_not_fit_is_named() {
    let dir = TestDir::new();
    let (store, channel) = store(&dir);
    {
        let log = EventStore::<RawEvent>::open(&store).unwrap();
        let event = RawEvent::builder("challenge-cleared").tag(format!("channel:{channel}"));
        log.append(event.data(r#"{"block_num":"seven"}"#).build().unwrap()).unwrap();
    }
    let words = ["offset 7", "\"challenge-cleared\"", "block_num", "annals get STORE 7"];
    assert_eq!(state(&store, &channel, &[]).fails(&words).out, "");
    printed(state(&store, &channel, &["--at", "6"]));
}

#[test]
fn what_the_chain_says_of_a_channel_that_is_not_created() {
    let dir = TestDir::new();
    let channel_id = Hash::new([7; 32]);
    {
        let log = EventStore::<ChannelEvent>::open(dir.path("a.store")).unwrap();
        let deposit = annals_channels::DepositDetected {
            amount_deposited: 5.into(),
            asset: annals_channels::Address::new([0; 20]),
            block_num: 1,
            channel_id,
            event_version: EventVersion,
            now_held: 5.into(),
            timestamp_ms: 0,
            tx_hash: None,
            tx_index: 0,
        };
        annals_channels::record(&log, deposit.into()).unwrap();
    }
    let (store, channel) = (dir.arg("a.store"), channel_id.to_string());
    assert_eq!(printed(state(&store, &channel, &[]))["status"], Value::Null);
    let table = state(&store, &channel, &["--format", "table"]).succeeds().out;
    assert!(table.contains("not created\n") && table.contains("5 of ETH (wei)\n"), "{table}");
}

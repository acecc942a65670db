//! Files of evidence of nearly 64 MiB that are made to exhaust their checker, each checked in a process of its own.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use annals::{EventStore, RawEvent};
use annals_channels::{
    ChannelEvent, EventVersion, FixedPart, Participants, Party, PartyLog, ReceiptReceived,
    SecretKey, State, StateReceived, Trust, check_evidence,
};
use annals_proof::{LogKey, Proofs};

use crate::report::Report;
use crate::table::{Figures, Row};

const ORIGIN: &str = "annals.example/bench";
const LIMIT: usize = 64 << 20;

fn key() -> LogKey {
    LogKey::from_seed(ORIGIN, &[7; 32]).expect("a key")
}

/// The files: what each is, and whether it holds.
const SHAPES: [&str; 10] = [
    "as many small events as fit, whole: it holds",
    "lists in lists",
    "hashes",
    "ranges",
    "states that nobody signed",
    "8,000 signatures of one state: it holds",
    "signatures of one state, as many as fit",
    "1,024 earlier checkpoints, each with one line 100 times: it holds",
    "1,024 earlier checkpoints, each with 100 lines of one key",
    "receipts, each with 90 lines of one witness",
];

/// Evidence of a log with one small event.
fn small() -> String {
    let store = EventStore::<RawEvent>::in_memory();
    store.append(RawEvent::builder("n").build().expect("an event")).expect("appends");
    let proofs = Proofs::in_memory(&store, ORIGIN).expect("opens");
    let checkpoint = proofs.checkpoint(&key()).expect("signs");
    proofs.evidence(&checkpoint).offsets([0]).build().expect("builds").to_json()
}

/// The small evidence with a member that is repeated until the file is full.
fn filled(member: &str, value: &str) -> String {
    let small = small();
    let (head, rest) = (format!("{{\"{member}\":["), &small[1..]);
    let count = (LIMIT - head.len() - rest.len() - 8) / (value.len() + 1);
    let rest = match member {
        "hashes" => rest.replacen("\"hashes\":[]", "\"annals_evidence\":1", 1),
        _ => rest.to_owned(),
    };
    format!("{head}{}{value}],{rest}", format!("{value},").repeat(count - 1))
}

/// Evidence of a log with so many events without data.
fn whole(count: u64) -> String {
    let store = EventStore::<RawEvent>::in_memory();
    let event = || RawEvent::builder("n").build().expect("an event");
    for _ in 0..count / 1_000 {
        store.append_batch((0..1_000).map(|_| event())).expect("appends");
    }
    let proofs = Proofs::in_memory(&store, ORIGIN).expect("opens");
    let checkpoint = proofs.checkpoint(&key()).expect("signs");
    proofs.evidence(&checkpoint).whole(0..count).build().expect("builds").to_json()
}

/// Evidence of so many events with a signature of one state.
fn signatures(count: u64) -> String {
    let [alice, bob] = [0x11, 0x22].map(|byte| SecretKey::from_bytes(&[byte; 32]).expect("a key"));
    let fixed = FixedPart {
        participants: Participants::new(vec![alice.address(), bob.address()]).expect("two"),
        channel_nonce: 7,
        app_definition: alice.address(),
        challenge_duration: std::num::NonZeroU32::MIN,
    };
    let channel_id = fixed.channel_id();
    let (outcome, app_data) = (Vec::new(), Vec::new());
    let state = State { app_data, channel_id, is_final: false, outcome, turn_num: 1 };
    let (state_hash, signer) = (state.hash(), bob.address());
    let signature = bob.sign(state_hash).expect("signs");
    let store = EventStore::in_memory();
    let proofs = Proofs::in_memory(&store, ORIGIN).expect("opens");
    let log = PartyLog::open(&store, proofs, key(), &alice).expect("opens");
    let party = Party::options().open_proved(&log, alice, &fixed).expect("opens");
    let events = (0..count).map(|timestamp_ms| {
        ChannelEvent::from(StateReceived {
            channel_id,
            event_version: EventVersion,
            is_final: false,
            peer_id: None,
            signature,
            signer,
            state_hash,
            timestamp_ms,
            turn_num: 1,
        })
    });
    for batch in events.collect::<Vec<_>>().chunks(1_000) {
        store.append_batch(batch.to_vec()).expect("appends");
    }
    party.evidence().expect("with proofs").state(state).build().expect("builds").to_json()
}

fn shape(number: usize) -> String {
    match number {
        0 => whole(600_000),
        1 => format!("{{\"annals_evidence\":{}", "[".repeat(LIMIT - 20)),
        2 => filled("hashes", "\"EYH8+VnCNa3ZM0QBLc1m4vsNshzNNMyHGpvllSdY1kQ=\""),
        3 => filled("whole", "[0,1]"),
        4 => {
            let zero = "0".repeat(64);
            let state = format!(
                "{{\"app_data\":\"0x\",\"channel_id\":\"0x{zero}\",\"is_final\":false,\"outcome\":[],\"turn_num\":0}}"
            );
            filled("states", &state)
        }
        5 => signatures(8_000),
        6 => signatures(50_000),
        7 => earlier(&["same"; 98]),
        8 => earlier(&["other"; 98]),
        _ => receipts(3_500),
    }
}

/// Returns a key that cosigns.
fn witness() -> LogKey {
    LogKey::from_seed("annals.example/witness", &[8; 32]).expect("a key")
}

/// Evidence with 1,024 earlier checkpoints. Each has the log's line, and further lines: the log's again, or of the
/// witness, at other times.
fn earlier(lines: &[&str]) -> String {
    let store = EventStore::<RawEvent>::in_memory();
    store.append(RawEvent::builder("n").build().expect("an event")).expect("appends");
    let proofs = Proofs::in_memory(&store, ORIGIN).expect("opens");
    let checkpoint = proofs.checkpoint(&key()).expect("signs");
    let own = checkpoint.signature_line(&key().vkey()).expect("its line");
    let line = |(time, kind): (u64, &&str)| match *kind {
        "same" => own.clone(),
        _ => checkpoint.cosign(&witness(), time),
    };
    let note = checkpoint.to_string() + &(0..).zip(lines).map(line).collect::<String>();
    let small = proofs.evidence(&checkpoint).offsets([0]).build().expect("builds").to_json();
    let one = serde_json::json!({ "checkpoint": note, "proof": [] }).to_string();
    let all = vec![one; 1_024].join(",");
    format!("{{\"earlier\":[{all}],{}", &small[1..])
}

/// Evidence of so many receipts, each with 90 lines of the witness.
fn receipts(count: u64) -> String {
    let account = SecretKey::from_bytes(&[0x11; 32]).expect("a key");
    let store = EventStore::in_memory();
    let proofs = Proofs::in_memory(&store, ORIGIN).expect("opens");
    let log = PartyLog::open(&store, proofs, key(), &account).expect("opens");
    let checkpoint = log.signed().expect("signs");
    let lines: String = (0..90).map(|time| checkpoint.cosign(&witness(), time)).collect();
    let events = (0..count).map(|timestamp_ms| {
        ChannelEvent::from(ReceiptReceived {
            checkpoint: checkpoint.to_string() + &lines,
            event_version: EventVersion,
            origin: ORIGIN.to_owned(),
            peer_id: "witness".to_owned(),
            timestamp_ms,
            tree_size: checkpoint.size(),
        })
    });
    let first = store.len();
    for batch in events.collect::<Vec<_>>().chunks(1_000) {
        store.append_batch(batch.to_vec()).expect("appends");
    }
    let mut signed = log.signed().expect("signs");
    let line = signed.cosign(&witness(), 1);
    signed.add_cosignature(&line, &witness().witness_vkey()).expect("its line");
    let builder = log.proofs().evidence(&signed).content().offsets(first..store.len());
    builder.build().expect("builds").to_json()
}

/// Checks a file in this process, and prints the seconds, the peak of memory in MiB, and whether it holds.
pub fn probe(path: &Path) {
    let json = std::fs::read(path).expect("the file");
    let keys = format!("log {}\nwitness w {}\n", key().vkey(), witness().witness_vkey());
    let trust = Trust::Policy(keys.parse().expect("a policy"));
    let start = Instant::now();
    let holds = check_evidence(&json, &trust).is_ok();
    let took = start.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|text| text.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    println!("{took} {} {holds}", peak.unwrap_or(f64::NAN) / 1024.0);
}

pub fn run(directory: &Path, report: &mut Report) {
    let directory = tempfile::tempdir_in(directory).expect("a directory can be made");
    let mut rows = Vec::new();
    for (number, what) in SHAPES.into_iter().enumerate() {
        let path = directory.path().join("evidence");
        let json = shape(number);
        std::fs::write(&path, &json).expect("written");
        let output = Command::new(std::env::current_exe().expect("this program"))
            .arg("--probe-evidence")
            .arg(&path)
            .output()
            .expect("it runs");
        let text = String::from_utf8(output.stdout).expect("text");
        let words: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(words.len(), 3, "{what}: {text:?}");
        assert_eq!(words[2] == "true", what.ends_with("it holds"), "{what}: {text}");
        let figure = |text: &str| Some(Figures(vec![text.parse().expect("a number")]));
        let mib = Some(Figures(vec![json.len() as f64 / f64::from(1 << 20)]));
        let figures = vec![figure(words[0]), figure(words[1]), mib];
        rows.push(Row { what: what.to_owned(), figures });
    }
    report.columns(
        "Evidence that is made to exhaust its checker",
        &["s", "peak of memory, MiB", "size of the file, MiB"],
        &rows,
    );
}

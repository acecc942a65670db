//! A writer without a replica: appends commits and settles each before the next. The tests of all engines use this file.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use annals::RawEvent;
use annals_replicated::{
    AppendOutcome, Chain, Commit, CommitBatch, CommitHash, CommitLog, Content, NewEntry, ReadLimit,
    Step,
};
use uuid::Uuid;

/// A writer whose commit is not settled after this time counts as hanging, on any machine.
const HANGS: Duration = Duration::from_secs(180);

pub(crate) struct Writer<'a, L> {
    log: &'a L,
    chain: Chain,
    pub(crate) hashes: Vec<CommitHash>,
    /// The number of void entries that were read.
    pub(crate) voids: u64,
    id: Uuid,
}

impl<'a, L: CommitLog> Writer<'a, L> {
    pub(crate) fn new(log: &'a L) -> Self {
        Self { log, chain: Chain::new(None), hashes: Vec::new(), voids: 0, id: Uuid::new_v4() }
    }

    /// Reads what the engine shows. Returns the error if it does not answer.
    pub(crate) fn read(&mut self) -> Result<(), String> {
        loop {
            let page = self.log.read(self.chain.read_to(), ReadLimit::default());
            let page = page.map_err(|error| error.to_string())?;
            if page.entries.is_empty() {
                return Ok(());
            }
            for (slot, entry) in page.entries {
                match self.chain.push(slot, &entry) {
                    Step::Valid(commit) => self.hashes.push(commit.hash()),
                    Step::Part => {}
                    Step::Void(_) => self.voids += 1,
                    Step::Newer(any) => panic!("slot {slot}: {any:?}"),
                }
            }
        }
    }

    /// Returns the next commit.
    pub(crate) fn next(&mut self) -> Commit {
        self.next_of(100)
    }

    /// Returns the next commit, with an event of this size.
    pub(crate) fn next_of(&mut self, bytes: usize) -> Commit {
        let began = Instant::now();
        while self.chain.tip().is_none() {
            assert!(began.elapsed() < HANGS, "the record is not read: {:?}", self.read());
            let _ = self.read();
        }
        let tip = self.chain.tip().unwrap();
        let event = RawEvent::builder("e").data(vec![7; bytes]).build().unwrap();
        let batch = CommitBatch { time_ms: tip.time_ms + 1, events: vec![event] };
        tip.next(self.id, Content::Events(vec![batch]))
    }

    /// Sends a commit once.
    pub(crate) fn send(&self, commit: &Commit) -> AppendOutcome {
        let entry = NewEntry::whole(commit);
        let (sender, answers) = mpsc::channel();
        let done = Box::new(move |answer| drop(sender.send(answer)));
        self.log.append(self.chain.read_to(), entry, done);
        answers.recv_timeout(HANGS).expect("an answer").outcome
    }

    /// Appends a commit: sends it until it has landed, or makes it anew if it lost its race.
    pub(crate) fn put(&mut self) -> CommitHash {
        let began = Instant::now();
        loop {
            let commit = self.next();
            loop {
                let outcome = self.send(&commit);
                let read = self.read();
                let number = usize::try_from(commit.header().number).unwrap();
                match self.hashes.get(number) {
                    Some(hash) if *hash == commit.hash() => return *hash,
                    Some(_) => break,
                    None => assert!(began.elapsed() < HANGS, "{outcome:?}, {read:?}"),
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

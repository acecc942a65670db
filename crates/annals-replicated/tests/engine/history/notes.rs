//! The notes of a process about its calls, line by line, so that they are there when the process is killed. A line is one
//! write.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use annals::{AppendError, Appended, Batch, Condition, Query, RawEvent};
use annals_replicated::history::{History, Observation, Operation, PrefixDigest, Told};

const TYPES: [&str; 3] = ["a", "b", "c"];
const TAGS: [&str; 3] = ["x", "y", "z"];

/// Returns the time of the clock that all processes share, in ns.
pub(super) fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a value that lives until the call returns.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    assert_eq!(failed, 0, "there is a monotonic clock");
    u64::try_from(time.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap()
}

/// A batch, in as few numbers as make it again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spec {
    /// The thread that appends it, which no other thread of any process is numbered.
    pub(super) thread: u64,
    /// The number of the batch in that thread.
    pub(super) number: u64,
    /// The number of events. Without events it is a barrier.
    pub(super) events: u64,
    pub(super) has_ids: bool,
    /// The position of a tag, and the offset from which on no event may have it.
    pub(super) condition: Option<(usize, u64)>,
}

impl Spec {
    pub(super) fn events(&self) -> Vec<RawEvent> {
        let Self { thread, number, .. } = *self;
        let event = |index: u64| {
            let kind = usize::try_from((number + index) % 3).unwrap();
            let tag = usize::try_from((number / 3 + index) % 3).unwrap();
            let text = format!("{thread} {number} {index}");
            let mut event = RawEvent::builder(TYPES[kind]).tag(TAGS[tag]);
            if self.has_ids {
                event = event.id(text.replace(' ', "-"));
            }
            event.data(text).build().unwrap()
        };
        (0..self.events).map(event).collect()
    }

    fn conditions(&self) -> Vec<Condition> {
        let condition =
            |(tag, after): (usize, u64)| Condition::fail_if(Query::tag(TAGS[tag])).after(after);
        self.condition.into_iter().map(condition).collect()
    }

    pub(super) fn batch(&self) -> Batch<RawEvent> {
        Batch::new(self.events()).conditions(self.conditions())
    }

    fn write(&self) -> String {
        let Self { thread, number, events, has_ids, condition } = *self;
        let condition = condition.map_or("-".to_owned(), |(tag, after)| format!("{tag}:{after}"));
        format!("{thread} {number} {events} {has_ids} {condition}")
    }

    fn read(fields: &[&str]) -> Self {
        let [thread, number, events, has_ids, condition] = fields else { panic!("{fields:?}") };
        let condition = condition.split_once(':');
        Self {
            thread: thread.parse().unwrap(),
            number: number.parse().unwrap(),
            events: events.parse().unwrap(),
            has_ids: has_ids.parse().unwrap(),
            condition: condition.map(|(tag, after)| (tag.parse().unwrap(), after.parse().unwrap())),
        }
    }
}

/// The file of one thread of a process.
pub(super) struct Notes(File);

impl Notes {
    pub(super) fn create(path: &Path) -> Self {
        Self(File::create_new(path).unwrap())
    }

    fn line(&mut self, text: &str) {
        // The line feed before it ends a line that was cut.
        self.0.write_all(format!("\n{text}.\n").as_bytes()).unwrap();
    }

    pub(super) fn begin(&mut self, spec: &Spec) {
        self.line(&format!("begin {} {}", now(), spec.write()));
    }

    pub(super) fn end(&mut self, result: &Result<Appended, AppendError>) {
        let told = match result {
            Ok(Appended { offsets, known, .. }) => {
                format!("appended {} {} {known}", offsets.start, offsets.end)
            }
            Err(AppendError::Conflict { offset, condition, .. }) => {
                format!("conflict {offset} {condition}")
            }
            Err(AppendError::InDoubt { .. }) => "doubt".to_owned(),
            Err(AppendError::Unavailable { .. } | AppendError::Diverged { .. }) => {
                "absent".to_owned()
            }
            Err(error) => panic!("an append failed: {error}"),
        };
        self.line(&format!("end {} {told}", now()));
    }

    pub(super) fn saw(&mut self, time: u64, head: u64, digest: PrefixDigest) {
        let bytes = <[u8; 32]>::from(digest);
        let digest = bytes.map(|byte| format!("{byte:02x}")).concat();
        self.line(&format!("saw {time} {head} {digest}"));
    }

    pub(super) fn diverged(&mut self, why: &str) {
        self.line(&format!("diverged {why}"));
    }
}

/// Adds what one thread of a process wrote down to a history. Returns why the process stopped, if it said that the
/// record has diverged.
pub(super) fn read(path: &Path, process: u64, history: &mut History) -> Option<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut open: Option<(u64, Spec)> = None;
    let mut diverged = None;
    let mut close = |open: &mut Option<(u64, Spec)>, ended, told| {
        if let Some((began, spec)) = open.take() {
            let (events, conditions) = (spec.events(), spec.conditions());
            history.operations.push(Operation { process, events, conditions, began, ended, told });
        }
    };
    // A line without its full stop was cut by the end of the process.
    for line in text.lines().filter_map(|line| line.strip_suffix('.')) {
        let fields: Vec<&str> = line.split(' ').collect();
        match fields[..] {
            ["begin", time, ref spec @ ..] => {
                open = Some((time.parse().unwrap(), Spec::read(spec)));
            }
            ["end", time, ref told @ ..] => close(&mut open, time.parse().unwrap(), told_of(told)),
            ["saw", time, head, digest] => {
                let byte = |at| u8::from_str_radix(&digest[at * 2..at * 2 + 2], 16).unwrap();
                let digest = PrefixDigest::from(std::array::from_fn(byte));
                let (time, head) = (time.parse().unwrap(), head.parse().unwrap());
                history.observations.push(Observation { process, time, head, digest });
            }
            ["diverged", ..] => diverged = Some(line.to_owned()),
            _ => panic!("a line that no process writes: {line}"),
        }
    }
    // The process ended before its call returned.
    close(&mut open, now(), Told::InDoubt);
    diverged
}

fn told_of(fields: &[&str]) -> Told {
    match fields {
        ["appended", start, end, known] => {
            let offsets = start.parse().unwrap()..end.parse().unwrap();
            Told::Appended(match *known {
                "true" => Appended::known(offsets),
                _ => Appended::new(offsets),
            })
        }
        ["conflict", offset, condition] => Told::Conflict {
            offset: offset.parse().unwrap(),
            condition: condition.parse().unwrap(),
        },
        ["doubt"] => Told::InDoubt,
        ["absent"] => Told::Absent,
        _ => panic!("{fields:?}"),
    }
}

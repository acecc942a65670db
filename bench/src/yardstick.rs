//! One plain file, appended to and synced: the least that any durable log must do.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

/// Writes each chunk of events, one payload a line with its type and tag, and syncs.
pub struct Yardstick(File);

impl Yardstick {
    pub fn create(path: &Path) -> Self {
        Self(File::create(path).expect("a file can be made"))
    }

    /// The file at `path`, which may be there, to be appended to.
    pub fn open(path: &Path) -> Self {
        let file = File::options().append(true).create(true).open(path);
        Self(file.expect("a file can be made"))
    }

    pub fn append(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).and_then(|()| self.0.sync_data()).expect("the disk works");
    }

    pub fn size(&self) -> u64 {
        self.0.metadata().expect("the file is there").len()
    }
}

/// An event as a line of that file: type, tag and payload.
pub fn line(event: &annals::RawEvent, out: &mut Vec<u8>) {
    out.extend_from_slice(event.event_type().as_bytes());
    for tag in event.tags() {
        out.push(b' ');
        out.extend_from_slice(tag.as_bytes());
    }
    out.push(b' ');
    out.extend_from_slice(event.data_bytes());
    out.push(b'\n');
}

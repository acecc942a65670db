//! A machine whose process can be killed and whose power can be cut any number of times.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals_conformance::Random;
use annals_conformance::fault::{Call, FaultFileSystem, Hold, Loss};
use libc::c_int;
use parking_lot::Mutex;
use tempfile::TempDir;

use crate::disk::{Failure, File, Life, is_noise};
use crate::names::{Names, Node};
use crate::syscalls::real;

const SECTOR: u64 = 512;
const PAGE: u64 = 4096;

/// A machine with one disk, and the directory of its current process.
pub(crate) struct Machine {
    directory: TempDir,
    life: Mutex<Arc<Life>>,
    lives: Mutex<u64>,
}

impl Machine {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(seed, |_| {})
    }

    /// Returns a machine with the files that `fill` creates in its directory, all of them durable.
    pub(crate) fn with(seed: u64, fill: impl FnOnce(&Path)) -> Self {
        // In memory if possible, so that nothing waits for a real disk.
        let memory = Path::new("/dev/shm");
        let directory = if memory.is_dir() {
            tempfile::tempdir_in(memory).unwrap()
        } else {
            tempfile::tempdir().unwrap()
        };
        let (root, numbers) = (directory.path().join("life-0"), directory.path().join("numbers"));
        fs::create_dir(&root).unwrap();
        fs::create_dir(&numbers).unwrap();
        fill(&root);
        let mut names = BTreeMap::from([(PathBuf::new(), Node::Directory)]);
        let mut files = Vec::new();
        take_in(&root, Path::new(""), &numbers, &mut names, &mut files);
        let life = Life::begin(root, numbers, (Names::durable(names), files), Random::new(seed));
        Self { directory, life: Mutex::new(life), lives: Mutex::new(0) }
    }

    fn life(&self) -> Arc<Life> {
        Arc::clone(&self.life.lock())
    }

    /// Returns a path in the directory of the current process.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.life().root.join(name)
    }

    /// Ends the process and starts another one. All writes stay, and unsynced ones stay unsynced.
    pub(crate) fn kill(&self) {
        let before = self.life();
        let mut state = before.state();
        state.runs = false;
        let root = self.next_root();
        for (name, node) in &state.names.seen {
            match node {
                Node::Directory if *name == Path::new("") => {}
                Node::Directory => fs::create_dir(root.join(name)).unwrap(),
                Node::File(file) => {
                    let number = before.number(*file);
                    real::link(&number, &root.join(name)).unwrap();
                }
            }
        }
        let parts = (state.names.clone(), state.files.clone());
        let random = Random::new(state.random.number());
        drop(state);
        self.begin(root, parts, random);
    }

    /// Cuts the power, if it is on, and restores it.
    pub(crate) fn restart(&self, loss: Loss) {
        let before = self.life();
        let mut state = before.state();
        state.runs = false;
        let mut random = Random::new(match loss {
            Loss::Sectors(seed) | Loss::Pages(seed) => seed ^ state.random.number(),
            Loss::Everything | Loss::Nothing => state.random.number(),
        });
        let root = self.next_root();
        let mut names = state.names.after(loss, &mut random);
        for (name, node) in &mut names {
            match node {
                Node::Directory if *name == Path::new("") => {}
                Node::Directory => fs::create_dir(root.join(name)).unwrap(),
                Node::File(file) => {
                    let number = before.number(*file);
                    let is_whole = lose(
                        &number,
                        &root.join(name),
                        &state.files[*file],
                        name,
                        loss,
                        &mut random,
                    );
                    if !is_whole {
                        // From now on it is another file: the old process may still read the old one.
                        let size = fs::metadata(root.join(name)).unwrap().len();
                        *file = state.files.len();
                        state.files.push(File {
                            written: size,
                            durable: size,
                            doubtful: Vec::new(),
                        });
                        real::link(&root.join(name), &before.number(*file)).unwrap();
                    }
                }
            }
        }
        let files = state.files.clone();
        let next = Random::new(random.number());
        drop(state);
        self.begin(root, (Names::durable(names), files), next);
    }

    fn next_root(&self) -> PathBuf {
        let mut lives = self.lives.lock();
        *lives += 1;
        let root = self.directory.path().join(format!("life-{lives}"));
        fs::create_dir(&root).unwrap();
        root
    }

    fn begin(&self, root: PathBuf, parts: (Names, Vec<File>), random: Random) {
        let numbers = self.directory.path().join("numbers");
        *self.life.lock() = Life::begin(root, numbers, parts, random);
    }

    /// Cuts the power in the `nth` call from now on, counted from 1. A write is cut in the middle.
    pub(crate) fn cut_power_at(&self, nth: u64) {
        self.life().state().plan.power_left = Some(nth.max(1));
    }

    /// Returns whether the process runs.
    pub(crate) fn has_power(&self) -> bool {
        self.life().state().runs
    }

    /// Makes the `nth` call of this kind from now on, counted from 1, fail.
    pub(crate) fn fail(&self, call: Call, nth: u64, error: c_int) {
        self.add(Failure { call, of_log: false, left: nth.max(1), error });
    }

    /// Makes the next call of this kind on the write-ahead log fail.
    pub(crate) fn fail_on_log(&self, call: Call, error: c_int) {
        self.add(Failure { call, of_log: true, left: 1, error });
    }

    fn add(&self, failure: Failure) {
        self.life().state().plan.failures.push(failure);
    }

    /// Limits the free space to so many bytes; `None` removes the limit.
    pub(crate) fn set_room(&self, bytes: Option<u64>) {
        self.life().state().plan.room = bytes;
    }

    /// Makes the next call of this kind on the write-ahead log stop until the returned hold is dropped.
    pub(crate) fn hold(&self, call: Call) -> Hold {
        let gate = FaultFileSystem::new(0);
        let hold = gate.hold(Call::SyncDirectory);
        self.life().state().plan.hold = Some((call, gate));
        hold
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for life in 0..=*self.lives.lock() {
            let root = self.directory.path().join(format!("life-{life}"));
            if let Some(life) = crate::disk::at(&root) {
                life.end();
            }
        }
    }
}

/// Adds all files below a directory to a disk, as durable files.
fn take_in(
    root: &Path,
    below: &Path,
    numbers: &Path,
    names: &mut BTreeMap<PathBuf, Node>,
    files: &mut Vec<File>,
) {
    for entry in fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let name = below.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            take_in(root, &name, numbers, names, files);
            names.insert(name, Node::Directory);
        } else {
            real::link(&root.join(&name), &numbers.join(files.len().to_string())).unwrap();
            let size = entry.metadata().unwrap().len();
            names.insert(name, Node::File(files.len()));
            files.push(File { written: size, durable: size, doubtful: Vec::new() });
        }
    }
}

/// Creates at `to` what a loss of power leaves of the file at `from`. Returns true if that is the same, complete file.
fn lose(from: &Path, to: &Path, file: &File, name: &Path, loss: Loss, random: &mut Random) -> bool {
    let unsynced = file.written - file.durable;
    let is_whole = unsynced == 0 && file.doubtful.is_empty();
    if (is_whole || loss == Loss::Nothing) && !is_noise(name) {
        real::link(from, to).unwrap();
        return true;
    }
    let size = match loss {
        Loss::Everything => file.durable,
        Loss::Nothing => file.written,
        Loss::Sectors(_) | Loss::Pages(_) => match random.below(4) {
            0 => file.durable,
            1 => file.written,
            _ => file.durable + random.below(unsynced + 1),
        },
    };
    let mut bytes = fs::read(from).unwrap();
    bytes.resize(usize::try_from(size).unwrap(), 0);
    let mut kept = fs::File::create(to).unwrap();
    kept.write_all(&bytes).unwrap();
    // A manifest is a prefix of the written bytes: a file system records no size before the data is on the disk.
    let is_manifest =
        name.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"MANIFEST-"));
    let mut spoil = |range: std::ops::Range<u64>, random: &mut Random| {
        let range = range.start..range.end.min(size);
        if range.is_empty() || is_manifest {
            return;
        }
        let mut spoiled = vec![0; usize::try_from(range.end - range.start).unwrap()];
        if matches!(loss, Loss::Sectors(_)) && random.once_in(2) {
            spoiled.fill_with(|| random.number().to_le_bytes()[0]);
        }
        kept.seek(std::io::SeekFrom::Start(range.start)).unwrap();
        kept.write_all(&spoiled).unwrap();
    };
    match loss {
        // Whole, lost from some page on, or lost sector by sector.
        Loss::Pages(_) if random.once_in(3) => {
            let from = file.durable + random.below(unsynced / PAGE + 1) * PAGE;
            spoil(from..size, random);
        }
        Loss::Sectors(_) => {
            for at in sectors(file.durable..size) {
                if random.once_in(2) {
                    spoil(at, random);
                }
            }
        }
        _ => {}
    }
    for at in file.doubtful.iter().cloned().flat_map(sectors) {
        if loss == Loss::Everything || random.once_in(2) {
            spoil(at, random);
        }
    }
    false
}

fn sectors(range: std::ops::Range<u64>) -> impl Iterator<Item = std::ops::Range<u64>> {
    let first = range.start / SECTOR;
    (first..range.end.div_ceil(SECTOR))
        .map(move |at| range.start.max(at * SECTOR)..range.end.min((at + 1) * SECTOR))
}

//! The disk of a machine as one process sees it: its durable state, and the calls that fail.
//!
//! A process has its own directory with the real files. Each file has a second name, its number, in a directory that no
//! process sees, since a removed file may exist again after a loss of power. RocksDB only appends to its files, so the
//! durable part of a file is a length. Only a failed sync makes holes in it.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals_conformance::Random;
use annals_conformance::fault::{Call, FaultFileSystem};
use libc::{EIO, ENOSPC, O_ACCMODE, O_CREAT, O_RDONLY, O_TRUNC, c_int};
use parking_lot::{Mutex, MutexGuard, RwLock};

use crate::names::{Names, Node};
use crate::syscalls::{Outcome, real};

/// All lives. Each has its own directory.
static LIVES: RwLock<Vec<Arc<Life>>> = RwLock::new(Vec::new());

/// The open files below those directories.
static OPEN: RwLock<Option<HashMap<c_int, Open>>> = RwLock::new(None);

/// An open file or directory.
#[derive(Clone)]
pub(crate) struct Open {
    pub(crate) life: Arc<Life>,
    /// The path below the directory of the life.
    path: PathBuf,
    node: Node,
}

/// The life of one process, until it ends or the power goes off.
pub(crate) struct Life {
    pub(crate) root: PathBuf,
    /// The directory in which files are named by their numbers.
    numbers: PathBuf,
    state: Mutex<State>,
}

pub(crate) struct State {
    /// Whether the process runs and has power.
    pub(crate) runs: bool,
    pub(crate) names: Names,
    pub(crate) files: Vec<File>,
    pub(crate) plan: Plan,
    pub(crate) random: Random,
}

/// The state of a file, as lengths in bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct File {
    pub(crate) written: u64,
    pub(crate) durable: u64,
    /// The ranges of failed syncs, which the system treats as written.
    pub(crate) doubtful: Vec<Range<u64>>,
}

/// The planned faults.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) failures: Vec<Failure>,
    /// The number of calls until the power goes off.
    pub(crate) power_left: Option<u64>,
    /// The free space in bytes.
    pub(crate) room: Option<u64>,
    /// The kind of a call to be held. It stops in a call to this disk in memory.
    pub(crate) hold: Option<(Call, FaultFileSystem)>,
}

#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) call: Call,
    /// Whether only calls on the write-ahead log count.
    pub(crate) of_log: bool,
    pub(crate) left: u64,
    pub(crate) error: c_int,
}

/// Returns the life whose directory contains a path.
pub(crate) fn at(path: &Path) -> Option<Arc<Life>> {
    LIVES.read().iter().find(|life| path.starts_with(&life.root)).cloned()
}

/// Returns an open file, if it is below the directory of a life.
pub(crate) fn of(file: c_int) -> Option<Open> {
    OPEN.read().as_ref()?.get(&file).cloned()
}

/// Records that a file was closed.
pub(crate) fn forget(file: c_int) {
    if OPEN.read().as_ref().is_some_and(|open| open.contains_key(&file)) {
        let forgotten = OPEN.write().as_mut().and_then(|open| open.remove(&file));
        drop(forgotten);
    }
}

impl Life {
    /// Begins a life in the directory `root`, which has the files of these names.
    pub(crate) fn begin(
        root: PathBuf,
        numbers: PathBuf,
        (names, files): (Names, Vec<File>),
        random: Random,
    ) -> Arc<Self> {
        let plan = Plan::default();
        let state = State { runs: true, names, files, plan, random };
        let life = Arc::new(Self { root, numbers, state: Mutex::new(state) });
        LIVES.write().push(Arc::clone(&life));
        life
    }

    /// Ends the life. Calls below its directory go to the system from now on.
    pub(crate) fn end(&self) {
        let ended: Vec<_> = LIVES.write().extract_if(.., |life| life.root == self.root).collect();
        drop(ended);
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Returns the second name of a file, which no process sees.
    pub(crate) fn number(&self, file: usize) -> PathBuf {
        self.numbers.join(file.to_string())
    }

    fn below<'p>(&self, path: &'p Path) -> &'p Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }

    /// Begins a call that changes something. It stops if it is to be held. Returns the planned error, with which the
    /// call fails after it is done in part.
    fn call(
        &self,
        call: Call,
        path: &Path,
    ) -> Result<(MutexGuard<'_, State>, Option<c_int>), c_int> {
        let mut state = self.state.lock();
        if is_noise(path) {
            return if state.runs { Ok((state, None)) } else { Err(EIO) };
        }
        let of_log = is_log(path);
        if let Some((_, gate)) = state.plan.hold.take_if(|(held, _)| *held == call && of_log) {
            drop(state);
            // The suite holds this call.
            let root = annals::FileSystem::open_directory(&gate, Path::new(FaultFileSystem::ROOT));
            let _ = root.and_then(|root| root.sync());
            state = self.state.lock();
        }
        let failing = state.begin(call, of_log)?;
        Ok((state, failing))
    }

    pub(crate) fn open(
        self: &Arc<Self>,
        path: &Path,
        flags: c_int,
        real: impl Fn(c_int) -> Outcome,
    ) -> Outcome {
        let below = self.below(path).to_owned();
        let mut state = self.state.lock();
        let mut known = state.names.seen.get(&below).copied();
        let makes = flags & O_CREAT != 0
            && (known.is_none() || flags & O_TRUNC != 0 && matches!(known, Some(Node::File(_))));
        if makes {
            drop(state);
            let failing;
            (state, failing) = self.call(Call::Create, &below)?;
            let full = state.plan.room == Some(0) && !is_noise(&below);
            if let Some(error) = failing.or(full.then_some(ENOSPC)) {
                return Err(error);
            }
            if known.is_some() {
                // A new file: a loss of power may restore the old content.
                real::unlink(path)?;
            }
        }
        let file = real(flags)?;
        if makes {
            let number = state.files.len();
            state.files.push(File::default());
            real::link(path, &self.number(number))?;
            known = Some(Node::File(number));
            state.names.add(&below, Node::File(number));
        }
        // Files that are only read are not recorded: C's `fclose` may close them, which is not visible here.
        let changes = flags & O_ACCMODE != O_RDONLY;
        if let Some(node) = known.filter(|node| changes || *node == Node::Directory) {
            let number = c_int::try_from(file).unwrap_or(-1);
            let open = Open { life: Arc::clone(self), path: below, node };
            OPEN.write().get_or_insert_default().insert(number, open);
        }
        Ok(file)
    }

    pub(crate) fn write(
        &self,
        number: c_int,
        open: &Open,
        size: usize,
        real: impl Fn(usize) -> Outcome,
    ) -> Outcome {
        let (mut state, failing) = self.call(Call::Write, &open.path)?;
        let mut part = match failing {
            Some(_) => state.random.index(size),
            None => size,
        };
        if let Some(room) = state.plan.room.as_mut().filter(|_| !is_noise(&open.path)) {
            part = part.min(usize::try_from(*room).unwrap_or(usize::MAX));
            *room -= part as u64;
            if part == 0 && size > 0 {
                return Err(failing.unwrap_or(ENOSPC));
            }
        }
        let written = if part > 0 || size == 0 { real(part)? } else { 0 };
        let end = real::position(number)?;
        if let Node::File(file) = open.node {
            let file = &mut state.files[file];
            file.written = file.written.max(end);
            // Overwritten bytes may be old or new after a loss of power.
            file.durable = file.durable.min(end - u64::try_from(written).unwrap_or(0));
        }
        failing.map_or(Ok(written), Err)
    }

    pub(crate) fn sync(&self, open: &Open) -> Outcome {
        let call = match open.node {
            Node::Directory => Call::SyncDirectory,
            Node::File(_) => Call::Sync,
        };
        let (mut state, failing) = self.call(call, &open.path)?;
        let runs = state.runs;
        match (open.node, failing) {
            (Node::Directory, None) => state.names.sync(&open.path),
            (Node::File(file), None) => state.files[file].durable = state.files[file].written,
            (Node::File(file), Some(_)) if runs => {
                let file = &mut state.files[file];
                file.doubtful.push(file.durable..file.written);
            }
            (_, Some(_)) => {}
        }
        failing.map_or(Ok(0), Err)
    }

    pub(crate) fn set_size(&self, open: &Open, size: u64, real: impl Fn() -> Outcome) -> Outcome {
        let (mut state, failing) = self.call(Call::SetSize, &open.path)?;
        if let Some(error) = failing {
            return Err(error);
        }
        let done = real()?;
        if let Node::File(file) = open.node {
            let file = &mut state.files[file];
            (file.written, file.durable) = (size, file.durable.min(size));
        }
        Ok(done)
    }

    pub(crate) fn allocate(&self, open: &Open, mode: c_int) -> Outcome {
        let (state, failing) = self.call(Call::Allocate, &open.path)?;
        let full = state.plan.room.map(|_| ENOSPC);
        match failing.or(full) {
            Some(error) => Err(error),
            // It must not extend a file that RocksDB appends to.
            None if mode & libc::FALLOC_FL_KEEP_SIZE == 0 => Err(libc::EOPNOTSUPP),
            // Skipped, since it has no visible effect, and would use up memory if the files are in memory.
            None => Ok(0),
        }
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path, real: impl Fn() -> Outcome) -> Outcome {
        let (mut state, failing) = self.call(Call::Rename, self.below(to))?;
        if let Some(error) = failing {
            return Err(error);
        }
        let done = real()?;
        state.names.rename(self.below(from), self.below(to));
        Ok(done)
    }

    pub(crate) fn unlink(&self, path: &Path, real: impl Fn() -> Outcome) -> Outcome {
        let (mut state, failing) = self.call(Call::Remove, self.below(path))?;
        if let Some(error) = failing {
            return Err(error);
        }
        let done = real()?;
        state.names.remove(self.below(path));
        Ok(done)
    }

    pub(crate) fn link(&self, from: &Path, to: &Path, real: impl Fn() -> Outcome) -> Outcome {
        let (mut state, failing) = self.call(Call::Create, self.below(to))?;
        if let Some(error) = failing {
            return Err(error);
        }
        let done = real()?;
        if let Some(file) = state.names.file(self.below(from)) {
            state.names.add(self.below(to), Node::File(file));
        }
        Ok(done)
    }

    pub(crate) fn make_directory(&self, path: &Path, real: impl Fn() -> Outcome) -> Outcome {
        if path == self.root {
            return real();
        }
        let (mut state, failing) = self.call(Call::CreateDirectory, self.below(path))?;
        if let Some(error) = failing {
            return Err(error);
        }
        let done = real()?;
        state.names.add(self.below(path), Node::Directory);
        Ok(done)
    }
}

impl State {
    /// Counts a call, and returns its planned error. Fails if the process does not run any more.
    fn begin(&mut self, call: Call, of_log: bool) -> Result<Option<c_int>, c_int> {
        if !self.runs {
            return Err(EIO);
        }
        if let Some(left) = &mut self.plan.power_left {
            *left -= 1;
            if *left == 0 {
                self.runs = false;
                return Ok(Some(EIO));
            }
        }
        let mut error = None;
        self.plan.failures.retain_mut(|failure| {
            if failure.call == call && (of_log || !failure.of_log) {
                failure.left -= 1;
            }
            if failure.left == 0 {
                error = Some(failure.error);
            }
            failure.left > 0
        });
        Ok(error)
    }
}

/// Returns whether a path is a write-ahead log of RocksDB.
pub(crate) fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "log")
}

/// Returns whether a path is the lock or a log file for people, on which nothing depends.
pub(crate) fn is_noise(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"LO"))
}

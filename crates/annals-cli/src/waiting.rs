//! Opens a store that another process may have open for writing: with `--wait`, once that process lets go of it.

use std::thread;
use std::time::{Duration, Instant};

use annals::Durability;

use crate::args::creation::{Wait, Waiting};
use crate::console::say;
use crate::failure::Failure;
use crate::signals::Interrupt;
use crate::store::{self, Store};
use crate::store_path::StorePath;

/// The time between two attempts to open a locked store.
const RETRY: Duration = Duration::from_millis(20);

/// Opens the store. With --wait, waits for another process that has it open for writing to close it.
pub(crate) fn open(
    path: &StorePath,
    durability: Durability,
    waiting: Waiting,
    interrupt: &Interrupt,
) -> Result<Store, Failure> {
    let begin = Instant::now();
    let mut is_first = true;
    loop {
        let problem = match store::open(path, durability, interrupt) {
            Err(problem) if problem.is_locked() => problem,
            opened => return opened,
        };
        let is_over = match waiting.wait {
            None => true,
            Some(Wait(None)) => false,
            Some(Wait(Some(time))) => begin.elapsed() >= time,
        };
        if is_over {
            return Err(problem);
        }
        if std::mem::take(&mut is_first) {
            say::note(&format!("{}; waiting", problem.message()));
        }
        interrupt.check()?;
        thread::sleep(RETRY);
    }
}

//! The state of the disk: its content, its power, its free space, and the planned failures.

use std::io;
use std::sync::Arc;

use super::call::{Call, Reads};
use super::hold::Gate;
use super::loss::Loss;
use super::names::Names;
use crate::Random;

/// A planned failure of a call.
#[derive(Debug)]
pub(super) struct Failure {
    /// The kind of the call; `None` for any kind.
    pub(super) call: Option<Call>,
    /// The number of such calls up to and including the failing one.
    pub(super) left: u64,
    pub(super) error: io::ErrorKind,
}

/// How much of a failing call is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nothing: the power was off before.
    NotBegun,
    /// A part: the call is planned to fail, or the power goes off in it.
    Partly,
}

#[derive(Debug)]
pub(super) struct Disk {
    pub(super) names: Names,
    /// The number of the running process. Handles from another epoch are not usable.
    pub(super) epoch: u64,
    pub(super) power: bool,
    pub(super) lies: bool,
    /// Whether another thread may make room in a file beside the log.
    pub(super) filled_beside: bool,
    /// The most bytes that all files may take.
    pub(super) room: Option<u64>,
    pub(super) calls: u64,
    pub(super) reads: Reads,
    pub(super) failures: Vec<Failure>,
    /// The number of calls until the power goes off.
    pub(super) power_left: Option<u64>,
    pub(super) hold: Option<(Call, Arc<Gate>)>,
    pub(super) random: Random,
    handles: u64,
}

impl Disk {
    pub(super) fn new(names: Names, seed: u64) -> Self {
        Self {
            names,
            epoch: 0,
            power: true,
            lies: false,
            filled_beside: false,
            room: None,
            calls: 0,
            reads: Reads::default(),
            failures: Vec::new(),
            power_left: None,
            hold: None,
            random: Random::new(seed),
            handles: 0,
        }
    }

    pub(super) fn check_power(&self, epoch: Option<u64>) -> io::Result<()> {
        if !self.power || epoch.is_some_and(|epoch| epoch != self.epoch) {
            return Err(io::Error::other("the power is off"));
        }
        Ok(())
    }

    /// Counts a call that changes something, and returns its error if it is to fail.
    pub(super) fn begin(
        &mut self,
        epoch: Option<u64>,
        call: Call,
    ) -> Result<(), (io::Error, Ending)> {
        self.check_power(epoch).map_err(|error| (error, Ending::NotBegun))?;
        self.calls += 1;
        if let Some(left) = &mut self.power_left {
            *left -= 1;
            if *left == 0 {
                self.power_left = None;
                self.power = false;
                return Err((io::Error::other("the power went off"), Ending::Partly));
            }
        }
        let mut failed = None;
        self.failures.retain_mut(|failure| {
            if failure.call.is_none_or(|planned| planned == call) {
                failure.left -= 1;
                if failure.left == 0 {
                    failed = Some(failure.error);
                }
            }
            failure.left > 0
        });
        match failed {
            Some(error) => Err((io::Error::new(error, "a planned failure"), Ending::Partly)),
            None => Ok(()),
        }
    }

    /// Returns the free space in bytes.
    pub(super) fn left(&self) -> u64 {
        self.room.map_or(u64::MAX, |room| room.saturating_sub(self.names.used()))
    }

    /// Refuses a new name on a full disk.
    pub(super) fn check_room(&self) -> io::Result<()> {
        if self.left() == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    pub(super) fn next_handle(&mut self) -> u64 {
        self.handles += 1;
        self.handles
    }

    pub(super) fn kill(&mut self) {
        self.names.forget_process();
        self.begin_epoch();
    }

    pub(super) fn restart(&mut self, loss: Loss) {
        let mut random = Random::new(match loss {
            Loss::Everything | Loss::Nothing => 0,
            Loss::Sectors(seed) | Loss::Pages(seed) => seed,
        });
        self.names = self.names.after(loss, &mut random);
        self.begin_epoch();
    }

    fn begin_epoch(&mut self) {
        self.epoch += 1;
        self.power = true;
        self.failures.clear();
        self.power_left = None;
        self.hold = None;
    }
}

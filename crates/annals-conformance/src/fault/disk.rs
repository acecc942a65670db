//! The disk's state, its power, its room, and what is planned for it.

use std::io;
use std::sync::Arc;

use super::names::Names;
use super::{Call, Ending, Gate, Loss};
use crate::Random;

/// A call that is to fail.
#[derive(Debug)]
pub(super) struct Failure {
    /// `None`: of any kind.
    pub(super) call: Option<Call>,
    /// How many such calls it takes until then.
    pub(super) left: u64,
    pub(super) error: io::ErrorKind,
}

#[derive(Debug)]
pub(super) struct Disk {
    pub(super) names: Names,
    /// Which process, which power: what was opened in another is of no use.
    pub(super) epoch: u64,
    pub(super) power: bool,
    pub(super) lies: bool,
    /// Bytes that may be used.
    pub(super) room: Option<u64>,
    pub(super) calls: u64,
    pub(super) failures: Vec<Failure>,
    /// How many calls until the power goes off.
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
            room: None,
            calls: 0,
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

    /// Counts a call that changes something, and says if it fails.
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

    /// Bytes that still fit.
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
        self.begin_anew();
    }

    pub(super) fn restart(&mut self, loss: Loss) {
        let mut random = Random::new(match loss {
            Loss::Everything | Loss::Nothing => 0,
            Loss::Sectors(seed) | Loss::Pages(seed) => seed,
        });
        self.names = self.names.after(loss, &mut random);
        self.begin_anew();
    }

    fn begin_anew(&mut self) {
        self.epoch += 1;
        self.power = true;
        self.failures.clear();
        self.power_left = None;
        self.hold = None;
    }
}

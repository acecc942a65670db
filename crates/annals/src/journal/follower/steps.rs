//! Starting to follow a log, and one step of it.

use std::sync::Arc;

use annals_base::ListWriter;

use super::state::Follow;
use crate::backend::follower::{FollowStep, FollowStop, Follower};
use crate::backend::head::publisher::HeadPublisher;
use crate::error::{Corruption, OpenError};
use crate::event::event::Event;
use crate::journal::log::Log;
use crate::journal::recovery::active::Active;
use crate::journal::segment::segment::Segment;

/// Reads the log up to its present end, then starts the thread. A damaged log is read up to the damage, and no thread
/// is started.
pub(crate) fn follow<E: Event>(
    log: Arc<Log>,
    head: HeadPublisher<E>,
    sealed: ListWriter<Segment>,
    active: Active,
    closed: u64,
    damage: Option<Corruption>,
) -> Result<Follower, OpenError> {
    let path = log.directory.path.clone();
    let mut follow = Follow::new(log, head, sealed, active, closed);
    let caught_up = match damage {
        // Takes the frames of the last good segment. Everything behind the damage is ignored.
        Some(damage) => follow.catch_up(Follow::take_frames).and(Err(damage.into())),
        None => follow.catch_up(Follow::take_next).and_then(|()| follow.look_at_end(closed)),
    };
    match caught_up {
        Ok(()) => Follower::start(follow).map_err(OpenError::io("follow", path)),
        Err(FollowStop::Failed(source)) => Err(OpenError::io("follow", path)(source)),
        Err(FollowStop::Ended(ended)) => {
            tracing::warn!(error = %ended, "cannot follow the log; opened the events up to here");
            follow.close_head();
            Ok(Follower::ended(ended))
        }
    }
}

impl<E: Event> FollowStep for Follow<E> {
    fn step(&mut self) -> Result<bool, FollowStop> {
        let any = self.take_next()?;
        self.look_closer(any)
    }

    fn close_head(&self) {
        self.head.close();
    }
}

impl<E: Event> Follow<E> {
    /// Repeats a step until it finds nothing new.
    fn catch_up(
        &mut self,
        mut step: impl FnMut(&mut Self) -> Result<bool, FollowStop>,
    ) -> Result<(), FollowStop> {
        while step(self)? {}
        Ok(())
    }

    /// Takes the next frames, or goes on in the next segment. Returns false if there is neither.
    fn take_next(&mut self) -> Result<bool, FollowStop> {
        if self.published < self.next_offset {
            // Publishing failed in an earlier round.
            self.publish()?;
        }
        if self.take_frames()? {
            return Ok(true);
        }
        if self.next_offset == self.segment.first {
            return self.take_other_file();
        }
        self.take_segment()
    }
}

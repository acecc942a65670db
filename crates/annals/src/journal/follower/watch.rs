//! Noticing that the store was replaced or is damaged.

use std::io;

use super::copied_tail::file_shows;
use super::state::{FIRST_LOOK_ROUNDS, Follow, exists};
use crate::backend::follower::FollowStop;
use crate::error::Corruption;
use crate::event::event::Event;
use crate::journal::directory::STORE;
use crate::journal::fs::file_id::{self, Named};
use crate::journal::recovery::tail::{End, classify_tail};
use crate::journal::segment::file_names::log_name;
use crate::journal::segment::frame::{FRAME_HEAD, FrameHead};
use crate::util::little_endian::u32_at;
use crate::util::local_offset::local_offset;

/// The most rounds without anything new between two checks of the log.
const MOST_LOOK_ROUNDS: u32 = 1_500;

impl<E: Event> Follow<E> {
    /// Checks, after some rounds without anything new, whether the log is still the one that was read and whether it is
    /// damaged here. Returns `any`: whether there was anything new.
    pub(super) fn look_closer(&mut self, any: bool) -> Result<bool, FollowStop> {
        if any {
            (self.idle, self.look_after) = (0, FIRST_LOOK_ROUNDS);
            return Ok(true);
        }
        self.idle += 1;
        if self.idle < self.look_after {
            return Ok(false);
        }
        (self.idle, self.look_after) = (0, (self.look_after * 2).min(MOST_LOOK_ROUNDS));
        self.check_anchor()?;
        // A damaged `closed.json` is reported when the log is opened, so it is ignored here.
        let closed = self.log.directory.closed_head().unwrap_or(0);
        self.look_at_end(closed)?;
        Ok(false)
    }

    /// Returns an error if the log does not end here cleanly but is damaged.
    pub(super) fn look_at_end(&mut self, closed: u64) -> Result<(), FollowStop> {
        // (A segment without whole frames has the name of the next offset itself.)
        if self.next_offset > self.segment.first
            && exists(&*self.log.directory.handle, &log_name(self.next_offset))?
        {
            // The segment is complete. The thread goes on in the next one once this one's index is there.
            return Ok(());
        }
        let tail = classify_tail(&*self.file, &self.segment, self.end, self.next_offset, closed)?;
        if let End::Damaged(damage) = tail {
            return Err(damage.into());
        }
        let (starts, _) = self.log.directory.segments()?;
        let later = starts.into_iter().find(|&start| start > self.segment.first);
        let Some(later) = later.filter(|&later| later != self.next_offset) else { return Ok(()) };
        // Once there is a later segment, every frame before it must be there.
        if self.take_frames()? {
            return Ok(());
        }
        Err(Corruption {
            file: self.segment.path.clone(),
            position: self.end as u64,
            offset: self.next_offset,
            expected: format!("events up to offset {later}, where the next segment begins"),
            found: format!("no whole frame of offset {}", self.next_offset),
        }
        .into())
    }

    /// Returns an error if the frame that was read last, or the head of a segment without frames, is not there any
    /// more.
    pub(super) fn check_anchor(&mut self) -> Result<(), FollowStop> {
        let (position, bytes) = &self.anchor;
        if !file_shows(&*self.file, *position, bytes)? {
            return Err(self.changed());
        }
        self.take_other_file().map(drop)
    }

    /// Goes on in the file that has the segment's name now, if it is not the open one. Returns whether it had new
    /// frames.
    ///
    /// Another file has two harmless reasons: the writer withdrew the segment while it had no events and
    /// created it again, or the file system replaced it by a copy (an overlay does when a file of a lower layer is
    /// first written to). Any other change ends the follower.
    pub(super) fn take_other_file(&mut self) -> Result<bool, FollowStop> {
        let directory = &self.log.directory;
        let name = log_name(self.segment.first);
        let named = file_id::compare(self.file.id()?, directory.handle.file_id(&name)?);
        if named == Named::Nothing {
            let withdrawn =
                self.next_offset == self.segment.first && exists(&*directory.handle, STORE)?;
            return if !withdrawn {
                Err(self.replaced("its files were removed"))
            } else if self.previous_segment_grew()? {
                Err(self.replaced(
                    "its last segment was withdrawn, and the writer appends to the one before it",
                ))
            } else {
                Ok(false)
            };
        }
        if named == Named::Same {
            return Ok(false);
        }
        self.map_again()?;
        self.show_segment();
        self.take_frames()
    }

    /// Returns whether the segment before this one, which was complete, has another frame now. A writer that was opened
    /// with larger segments appends to it after this one was withdrawn.
    fn previous_segment_grew(&self) -> io::Result<bool> {
        let sealed = self.sealed.list();
        let last = sealed.len().checked_sub(1).and_then(|last| sealed.get(last));
        let Some(before) = last else { return Ok(false) };
        let Some(last) = self.next_offset.checked_sub(1) else { return Ok(false) };
        let Ok(position) = before.position(local_offset(last, before.first)) else {
            return Ok(false);
        };
        let end = position + (u32_at(&before.bytes, position + 4) as usize).next_multiple_of(8);
        let mut head = [0; FRAME_HEAD];
        let file = self.log.directory.handle.open_read_only(&log_name(before.first))?;
        file.read_at(&mut head, end as u64)?;
        Ok(FrameHead::read(&head, 0, before.seed).is_ok_and(|head| head.first == self.next_offset))
    }
}

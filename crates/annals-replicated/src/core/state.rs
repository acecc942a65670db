//! The state of a core.

use std::collections::{HashMap, VecDeque};

use super::anchor_check::{Absence, AnchorCheck};
use super::flight::{Admitted, Flight, Waiting};
use super::messages::{Asked, Divergence, Now, Output, ReadKind, Refusal, RequestId, SendId};
use super::overlay::Overlay;
use super::recent::Recent;
use super::rejoin::Rejoin;
use super::settings::{CoreSettings, FIRST_PAUSE_MS, LONGEST_PAUSE_MS};
use crate::chain::chain::Chain;
use crate::chain::slot::Slot;
use crate::chain::tip::Tip;
use crate::format::hash::CommitHash;
use crate::random::Random;
use annals::Appended;
use bytes::Bytes;
use uuid::Uuid;

/// An append that the engine has not answered.
#[derive(Debug, Clone, Copy, Hash)]
pub(super) struct Send {
    pub(super) flight: u64,
    pub(super) part: usize,
    pub(super) expected: Slot,
    pub(super) attempt: u64,
    /// The system's clock when it was sent, in ms since 1970 UTC.
    pub(super) wall_ms: u64,
    pub(super) asked: Asked,
}

/// What a read returned.
#[derive(Debug, Clone, Hash)]
pub(super) struct ReadPage {
    pub(super) kind: ReadKind,
    /// The slot behind which was read.
    pub(super) after: Slot,
    pub(super) entries: Vec<Bytes>,
    pub(super) asked: Asked,
    /// The steady time at which it arrived, in ms.
    pub(super) arrived_ms: u64,
}

/// A commit that landed and is being applied, and the replies that wait for that.
#[derive(Debug, Clone)]
pub(super) struct Landed {
    pub(super) number: u64,
    /// The head after it.
    pub(super) head: u64,
    /// The size of its body, in bytes.
    pub(super) bytes: usize,
    pub(super) requests: Vec<Admitted>,
}

/// How a core ended.
#[derive(Debug, Clone, Copy, Hash)]
pub(super) enum End {
    Diverged(Divergence),
    ReplicaFailed,
}

/// Everything that a core knows.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct State {
    pub(super) settings: CoreSettings,
    pub(super) now: Now,
    pub(super) outputs: Vec<Output>,
    pub(super) chain: Chain,
    /// Whether a read has reached the end of the record since the core began.
    pub(super) caught_up: bool,
    pub(super) queue: VecDeque<Waiting>,
    pub(super) flights: VecDeque<Flight>,
    pub(super) landed: VecDeque<Landed>,
    pub(super) overlay: Overlay,
    pub(super) sends: HashMap<SendId, Send>,
    /// The number of sends so far, of flights so far, and of attempts so far.
    pub(super) send_count: u64,
    pub(super) flight_count: u64,
    pub(super) attempt: u64,
    /// The number of sends of this attempt that were not answered.
    pub(super) open: usize,
    /// The slot of the last entry that was sent in this attempt, if all goes well.
    pub(super) predicted: Slot,
    /// The steady time at which the flights are sent again; `None` if none is in doubt.
    pub(super) resend_ms: Option<u64>,
    pub(super) pause_ms: u64,
    /// The steady time before which nothing new is sent.
    pub(super) hold_until_ms: u64,
    /// Whether a commit that nobody waits for may still land: a barrier is to end that.
    pub(super) abandoned: bool,
    /// The commits that nobody waits for and that may still land: the writer id of each row of them, and the hash of its
    /// last commit.
    pub(super) doubted: Vec<(Uuid, CommitHash)>,
    pub(super) anchor: Option<AnchorCheck>,
    /// How often the engine was connected again.
    pub(super) connection: u64,
    /// The record was seen to have everything that was read, at this steady time or later, in ms: a time at which the
    /// engine was asked. `None` if it was not seen on this connection.
    pub(super) confirmed_ms: Option<u64>,
    /// The steady time at which the process learned of the last entry that was read, in ms: the record had it by then.
    pub(super) learned_ms: u64,
    /// What a read returned while the record was not confirmed: it waits for that.
    pub(super) held: Option<ReadPage>,
    /// The steady time from which on the entries behind the last valid commit may be read again once more, in ms.
    pub(super) rewind_again_ms: u64,
    /// The slot from which on answers let commits land. Below it, entries were read once, and an answer with such a slot
    /// is wrong, or says where an earlier copy is: reading decides.
    pub(super) land_from: Slot,
    /// The slot of the last void entry that was counted.
    pub(super) voids_to: Slot,
    /// The last commits, and which of them is checked again.
    pub(super) recent: Recent,
    /// The commits of the replica that the record has not shown yet.
    pub(super) rejoin: Rejoin,
    /// The number of events that the replica had when the core began.
    pub(super) replica_head: u64,
    /// The last slot that the record had before the core began, if it is known.
    pub(super) last_before: Option<Slot>,
    /// Since when the record ends before these events.
    pub(super) shorter: Absence,
    /// Whether a read is wanted at once, and whether one is under way.
    pub(super) want_now: bool,
    pub(super) reading_now: bool,
    /// When that read was asked for, and the system's clock then, in ms since 1970 UTC.
    pub(super) read_asked: Asked,
    pub(super) read_wall_ms: u64,
    pub(super) watching: bool,
    /// When the record was asked for that is watched.
    pub(super) watch_asked: Asked,
    /// The steady time before which no read is tried after one failed.
    pub(super) read_again_ms: u64,
    pub(super) hinted: bool,
    /// The duration of the last append that landed at once, in ms.
    pub(super) round_trip_ms: u64,
    /// How far this machine's clock is ahead of the engine's at least, in ms.
    pub(super) clock_ahead_ms: u64,
    pub(super) end: Option<End>,
    pub(super) counts: Counts,
    pub(super) random: Random,
}

/// What a core has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Void entries that were read.
    pub voids: u64,
    /// Own commits that lost their race.
    pub lost_races: u64,
    /// Anchor checks that found the commit.
    pub anchors_found: u64,
    /// Anchor checks that found that the record has lost or changed the commit.
    pub anchors_failed: u64,
    /// Times at which commits were sent again.
    pub resends: u64,
    /// Requests that were answered with a doubt.
    pub doubts: u64,
}

impl State {
    pub(super) fn new(settings: CoreSettings, chain: Chain, now: Now) -> Self {
        let random = Random::new(settings.seed);
        Self {
            settings,
            now,
            outputs: Vec::new(),
            predicted: chain.read_to(),
            chain,
            caught_up: false,
            queue: VecDeque::new(),
            flights: VecDeque::new(),
            landed: VecDeque::new(),
            overlay: Overlay::default(),
            sends: HashMap::new(),
            send_count: 0,
            flight_count: 0,
            attempt: 0,
            open: 0,
            resend_ms: None,
            pause_ms: FIRST_PAUSE_MS,
            hold_until_ms: 0,
            abandoned: false,
            doubted: Vec::new(),
            anchor: None,
            connection: 0,
            confirmed_ms: None,
            learned_ms: 0,
            held: None,
            rewind_again_ms: 0,
            land_from: Slot(0),
            voids_to: Slot(0),
            recent: Recent::default(),
            rejoin: Rejoin::default(),
            replica_head: 0,
            last_before: None,
            shorter: Absence::default(),
            want_now: true,
            reading_now: false,
            read_asked: Asked::default(),
            read_wall_ms: 0,
            watching: false,
            watch_asked: Asked::default(),
            read_again_ms: 0,
            hinted: false,
            round_trip_ms: 0,
            clock_ahead_ms: 0,
            end: None,
            counts: Counts::default(),
            random,
        }
    }

    /// Returns the tip behind the commits under way; `None` before the genesis.
    pub(super) fn staged_tip(&self) -> Option<Tip> {
        self.flights.back().map(|flight| flight.tip).or(self.chain.tip().copied())
    }

    pub(super) fn answer(&mut self, request: RequestId, reply: Result<Appended, Refusal>) {
        self.outputs.push(Output::Answer { request, reply });
    }

    /// Returns the next pause with jitter, between half of it and the whole, and doubles it.
    pub(super) fn next_pause(&mut self) -> u64 {
        let pause = self.pause_ms;
        self.pause_ms = (pause * 2).min(LONGEST_PAUSE_MS);
        pause / 2 + self.random.below(pause / 2 + 1)
    }

    /// Begins a new attempt: what was sent before no longer counts as under way.
    pub(super) fn begin_attempt(&mut self) {
        self.attempt += 1;
        self.open = 0;
        self.predicted = self.chain.read_to();
        for flight in &mut self.flights {
            flight.may_be_stored |= flight.open > 0;
            (flight.sent, flight.open) = (0, 0);
        }
        // The answers to the last attempts may still say where an entry is.
        let oldest = self.attempt.saturating_sub(8);
        self.sends.retain(|_, send| send.attempt >= oldest);
    }

    /// Asks for a read at once.
    pub(super) fn read_now(&mut self) {
        self.want_now = true;
    }

    /// Notes the engine's clock, as it was answered after `wall_ms`.
    pub(super) fn note_clock(&mut self, wall_ms: u64, engine_ms: Option<u64>) {
        if let Some(engine_ms) = engine_ms {
            self.clock_ahead_ms = wall_ms.saturating_sub(engine_ms);
        }
    }
}

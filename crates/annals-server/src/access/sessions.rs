//! The sessions of browsers: a browser gives its token once, and then sends a cookie.
//!
//! A session is the hash of a token. It ends after 12 hours, when the server ends, or when the operator removes the
//! token from the token file.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use uuid::Uuid;

use super::tokens::{Hash, hash};

/// The time after which a session ends.
pub(crate) const LIFE: Duration = Duration::from_secs(12 * 60 * 60);

/// The largest number of sessions. A further one ends the oldest.
const MAX_SESSIONS: usize = 1_000;

/// The sessions of browsers.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<HashMap<Hash, Session>>);

#[derive(Debug)]
struct Session {
    token: Hash,
    since: Instant,
}

impl Sessions {
    /// Begins a session of a token, and returns its id: 244 random bits.
    pub(super) fn begin(&self, token: Hash) -> String {
        let id = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let mut sessions = self.0.lock();
        sessions.retain(|_, session| session.since.elapsed() < LIFE);
        if sessions.len() >= MAX_SESSIONS {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.since);
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                sessions.remove(&oldest);
            }
        }
        // Ids are found by their hash, so the time of the search says nothing about them.
        sessions.insert(hash(id.as_bytes()), Session { token, since: Instant::now() });
        id
    }

    /// Returns the hash of the token of a session that has not ended. `id` is the hash of its id.
    pub(super) fn token(&self, id: &Hash) -> Option<Hash> {
        let sessions = self.0.lock();
        let session = sessions.get(id)?;
        (session.since.elapsed() < LIFE).then_some(session.token)
    }

    /// Ends a session.
    pub(super) fn end(&self, id: &str) {
        self.0.lock().remove(&hash(id.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_the_token_until_it_ends() {
        let sessions = Sessions::default();
        let token = |id: &str| sessions.token(&hash(id.as_bytes()));
        let (one, other) = (sessions.begin([1; 32]), sessions.begin([2; 32]));
        assert_eq!((one.len(), token(&one)), (64, Some([1; 32])));
        sessions.end(&one);
        assert_eq!((token(&one), token("")), (None, None));
        assert_eq!(token(&other), Some([2; 32]));
        for _ in 0..MAX_SESSIONS {
            sessions.begin([3; 32]);
        }
        let count = sessions.0.lock().len();
        assert_eq!((count, token(&other)), (MAX_SESSIONS, None));
    }
}

//! The memory that requests take. The bodies of all requests and the appends that wait share one budget.
//!
//! Each request has a [`Share`] of the [`Budget`]. The memory of a request is added to its share before it is used,
//! and nothing waits for room: bodies that wait for each other would keep their memory. The share returns to the budget
//! when nothing of the request is left: with the head of the response, and after an append that goes on although its
//! client is gone.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::fault::{Fault, Kind};
use crate::refused_body::RefusedBody;

/// The size up to which a request is small, in bytes: 64 KiB. Only small requests get the last eighth of the budget, so
/// clients with large requests do not keep the small ones of others out.
const SMALL: usize = 64 << 10;

/// The memory that a part of a request (an event, a tag, a metadata entry, a type, an item) takes once it is decoded, in
/// bytes, besides its text.
const PART: usize = 128;

/// The memory of a request besides its body, in bytes: its tasks and what they wait for.
const REQUEST: usize = 4 << 10;

/// The memory that all requests may take together.
#[derive(Debug)]
pub(crate) struct Budget {
    most: usize,
    taken: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, taken: AtomicUsize::new(0) }
    }
}

/// The part of the budget that one request has taken. It returns when the value is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    taken: AtomicUsize,
}

impl Share {
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        Self { budget: Arc::clone(budget), taken: AtomicUsize::new(0) }
    }

    /// Takes memory for a number of decoded parts.
    pub(crate) fn take_parts(&self, parts: usize) -> Result<(), Fault> {
        self.take(parts.saturating_mul(PART))
    }

    /// Takes memory for an append, which may wait after its client is gone: the events, each with a number of bytes that
    /// the server adds, and the rest of the request.
    pub(crate) fn take_append(&self, events: usize, added: usize) -> Result<(), Fault> {
        self.take(REQUEST + events.saturating_mul(PART + added))
    }

    /// Takes memory, or fails if other requests have it. A request never fails because of its own size: at most 49/64 of
    /// the budget are counted for it, so that small requests beside it do not matter.
    pub(crate) fn take(&self, bytes: usize) -> Result<(), Fault> {
        // Relaxed, here and below: the counts guard no other memory.
        let mine = self.taken.load(Ordering::Relaxed);
        let most = self.budget.most;
        let most = if mine.saturating_add(bytes) <= SMALL { most } else { most - most / 8 };
        let bytes = bytes.min((most - most / 8).saturating_sub(mine));
        if bytes == 0 {
            // The end of a body needs no memory, even if small requests have taken all of it.
            return Ok(());
        }
        let add = |taken: usize| taken.checked_add(bytes).filter(|taken| *taken <= most);
        match self.budget.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add) {
            Ok(_) => {
                self.taken.fetch_add(bytes, Ordering::Relaxed);
                Ok(())
            }
            Err(_) => Err(Fault::new(
                Kind::Overloaded,
                "other requests take the memory that the server has for requests; repeat this one later",
            )),
        }
    }
}

impl Default for Share {
    /// Returns a share of a budget without a limit.
    fn default() -> Self {
        Self::new(&Arc::new(Budget::new(usize::MAX)))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // Relaxed: the counts guard no other memory.
        self.budget.taken.fetch_sub(*self.taken.get_mut(), Ordering::Relaxed);
    }
}

/// The body of a request, whose bytes take memory of the request's share as they come. If there is none, the rest of the
/// body is dropped as it comes, and the body fails at its end: a client over HTTP/1.1 may not read the response before it
/// has sent everything. A body of more than `most` bytes fails at once.
pub(crate) struct SharedBody<B> {
    body: B,
    share: Arc<Share>,
    most: usize,
    received: usize,
    refused: Option<Fault>,
}

impl<B> SharedBody<B> {
    pub(crate) fn new(body: B, share: Arc<Share>, most: usize) -> Self {
        Self { body, share, most, received: 0, refused: None }
    }
}

impl<B: Body<Data = Bytes, Error = axum::BoxError> + Unpin> Body for SharedBody<B> {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let this = &mut *self;
        loop {
            let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
            let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
            let (is_data, bytes) = (data.is_some(), data.map_or(0, Bytes::len));
            this.received = this.received.saturating_add(bytes);
            let is_too_large = this.received > this.most;
            if this.refused.is_none() {
                let taken =
                    if is_too_large { Err(too_large(this.most)) } else { this.share.take(bytes) };
                this.refused = taken.err();
            }
            let Some(fault) = &this.refused else { return Poll::Ready(frame) };
            if !is_data || is_too_large {
                let refused = RefusedBody::new(fault.clone());
                return Poll::Ready(Some(Err(refused.into())));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.refused.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn too_large(most: usize) -> Fault {
    let message = format!("the body of the request has more than {most} bytes");
    Fault::new(Kind::RequestTooLarge, message)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use http_body_util::{BodyExt as _, Full};

    use super::*;

    fn overloaded<T>(result: Result<T, Fault>) -> bool {
        result.is_err_and(|fault| fault.kind == Kind::Overloaded)
    }

    #[test]
    fn requests_share_a_budget_and_return_what_they_took() {
        let budget = Arc::new(Budget::new(80 << 20));
        let share = || Share::new(&budget);
        let (first, second) = (share(), share());
        first.take(40 << 20).unwrap();
        second.take(30 << 20).unwrap();
        assert!(overloaded(second.take(1)), "a large request gets seven eighths of the budget");
        let small = share();
        small.take(SMALL).unwrap();
        assert!(overloaded(small.take(1)), "it is not small any more");
        drop(first);
        second.take(1).unwrap();
        drop((second, small));
        assert_eq!(budget.taken.load(Ordering::Relaxed), 0);
        // Small requests share the last eighth, and no more.
        let (large, other) = (share(), share());
        large.take(40 << 20).unwrap();
        other.take(30 << 20).unwrap();
        let small: Vec<_> = std::iter::repeat_with(share).take(160).collect();
        assert!(small.iter().all(|share| share.take(SMALL).is_ok()));
        assert!(overloaded(share().take(1)));
        large.take(0).unwrap();
    }

    #[test]
    fn a_request_alone_is_not_refused_whatever_its_parts_take() {
        let budget = Arc::new(Budget::new(40 << 20));
        let large = Share::new(&budget);
        large.take(33 << 20).unwrap();
        large.take_parts(8 << 20).unwrap();
        large.take_append(65_536, 100).unwrap();
        assert!(overloaded(Share::new(&budget).take(8 << 20)));
    }

    /// A worker that waits for events holds a few bytes all the time.
    #[test]
    fn a_large_request_is_not_refused_because_of_a_small_one() {
        let budget = Arc::new(Budget::new(40 << 20));
        let (small, large) = (Share::new(&budget), Share::new(&budget));
        small.take(100).unwrap();
        large.take_append(65_536, 1 << 20).unwrap();
    }

    /// A client without a token may send a body to /ui/login, and any number of messages to a gRPC method.
    #[test]
    fn a_body_beyond_its_limit_fails_at_once() {
        let pieces = std::iter::repeat_with(|| Ok(Frame::data(Bytes::from_static(&[0; 1 << 10]))));
        let body = http_body_util::StreamBody::new(futures_util::stream::iter(pieces));
        let body = SharedBody::new(body, Arc::default(), 10 << 10);
        let refused = body.collect().now_or_never().unwrap().unwrap_err();
        assert_eq!(RefusedBody::fault_of(&*refused).unwrap().kind, Kind::RequestTooLarge);
    }

    #[test]
    fn the_bytes_of_a_body_take_memory_as_they_come() {
        let budget = Arc::new(Budget::new(40 << 20));
        let body = |share: &Arc<Share>, bytes: usize| {
            let body = Full::new(Bytes::from(vec![0; bytes])).map_err(Into::into);
            let body = SharedBody::new(body, Arc::clone(share), usize::MAX);
            body.collect().now_or_never().unwrap()
        };
        let (first, second) = (Arc::new(Share::new(&budget)), Arc::new(Share::new(&budget)));
        assert_eq!(body(&first, 20 << 20).unwrap().to_bytes().len(), 20 << 20);
        let refused = body(&second, 20 << 20).unwrap_err();
        assert_eq!(RefusedBody::fault_of(&*refused).unwrap().kind, Kind::Overloaded);
        drop(first);
        assert!(body(&second, 20 << 20).is_ok());
    }
}

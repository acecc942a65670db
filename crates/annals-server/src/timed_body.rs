//! The body of a request, whose bytes must come in time.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::fault::{Fault, Kind};
use crate::refused_body::RefusedBody;

/// The bytes of a body for which a client has one more second.
const BYTES_A_SECOND: u64 = 1 << 10;

/// A body that fails if its client sends it too slowly. The time runs only while the server waits for the client, so
/// bytes that were received in time count even if the server looks at them late.
pub(super) struct TimedBody<B> {
    body: B,
    /// The time for a body without bytes. `None`: without a limit.
    time: Option<Duration>,
    received: u64,
    /// When the server first waited for the client.
    begin: Option<Instant>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<B> TimedBody<B> {
    pub(super) fn new(body: B, time: Option<Duration>) -> Self {
        Self { body, time, received: 0, begin: None, deadline: None }
    }

    /// Is ready when the client's time is over. The task is woken then.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(time) = self.time else { return Poll::Pending };
        let begin = *self.begin.get_or_insert_with(Instant::now);
        let more = Duration::from_secs(self.received / BYTES_A_SECOND);
        let end = time.checked_add(more).and_then(|time| begin.checked_add(time));
        let Some(end) = end else { return Poll::Pending };
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if deadline.deadline() != end {
            deadline.as_mut().reset(end);
        }
        deadline.as_mut().poll(context)
    }
}

impl<B: Body<Data = bytes::Bytes> + Unpin> Body for TimedBody<B>
where
    B::Error: Into<axum::BoxError>,
{
    type Data = bytes::Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, axum::BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            if let Some(Ok(frame)) = &frame {
                this.received += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(this.poll_end(context));
        Poll::Ready(Some(Err(RefusedBody::new(slow()).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Returns the failure of a request whose body came too slowly.
fn slow() -> Fault {
    let message = "the body of the request came too slowly, so the server stopped waiting for it";
    Fault::new(Kind::SlowRequest, message)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    /// Sends `pieces` of 1 KiB, each after `pause`, to a body with a limit of 10 s.
    async fn sent(pieces: usize, pause: Duration) -> Result<usize, axum::BoxError> {
        let pieces = futures_util::stream::unfold(pieces, move |left| async move {
            tokio::time::sleep(pause).await;
            let piece = Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![0; 1 << 10])));
            (left > 0).then(|| (piece, left - 1))
        });
        let body = StreamBody::new(Box::pin(pieces));
        let body = TimedBody::new(body, Some(Duration::from_secs(10)));
        Ok(body.collect().await?.to_bytes().len())
    }

    fn is_slow(error: &(dyn std::error::Error + 'static)) -> bool {
        RefusedBody::fault_of(error).is_some_and(|fault| fault.kind == Kind::SlowRequest)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_comes_fast_enough_may_take_long() {
        assert_eq!(sent(1_000, Duration::from_secs(1)).await.unwrap(), 1_000 << 10);
        let slow = sent(1_000, Duration::from_millis(1_100)).await.unwrap_err();
        assert!(is_slow(&*slow), "{slow:?}");
        let silent = sent(0, Duration::from_secs(11)).await.unwrap_err();
        assert!(is_slow(&*silent), "{silent:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_beyond_all_times_is_no_limit() {
        let body = StreamBody::new(futures_util::stream::pending::<
            Result<Frame<Bytes>, std::io::Error>,
        >());
        let mut body = TimedBody::new(body, Some(Duration::MAX));
        let hour = Duration::from_secs(3_600);
        assert!(tokio::time::timeout(hour, body.frame()).await.is_err());
    }
}

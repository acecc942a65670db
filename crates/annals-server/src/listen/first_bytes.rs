//! A connection whose client must begin to speak in time.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// The bytes that tell HTTP/1.1 from HTTP/2: the size of HTTP/2's preface.
const BEGINNING: usize = 24;

/// A connection that fails if its first bytes do not come in time. Later bytes have limits of their own: those of the
/// headers in HTTP/1.1, and pings in HTTP/2.
pub(super) struct FirstBytes<I> {
    io: I,
    seen: usize,
    deadline: Option<Pin<Box<Sleep>>>,
    received: metrics::Counter,
    sent: metrics::Counter,
}

impl<I> FirstBytes<I> {
    pub(super) fn within(io: I, time: Duration) -> Self {
        let bytes =
            |direction| metrics::counter!("annals_wire_bytes_total", "direction" => direction);
        let (received, sent) = (bytes("in"), bytes("out"));
        Self { io, seen: 0, deadline: Some(Box::pin(sleep(time))), received, sent }
    }
}

impl<I> FirstBytes<I> {
    fn count(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(written)) = &polled {
            self.sent.increment(*written as u64);
        }
        polled
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for FirstBytes<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let this = &mut *self;
        let polled = Pin::new(&mut this.io).poll_read(context, buffer);
        let read = buffer.filled().len() - before;
        this.received.increment(read as u64);
        let Some(deadline) = &mut this.deadline else { return polled };
        this.seen += read;
        if this.seen >= BEGINNING {
            this.deadline = None;
        } else if polled.is_pending() && deadline.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for FirstBytes<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(context, bytes);
        self.count(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.count(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

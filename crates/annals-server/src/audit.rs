//! Who appended what: the log target `annals::audit`, and the metadata `$actor` and `traceparent`.

use std::future::Future;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use tokio::sync::RwLock;
use tracing::Instrument as _;

use crate::event::WireEvent;
use crate::fault::{Fault, Kind};
use crate::guarded;
use crate::memory::Share;
use crate::reserved::ACTOR;
use crate::trace::TRACEPARENT;

/// The client behind a request.
#[derive(Debug, Clone)]
pub(crate) struct Appender {
    /// The name of the client's token or certificate; `None` if the server has neither.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) peer: SocketAddr,
    /// The name that is written into each event, as metadata `$actor`.
    pub(crate) actor: Option<Arc<str>>,
    /// The trace that is written into each event, as metadata `traceparent`, unless the client gave one with the event.
    pub(crate) trace: Option<Arc<str>>,
    /// Each append that will be logged holds it for reading. The end of the server takes it for writing.
    pub(crate) unlogged: Arc<RwLock<()>>,
    /// The memory that the request has taken. An append keeps it until it has ended.
    pub(crate) share: Arc<Share>,
}

impl Appender {
    /// Takes the memory for the append of the events, and adds the client's name and trace to them, if the server does
    /// that.
    pub(crate) fn sign(&self, mut events: Vec<WireEvent>) -> Result<Vec<WireEvent>, Fault> {
        let added = [&self.actor, &self.trace].into_iter().flatten().map(|value| value.len());
        self.share.take_append(events.len(), added.sum())?;
        if let Some(actor) = &self.actor {
            events = with_metadata(events, |_| Some((ACTOR, actor)))?;
        }
        if let Some(trace) = &self.trace {
            let absent = |event: &WireEvent| !event.has_metadata(TRACEPARENT);
            events = with_metadata(events, |event| absent(event).then_some((TRACEPARENT, trace)))?;
        }
        Ok(events)
    }

    /// Runs an append, and logs what it added, if clients have names. Both happen although the caller drops the future:
    /// the server drops a request whose client is gone, but its batch may be committed already. `added` returns the
    /// offsets that the append added.
    pub(crate) async fn logged<T: Send + 'static>(
        &self,
        append: impl Future<Output = Result<T, Fault>> + Send + 'static,
        added: impl FnOnce(&T) -> Option<Range<u64>> + Send + 'static,
    ) -> Result<T, Fault> {
        if self.name.is_none() {
            return append.await;
        }
        let unlogged = Arc::clone(&self.unlogged).read_owned().await;
        let appender = self.clone();
        let logging = async move {
            let done = append.await;
            if let Some(offsets) = done.as_ref().ok().and_then(added) {
                appender.log(&offsets);
            }
            drop(unlogged);
            done
        };
        let done = tokio::spawn(logging.in_current_span()).await;
        done.unwrap_or_else(|_| Err(guarded::panicked()))
    }

    /// Logs an append, if clients have names.
    fn log(&self, offsets: &Range<u64>) {
        let Some(name) = self.name.as_deref().filter(|_| !offsets.is_empty()) else { return };
        tracing::info!(
            target: "annals::audit",
            name,
            first = offsets.start,
            last = offsets.end - 1,
            peer = %self.peer,
            "appended"
        );
    }
}

/// Adds an entry to the metadata of the events for which `entry` returns one.
fn with_metadata<'v>(
    events: Vec<WireEvent>,
    entry: impl Fn(&WireEvent) -> Option<(&'static str, &'v Arc<str>)>,
) -> Result<Vec<WireEvent>, Fault> {
    let signed = events.into_iter().map(|event| match entry(&event) {
        Some((name, value)) => event.with_metadata(name, value),
        None => Ok(event),
    });
    signed
        .collect::<Result<_, _>>()
        .map_err(|problem| Fault::new(Kind::InvalidEvent, problem.to_string()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::Ipv4Addr;

    use futures_util::FutureExt as _;
    use parking_lot::Mutex;

    use super::*;
    use crate::memory::Budget;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn an_append_is_logged_although_its_client_is_gone() {
        let (log, unlogged) = (Log::default(), Arc::new(RwLock::new(())));
        let budget = Arc::new(Budget::new(1 << 20));
        let is_taken = || Share::new(&budget).take(200 << 10).is_err();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        let _log = tracing::subscriber::set_default(subscriber);
        let appender = Appender {
            name: Some("billing".into()),
            peer: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
            actor: None,
            trace: None,
            unlogged: Arc::clone(&unlogged),
            share: Arc::new(Share::new(&budget)),
        };
        appender.share.take(800 << 10).unwrap();
        let (commit, committed) = tokio::sync::oneshot::channel();
        let append = async { Ok::<Range<u64>, Fault>(committed.await.unwrap()) };
        let mut request = Box::pin(appender.logged(append, |added| Some(added.clone())));
        assert!((&mut request).now_or_never().is_none());
        drop(request);
        drop(appender);
        assert!(is_taken(), "the append has its memory until it has ended");
        commit.send(3..5).unwrap();
        // As the end of the server does.
        let _all = unlogged.write().await;
        assert!(!is_taken());
        let text = String::from_utf8(log.0.lock().clone()).unwrap();
        assert!(text.contains("first") && text.contains("billing"), "{text:?}");
    }
}

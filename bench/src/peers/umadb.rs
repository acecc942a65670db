//! UmaDB's engine without its server: the same writer thread that the server has, which commits together what waits
//! for it, and its storage options by default.
//!
//! An append goes through that thread's channel and waits for the answer, as the server's handler does.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use annals::RawEvent;
use tokio::sync::{mpsc, oneshot, watch};
use umadb_core::db::UmaDb;
use umadb_core::mvcc::{Mvcc, StorageOptions};
use umadb_core::writer_thread_blocking::writer_thread_blocking;
use umadb_core::writer_thread_request::WriterThreadRequest;
use umadb_dcb::{DcbEvent, DcbEventStoreSync, DcbQuery, DcbQueryItem};

use super::{Candidate, Peer};

pub const UMADB: Candidate = Candidate::new("UmaDB's engine", open);

/// Events that the writer thread commits together at most, and requests that wait for it.
const TOGETHER: usize = 2_000;
/// Events of one read: it collects its answer.
const PAGE: u32 = 1_000;

struct Uma {
    db: UmaDb,
    requests: mpsc::Sender<WriterThreadRequest>,
    writer: Option<JoinHandle<()>>,
}

fn open(path: &Path) -> Box<dyn Peer> {
    let options = StorageOptions::default().db_path(path);
    let mvcc = Arc::new(Mvcc::new(false, options).expect("the database opens"));
    let (requests, receiver) = mpsc::channel(TOGETHER);
    let (head, _) = watch::channel(None);
    let shared = Arc::clone(&mvcc);
    let writer =
        std::thread::spawn(move || writer_thread_blocking(shared, receiver, head, TOGETHER));
    Box::new(Uma { db: UmaDb::from_arc(mvcc), requests, writer: Some(writer) })
}

impl Drop for Uma {
    fn drop(&mut self) {
        // If the thread has ended, so has what it would be told.
        let _ = self.requests.blocking_send(WriterThreadRequest::Shutdown);
        if let Some(writer) = self.writer.take() {
            writer.join().expect("the writer did not panic");
        }
    }
}

impl Uma {
    fn show(
        &self,
        query: Option<DcbQuery>,
        start: Option<u64>,
        limit: Option<u32>,
        see: &mut dyn FnMut(&[u8]),
    ) -> (u64, Option<u64>) {
        let (mut count, mut last) = (0, None);
        for event in self.db.read(query, start, false, limit).expect("reads") {
            let event = event.expect("reads");
            see(&event.event.data);
            last = Some(event.position);
            count += 1;
        }
        (count, last)
    }
}

impl Peer for Uma {
    fn append(&self, events: Vec<RawEvent>) {
        let event = |event: &RawEvent| {
            DcbEvent::new()
                .event_type(event.event_type())
                .tags(event.tags())
                .data(event.data_bytes())
        };
        let (response_tx, response) = oneshot::channel();
        let request = WriterThreadRequest::Append {
            events: events.iter().map(event).collect(),
            condition: None,
            tracking_info: None,
            response_tx,
            cancel: None,
        };
        assert!(self.requests.blocking_send(request).is_ok(), "the writer runs");
        response.blocking_recv().expect("it answers").expect("appends");
    }

    fn scan(&self, see: &mut dyn FnMut(&[u8])) -> Option<u64> {
        let (mut count, mut start) = (0, None);
        loop {
            let (seen, last) = self.show(None, start, Some(PAGE), see);
            count += seen;
            match last {
                Some(last) => start = Some(last + 1),
                None => return Some(count),
            }
        }
    }

    fn get(&self, offset: u64, see: &mut dyn FnMut(&[u8])) {
        // Its positions begin with 1.
        let (seen, _) = self.show(None, Some(offset + 1), Some(1), see);
        assert_eq!(seen, 1, "is there");
    }

    fn tag(&self, tag: &str, see: &mut dyn FnMut(&[u8])) -> u64 {
        let query = DcbQuery::new().item(DcbQueryItem::new().tags([tag]));
        self.show(Some(query), None, None, see).0
    }
}

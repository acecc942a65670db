//! `annals tail`: the last events, then each new one, until it is told to end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use annals::Query;

use crate::args::{Format, From, Tail};
use crate::commands::EventPrinter;
use crate::failure::Failure;
use crate::store::{self, Store};

/// Events shown at first, unless it is told where to begin.
const LAST_EVENTS: u64 = 10;

/// Shows events until Ctrl-C.
pub(crate) fn run(args: &Tail, format: Option<Format>) -> Result<(), Failure> {
    store::reading(&args.store, |store| follow(store, args, format))
}

fn follow(store: &Store, args: &Tail, format: Option<Format>) -> Result<(), Failure> {
    let stop = Stop::on_signal(store)?;
    let mut printer = EventPrinter::new(format);
    let query = args.filter.query();
    let head = store.len();
    let from = match args.from {
        Some(From::Offset(offset)) => offset,
        Some(From::End) => head,
        None => {
            show_last(store, &query, head, &mut printer)?;
            head
        }
    };
    let mut cursor = store.subscription(query, from);
    // Relaxed: the flag carries nothing else.
    while !stop.told.load(Ordering::Relaxed) {
        let mut event = cursor.try_next();
        if event.is_none() {
            printer.flush()?;
            event = cursor.next();
        }
        let Some(event) = event else { break };
        printer.print_read(event)?;
    }
    printer.flush()
}

fn show_last(
    store: &Store,
    query: &Query,
    head: u64,
    printer: &mut EventPrinter,
) -> Result<(), Failure> {
    let last: Result<Vec<_>, _> = store.query(query).to(head).rev().limit(LAST_EVENTS).collect();
    last?.iter().rev().try_for_each(|event| printer.print(event))
}

/// SIGINT and SIGTERM end the store's cursors. A second one ends the process at once: the first cannot when whoever
/// reads the results has stopped reading them.
struct Stop {
    told: Arc<AtomicBool>,
    /// The store, for the thread that hears signals, which outlives everything: it must not keep the store open.
    store: Arc<Mutex<Option<Store>>>,
}

impl Stop {
    fn on_signal(store: &Store) -> Result<Self, Failure> {
        let told = Arc::new(AtomicBool::new(false));
        let store = Arc::new(Mutex::new(Some(store.clone())));
        let (flag, kept) = (Arc::clone(&told), Arc::clone(&store));
        let handle = move || {
            // Relaxed: the flag carries nothing else.
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(0);
            }
            if let Some(store) = &*kept.lock().unwrap_or_else(PoisonError::into_inner) {
                // It is read only: there is nothing that could fail to be synced.
                let _ = store.close();
            }
        };
        ctrlc::set_handler(handle).map_err(Failure::Signals)?;
        Ok(Self { told, store })
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

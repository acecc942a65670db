//! `annals tail` prints the last events, then each new event, until a signal ends it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use annals::Query;

use crate::args::Format;
use crate::args::read::{From, Tail};
use crate::commands::EventPrinter;
use crate::failure::Failure;
use crate::store::{self, Store};

/// The number of events that are printed first, without --from.
const LAST_EVENTS: usize = 10;

/// Prints events until Ctrl-C.
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
            print_last(store, &query, head, &mut printer)?;
            head
        }
    };
    let mut subscription = store.subscription(query, from);
    // Relaxed: pairs with the swap in the signal handler; the flag publishes no other data.
    while !stop.requested.load(Ordering::Relaxed) {
        let mut event = subscription.try_next();
        if event.is_none() {
            printer.flush()?;
            event = subscription.next();
        }
        let Some(event) = event else { break };
        printer.print_read(event)?;
    }
    printer.flush()
}

fn print_last(
    store: &Store,
    query: &Query,
    head: u64,
    printer: &mut EventPrinter,
) -> Result<(), Failure> {
    let last: Result<Vec<_>, _> =
        store.query(query).range(..head).rev().take(LAST_EVENTS).collect();
    last?.iter().rev().try_for_each(|event| printer.print(event))
}

/// A handler of SIGINT and SIGTERM that ends the store's subscriptions. A second signal ends the process at once,
/// because the first has no effect while the process is blocked on a full pipe that nobody reads.
struct Stop {
    requested: Arc<AtomicBool>,
    /// The store, for the thread that handles signals. That thread runs until the process ends, so the store is removed
    /// here when this value is dropped.
    store: Arc<Mutex<Option<Store>>>,
}

impl Stop {
    fn on_signal(store: &Store) -> Result<Self, Failure> {
        let requested = Arc::new(AtomicBool::new(false));
        let store = Arc::new(Mutex::new(Some(store.clone())));
        let (flag, shared) = (Arc::clone(&requested), Arc::clone(&store));
        let handle = move || {
            // Relaxed: pairs with the load in `follow`; the flag publishes no other data.
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(0);
            }
            if let Some(store) = &*shared.lock().unwrap_or_else(PoisonError::into_inner) {
                // An error is ignored: the store is read-only, so there is nothing to sync.
                let _ = store.close();
            }
        };
        ctrlc::set_handler(handle).map_err(Failure::Signals)?;
        Ok(Self { requested, store })
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

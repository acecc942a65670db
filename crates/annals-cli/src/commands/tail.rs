//! `annals tail` prints the last events, then each new event, until a signal or a time ends it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::args::Format;
use crate::args::read::{From, Tail};
use crate::failure::Failure;
use crate::printer::EventPrinter;
use crate::selection::selected::Selection;
use crate::signals;
use crate::store::{self, Store};

/// The number of events that are printed first, without --from, --limit and --since.
const LAST_EVENTS: u64 = 10;

/// Prints events until Ctrl-C.
pub(crate) fn run(args: &Tail, format: Option<Format>) -> Result<(), Failure> {
    store::reading(&args.store, |store| follow(store, args, format))
}

fn follow(store: &Store, args: &Tail, format: Option<Format>) -> Result<(), Failure> {
    let stop = Stop::on_signal(store)?;
    let mut printer = EventPrinter::new(format, args.view);
    let selection = Selection::of(&args.filter);
    let head = store.len();
    let from = match args.from {
        Some(From::Offset(offset)) => selection.start(store, offset)?,
        Some(From::End) => head,
        None if args.filter.since.is_some() => selection.start(store, 0)?,
        None => {
            print_last(store, &selection, args.limit.unwrap_or(LAST_EVENTS), head, &mut printer)?;
            head
        }
    };
    let until_ms = selection.until_ms().unwrap_or(u64::MAX);
    if until_ms != u64::MAX {
        stop.close_at(until_ms);
    }
    let mut subscription = store.subscription(selection.query().clone(), from);
    // Relaxed: pairs with the store in the signal handler; the flag publishes no other data.
    while !stop.requested.load(Ordering::Relaxed) {
        let mut event = subscription.try_next();
        if event.is_none() {
            printer.flush()?;
            event = subscription.next();
        }
        let Some(event) = event else { break };
        if event.as_ref().is_ok_and(|event| event.time_ms >= until_ms) {
            break;
        }
        if selection.keeps(&event) {
            printer.print_read(event)?;
        }
    }
    printer.flush()
}

fn print_last(
    store: &Store,
    selection: &Selection,
    count: u64,
    head: u64,
    printer: &mut EventPrinter,
) -> Result<(), Failure> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let range = selection.range(store, 0..head)?;
    let last: Result<Vec<_>, _> = selection.events(store, range, true).take(count).collect();
    last?.iter().rev().try_for_each(|event| printer.print(event))
}

/// Ends the store's subscriptions at SIGINT and SIGTERM, or at a time.
struct Stop {
    requested: Arc<AtomicBool>,
    /// The store, for the threads that handle signals and times. They run until the process ends, so the store is
    /// removed here when this value is dropped.
    store: Arc<Mutex<Option<Store>>>,
}

impl Stop {
    fn on_signal(store: &Store) -> Result<Self, Failure> {
        let requested = Arc::new(AtomicBool::new(false));
        let store = Arc::new(Mutex::new(Some(store.clone())));
        let (flag, shared) = (Arc::clone(&requested), Arc::clone(&store));
        signals::on_signal(0, move || {
            // Relaxed: pairs with the load in `follow`; the flag publishes no other data.
            flag.store(true, Ordering::Relaxed);
            close(&shared);
        })?;
        Ok(Self { requested, store })
    }

    /// Closes the store at this time. The subscription then ends after the last event that the store has.
    fn close_at(&self, time_ms: u64) {
        let shared = Arc::clone(&self.store);
        thread::spawn(move || {
            let time = UNIX_EPOCH.checked_add(Duration::from_millis(time_ms));
            // The clock may be set meanwhile, so the rest is looked at again each second.
            while let Some(left) = time.and_then(|time| time.duration_since(SystemTime::now()).ok())
            {
                thread::sleep(left.min(Duration::from_secs(1)));
            }
            close(&shared);
        });
    }
}

fn close(store: &Mutex<Option<Store>>) {
    if let Some(store) = &*store.lock().unwrap_or_else(PoisonError::into_inner) {
        // An error is ignored: the store is read-only, so nothing has to be synced.
        let _ = store.close();
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

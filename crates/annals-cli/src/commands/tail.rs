//! `annals tail`: the last events, then each new one, until it is told to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    let stop = stop_on_signal(store)?;
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
    while !stop.load(Ordering::Relaxed) {
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

/// Has SIGINT and SIGTERM end the store's cursors. A second one ends the process at once: the first cannot when whoever
/// reads the results has stopped reading them.
fn stop_on_signal(store: &Store) -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let (flag, store) = (Arc::clone(&stop), store.clone());
    let handle = move || {
        // Relaxed: the flag carries nothing else.
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(0);
        }
        // It is read only: there is nothing that could fail to be synced.
        let _ = store.close();
    };
    ctrlc::set_handler(handle).map_err(Failure::Signals)?;
    Ok(stop)
}

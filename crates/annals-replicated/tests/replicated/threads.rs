//! A user's code that runs on the threads of a store, and appends there.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, SystemTime};

use annals::{AppendError, Backend as _, Batch, Clock, EventStore};
use annals_replicated::sim::Faults;

use crate::tools::{Store, event, log, numbers, open, options};

/// An append that takes longer waits for itself, on any machine.
const HANGS: Duration = Duration::from_secs(120);

type Results = Sender<Result<u64, AppendError>>;

/// Appends two events when it is called, and waits for the results: one by a call, and one by a future.
struct Appends {
    store: Store,
    results: Results,
}

impl Wake for Appends {
    fn wake(self: Arc<Self>) {
        let _ = self.results.send(self.store.append(event(1)));
        let mut append = self.store.backend().submit(Batch::new(vec![event(2)]));
        let polled = append.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(appended) = polled else { panic!("no thread would wake the waker") };
        let _ = self.results.send(appended.map(|appended| appended.offsets.start));
    }
}

#[test]
fn a_waker_may_append_and_wait() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = log();
    let store = open(&log, directory.path());
    // The engine is away until the task waits.
    log.set_faults(Faults { not_sent: 100, ..Faults::none() });
    let mut append = store.backend().submit(Batch::new(vec![event(0)]));
    let (results, woken) = channel();
    let waker = Waker::from(Arc::new(Appends { store: store.clone(), results }));
    let mut context = Context::from_waker(&waker);
    assert!(append.as_mut().poll(&mut context).is_pending());
    log.set_faults(Faults::none());
    assert_eq!(woken.recv_timeout(HANGS).expect("an append that returns").expect("an offset"), 1);
    assert_eq!(woken.recv_timeout(HANGS).expect("a future that is ready").expect("an offset"), 2);
    let Poll::Ready(appended) = append.as_mut().poll(&mut context) else { panic!("it was woken") };
    assert_eq!(appended.expect("an append").offsets, 0..1);
    assert_eq!(numbers(&store), [0, 1, 2]);
}

#[test]
fn an_append_on_the_thread_that_drives_the_log_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let (results, refused) = channel();
    let armed: Arc<Mutex<Option<(Store, Results)>>> = Arc::default();
    let clock = {
        let armed = Arc::clone(&armed);
        Clock::new(move || {
            if std::thread::current().name() == Some("annals-record") {
                let taken = armed.lock().expect("no panic").take();
                if let Some((store, results)) = taken {
                    let _ = results.send(store.append(event(1)));
                }
            }
            SystemTime::now()
        })
    };
    let replica = options().clock(clock).open(log(), directory.path()).expect("a store");
    let store = EventStore::on(replica);
    *armed.lock().expect("no panic") = Some((store.clone(), results));
    assert_eq!(store.append(event(0)).expect("an offset"), 0);
    let refused = refused.recv_timeout(HANGS).expect("an append that returns");
    let Err(AppendError::Unavailable { cause }) = refused else { panic!("{refused:?}") };
    assert!(cause.contains("on another thread"), "{cause}");
    assert_eq!(numbers(&store), [0]);
}

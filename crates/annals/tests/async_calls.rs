//! Owned streams, asynchronous decisions and waits: what a task uses.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::task::{Context, Waker};
use std::thread;

use annals::{
    DecideError, Event, EventStore, EventStream, Journal, MAX_QUEUED_BYTES, Memory, Projection,
    Query, RawEvent, Recorded, Subscription,
};
use futures_executor::block_on;
use futures_util::{Stream, StreamExt};

/// An event that cannot be cloned.
#[derive(Event, Debug, PartialEq)]
enum Note {
    Noted { text: String },
}

struct Count;

impl Projection for Count {
    type Event = Note;
    type State = u64;

    fn initial(&self) -> u64 {
        0
    }

    fn query(&self) -> Query {
        Query::all()
    }

    fn apply(&self, count: &mut u64, event: &Recorded<Note>) {
        let Note::Noted { text } = &event.event;
        assert!(text != "panic", "as planned");
        *count += 1;
    }
}

fn noted(text: &str) -> Note {
    Note::Noted { text: text.into() }
}

/// A value that a task may have: what `tokio::spawn` asks for.
fn for_a_task<T: Send + 'static>(value: T) -> T {
    value
}

#[test]
fn what_a_task_uses_is_send_and_static() {
    const fn send<T: Send + 'static>() {}
    send::<Subscription<'static, Note, Memory<Note>>>();
    send::<EventStream<'static, Note, Journal<Note>>>();
    send::<EventStream<'static, RawEvent, Box<dyn annals::Backend<RawEvent>>>>();
    let store = EventStore::<Note>::in_memory();
    let deciding = store.clone();
    let task = for_a_task(async move {
        let one = |count: &u64| Ok::<_, ()>(if *count == 0 { vec![noted("a")] } else { vec![] });
        deciding.decide_async(&Count, one).await.unwrap();
        let mut count = deciding.reconstruct(Count);
        count.decide_async(one).await.unwrap()
    });
    assert_eq!(block_on(task).offsets, 1..1);
    let live = Arc::new(store.reconstruct(Count).live().unwrap());
    let task = for_a_task(async move { live.wait_for_async(0).await });
    block_on(task).unwrap();
}

#[test]
fn an_owned_stream_goes_to_another_thread_and_its_events_outlive_it() {
    fn body(store: &EventStore<Note>) -> impl Stream<Item = String> + Send + use<> {
        store
            .clone()
            .into_stream(Query::all(), 1)
            .map(|event| format!("{:?}", event.unwrap().event))
    }
    let store = EventStore::in_memory();
    store.append_batch(["a", "b"].map(noted)).unwrap();
    let body = body(&store);
    let reader = thread::spawn(|| block_on(body.collect::<Vec<_>>()));
    store.append(noted("c")).unwrap();
    let events: Vec<_> = store.clone().into_subscription(Query::all(), 0).take(3).collect();
    store.close().unwrap();
    drop(store);
    assert_eq!(reader.join().unwrap(), ["b", "c"].map(|text| format!("{:?}", noted(text))));
    let texts = events.into_iter().map(|event| event.unwrap());
    assert!(texts.zip(["a", "b", "c"]).all(|(event, text)| event.event == noted(text)));
}

#[test]
fn an_async_decision_is_made_again_after_a_conflict() {
    let store = EventStore::<Note>::in_memory();
    let mut calls = 0;
    let decided = block_on(store.decide_async(&Count, |count| {
        calls += 1;
        if calls == 1 {
            store.append(noted("meanwhile")).unwrap();
        }
        Ok::<_, ()>(vec![noted(&count.to_string())])
    }));
    let decided = decided.unwrap();
    assert_eq!((decided.offsets, decided.retries), (1..2, 1));
    assert_eq!(store.get(1).unwrap().unwrap().event, noted("1"));
    let rejected = block_on(store.decide_async(&Count, |count| Err::<Vec<Note>, _>(*count)));
    assert!(matches!(rejected, Err(DecideError::Rejected(2))));
    let contended = block_on(store.decide_async(&Count, |_| {
        store.append(noted("always")).unwrap();
        Ok::<_, ()>(vec![noted("never")])
    }));
    assert!(matches!(contended, Err(DecideError::Contended { retries: 100, .. })));
}

#[test]
fn waiting_for_an_event_ends_with_it_with_the_log_or_with_a_failure() {
    let store = EventStore::<Note>::in_memory();
    let live = store.reconstruct(Count).live().unwrap();
    let mut waiting = pin!(live.wait_for_async(0));
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::as_mut(&mut waiting).poll(&mut context).is_pending());
    let waiting = thread::scope(|scope| {
        let waiting = scope.spawn(|| block_on(waiting));
        store.append(noted("a")).unwrap();
        waiting.join().unwrap()
    });
    waiting.unwrap();
    // The log closes without the event.
    let closed = thread::scope(|scope| {
        let waiting = scope.spawn(|| block_on(live.wait_for_async(1)));
        store.close().unwrap();
        waiting.join().unwrap()
    });
    assert!(matches!(closed, Err(annals::LiveError::Closed)));

    let store = EventStore::<Note>::in_memory();
    let live = store.reconstruct(Count).live().unwrap();
    let failed = thread::scope(|scope| {
        let waiting = scope.spawn(|| block_on(live.wait_for_async(0)));
        store.append(noted("panic")).unwrap();
        waiting.join().unwrap()
    });
    assert!(matches!(failed, Err(annals::LiveError::Panicked)));
}

/// A producer that awaits nothing queues no more than this. The futures beyond it are dropped, and append nothing.
#[test]
fn appends_that_are_not_awaited_queue_at_most_64_mib() {
    const EVENT_BYTES: usize = 1 << 20;
    let store = EventStore::in_memory();
    let (entered, is_in) = channel();
    let (go_on, may_go_on) = channel();
    store.subscribe(move |event: &Recorded<RawEvent>| {
        if event.offset == 0 {
            entered.send(()).unwrap();
            may_go_on.recv().unwrap();
        }
    });
    let noted = || RawEvent::builder("noted");
    thread::scope(|scope| {
        scope.spawn(|| store.append(noted().build().unwrap()).unwrap());
        is_in.recv().unwrap();
        for _ in 0..100 {
            drop(store.append_async(noted().data(vec![b'0'; EVENT_BYTES]).build().unwrap()));
        }
        go_on.send(()).unwrap();
    });
    // Closing appends all that is queued.
    store.close().unwrap();
    let queued = usize::try_from(store.len() - 1).unwrap();
    // Each event also has a type.
    assert_eq!(queued, MAX_QUEUED_BYTES / EVENT_BYTES - 1);
}

//! The service as its clients see it: hundreds of them, while the service is killed again and again.

mod server;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use annals::{EventStore, RawEvent};
use futures_util::future::join_all;
use http_body_util::BodyExt as _;
use hyper::StatusCode;
use serde_json::json;
use tokio::sync::watch;

use server::{Answer, Client, Server};

const CLIENTS: usize = 300;
const REQUESTS_PER_CLIENT: usize = 10;
const KILLS: usize = 20;

/// Sends a request until it is answered, to whatever process serves at the time. Every attempt has the same name.
async fn insist(
    client: &Client,
    address: &watch::Receiver<String>,
    seat: &str,
    request: &str,
) -> Answer {
    loop {
        let at = address.borrow().clone();
        let order = json!({ "guest": request }).to_string();
        let path = format!("/shows/hamlet/seats/{seat}");
        if let Ok(answer) = client.post(&at, &path, request, order).await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Follows the events from the first one on, and connects again behind the last one when the connection breaks. Stops
/// when `wanted` events are there, and returns their offsets.
async fn follow(client: Client, address: watch::Receiver<String>, seen: watch::Sender<Vec<u64>>) {
    loop {
        let at = address.borrow().clone();
        let last = seen.borrow().last().copied();
        let Ok(mut events) = client.events(&at, last).await else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        // A line can come in two pieces.
        let mut text = Vec::new();
        while let Some(Ok(frame)) = events.frame().await {
            text.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
            while let Some(end) = text.windows(2).position(|end| end == b"\n\n") {
                let event: Vec<u8> = text.drain(..end + 2).collect();
                let event = String::from_utf8(event).expect("UTF-8");
                // A keep-alive is a comment without an id.
                if let Some(id) = event.lines().find_map(|line| line.strip_prefix("id: ")) {
                    seen.send_modify(|seen| seen.push(id.parse().expect("an offset")));
                }
            }
        }
    }
}

/// Returns the offset of each request that booked a seat. No seat may be sold twice.
fn bookings(answers: impl Iterator<Item = (String, String, Answer)>) -> HashMap<String, u64> {
    let mut sold = HashSet::new();
    let mut offsets = HashMap::new();
    for (seat, request, answer) in answers {
        match answer.status {
            StatusCode::CREATED | StatusCode::OK => {
                offsets.insert(request, answer.body["offset"].as_u64().expect("an offset"));
                assert!(sold.insert(seat.clone()), "seat {seat} was sold twice");
            }
            StatusCode::CONFLICT => {}
            status => panic!("{request}: {status}: {}", answer.body),
        }
    }
    offsets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_service_is_killed_again_and_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = directory.path().join("bookings.store");
    let mut server = Server::start(&store);
    let (published, address) = watch::channel(server.address.clone());
    let client = Client::new();
    let answered = Arc::new(AtomicUsize::new(0));
    let (moved, mut progress) = watch::channel(0_usize);

    let (sender, mut seen) = watch::channel(Vec::new());
    let follower = tokio::spawn(follow(client.clone(), address.clone(), sender));

    // Every seat is wanted by two requests of different clients.
    let work = (0..CLIENTS).map(|number| {
        let (client, address) = (client.clone(), address.clone());
        let (answered, moved) = (Arc::clone(&answered), moved.clone());
        tokio::spawn(async move {
            let mut answers = Vec::new();
            for turn in 0..REQUESTS_PER_CLIENT {
                let seat = ((number * REQUESTS_PER_CLIENT + turn)
                    % (CLIENTS * REQUESTS_PER_CLIENT / 2))
                    .to_string();
                let request = format!("{number}-{turn}");
                let answer = insist(&client, &address, &seat, &request).await;
                // Relaxed: a count; the channel that follows tells it to the killer.
                let count = answered.fetch_add(1, Ordering::Relaxed) + 1;
                moved.send_modify(|most| *most = count.max(*most));
                answers.push((seat, request, answer));
            }
            answers
        })
    });
    let work: Vec<_> = work.collect();

    for kill in 1..=KILLS {
        let enough = kill * CLIENTS * REQUESTS_PER_CLIENT / (KILLS + 1);
        progress.wait_for(|answered| *answered >= enough).await.expect("clients work");
        server.kill();
        server = Server::start(&store);
        published.send(server.address.clone()).expect("clients listen");
    }

    let offsets = bookings(
        join_all(work).await.into_iter().flat_map(|answers| answers.expect("no client panicked")),
    );
    assert_eq!(
        offsets.len(),
        CLIENTS * REQUESTS_PER_CLIENT / 2,
        "each seat was sold to one of two"
    );

    let all: Vec<u64> = (0..offsets.len() as u64).collect();
    seen.wait_for(|seen| seen.len() >= all.len()).await.expect("the follower follows");
    follower.abort();
    assert_eq!(*seen.borrow(), all, "the follower saw no gap and no repeat");

    assert!(server.stop().await.success(), "SIGTERM ends the service in good order");
    let log = EventStore::<RawEvent>::open(&store).expect("the log is whole");
    assert_eq!(log.len(), all.len() as u64, "no request was recorded twice");
    for (request, offset) in offsets {
        let event = log.get(offset).expect("it can be read").expect("it is there");
        assert_eq!(event.event.id(), Some(&*format!("request:{request}")));
    }
}

#[tokio::test]
async fn a_client_books_reads_its_own_booking_and_gives_the_seat_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start(&directory.path().join("bookings.store"));
    let (client, at) = (Client::new(), server.address.as_str());
    let order = || json!({ "guest": "ada" }).to_string();

    let sold = client.post(at, "/shows/hamlet/seats/12A", "1", order()).await.expect("answered");
    assert_eq!((sold.status, &sold.body), (StatusCode::CREATED, &json!({ "offset": 0 })));
    let again = client.post(at, "/shows/hamlet/seats/12A", "1", order()).await.expect("answered");
    assert_eq!((again.status, &again.body), (StatusCode::OK, &json!({ "offset": 0 })));
    let other = client.post(at, "/shows/hamlet/seats/12A", "2", order()).await.expect("answered");
    assert_eq!(
        (other.status, &other.body),
        (StatusCode::CONFLICT, &json!({ "error": "the seat is sold" }))
    );

    let show = client.get(at, "/shows/hamlet?at=0").await.expect("answered");
    assert_eq!(show.body, json!({ "show": "hamlet", "seats": { "hamlet/12A": "ada" }, "head": 1 }));
    let freed = client.delete(at, "/shows/hamlet/seats/12A", "3").await.expect("answered");
    assert_eq!((freed.status, &freed.body), (StatusCode::CREATED, &json!({ "offset": 1 })));
    let again = client.delete(at, "/shows/hamlet/seats/12A", "3").await.expect("answered");
    assert_eq!((again.status, &again.body), (StatusCode::OK, &json!({ "offset": 1 })));
    let show = client.get(at, "/shows/hamlet?at=1").await.expect("answered");
    assert_eq!(show.body["seats"], json!({}));
}

#[tokio::test]
async fn the_service_reports_its_health_and_its_metrics() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start(&directory.path().join("bookings.store"));
    let (client, at) = (Client::new(), server.address.as_str());
    let order = json!({ "guest": "ada" }).to_string();
    client.post(at, "/shows/hamlet/seats/12A", "1", order).await.expect("answered");

    let health = client.get(at, "/health").await.expect("answered");
    assert_eq!(health.status, StatusCode::OK);
    assert_eq!(health.body, json!({ "log": "open", "read_model": "up to date" }));
    let metrics = client.get(at, "/metrics").await.expect("answered");
    let text = metrics.body.as_str().expect("text");
    let sold = "annals_events_total{backend=\"journal\"} 1";
    assert!(text.lines().any(|line| line == sold), "{text}");
}

#[tokio::test]
async fn a_wrong_request_is_refused_with_what_is_right() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start(&directory.path().join("bookings.store"));
    let (client, at) = (Client::new(), server.address.as_str());
    let order = || json!({ "guest": "ada" }).to_string();

    let nameless = client.post(at, "/shows/hamlet/seats/12A", "", order()).await.expect("answered");
    assert_eq!(nameless.status, StatusCode::BAD_REQUEST);
    assert!(
        nameless.body["error"].as_str().expect("a text").contains("idempotency-key is missing")
    );
    let long = format!("/shows/hamlet/seats/{}", "x".repeat(300));
    let long = client.post(at, &long, "1", order()).await.expect("answered");
    assert_eq!(long.status, StatusCode::BAD_REQUEST, "{}", long.body);
    let control = client.post(at, "/shows/a%00b/seats/1", "2", order()).await.expect("answered");
    assert_eq!(control.status, StatusCode::BAD_REQUEST, "{}", control.body);
    let id = client.get_after(at, "/events", "not an offset").await.expect("answered");
    assert_eq!(id.status, StatusCode::BAD_REQUEST);
    let empty = client.get(at, "/shows/hamlet").await.expect("answered");
    assert_eq!(empty.body["head"], json!(0), "nothing was recorded");
}

#[tokio::test]
async fn sigterm_ends_the_service_although_a_follower_listens() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start(&directory.path().join("bookings.store"));
    let client = Client::new();
    let mut events = client.events(&server.address, None).await.expect("answered");
    assert!(server.stop().await.success());
    assert!(!matches!(events.frame().await, Some(Ok(_))), "the stream has ended");
}

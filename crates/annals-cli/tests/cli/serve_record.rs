//! `annals serve` on a record: three servers with three replicas are a cluster with one log.

use serde_json::Value;

use crate::harness::{TestDir, annals};
use crate::serve::Serving;
use crate::server::Server;

/// Returns the body of a response, as JSON.
fn json(response: &str) -> Value {
    serde_json::from_str(response.split("\r\n\r\n").nth(1).unwrap()).unwrap()
}

#[test]
fn three_servers_with_three_replicas_have_one_log() {
    let Some(server) = Server::start(&[]) else { return };
    let dir = TestDir::new();
    let url = server.url("shop");
    let replicas = ["one", "two", "three"].map(|name| dir.arg(name));
    let missing = annals(["serve", &url, "--replica", &replicas[0]], "");
    missing.fails(&["has no record", &format!("annals record create '{url}'")]);
    annals(["record", "create", &url], "");
    let servers: Vec<_> =
        replicas.iter().map(|replica| Serving::start(&[&url, "--replica", replica])).collect();
    // The second server on a replica is refused.
    let args = ["serve", &url, "--replica", &replicas[0], "--listen", "127.0.0.1:0", "--wait=1ms"];
    annals(args, "").fails(&["is open for writing in process", "a replica of its own"]);

    // Each seat is sold once, whichever server the clients ask.
    let sell = |server: &Serving, seat: u32| {
        let body = format!(
            r#"{{"events":[{{"type":"sold","tags":["seat:{seat}"]}}],
                "conditions":[{{"fail_if":[{{"tags":["seat:{seat}"]}}]}}]}}"#
        );
        server.send("POST", "/v1/events", &body)
    };
    let sold = std::thread::scope(|scope| {
        let sellers = servers.iter().map(|server| {
            scope.spawn(move || {
                let responses = (0..20).map(|seat| sell(server, seat));
                let mut sold = 0;
                for response in responses {
                    let is_sold = response.starts_with("HTTP/1.1 200");
                    assert!(is_sold || response.starts_with("HTTP/1.1 409"), "{response}");
                    sold += u64::from(is_sold);
                }
                sold
            })
        });
        let sellers: Vec<_> = sellers.collect();
        sellers.into_iter().map(|seller| seller.join().unwrap()).sum::<u64>()
    });
    assert_eq!(sold, 20, "each seat was sold once");
    for server in &servers {
        // What another server appended comes a moment later.
        while json(&server.send("GET", "/v1/head", ""))["head"] != 20 {
            std::thread::yield_now();
        }
    }
    let logs: Vec<_> = servers
        .iter()
        .map(|server| {
            let response = server.send("GET", "/v1/events", "");
            response.split("\r\n\r\n").nth(1).unwrap().to_owned()
        })
        .collect();
    assert!(logs[0] == logs[1] && logs[1] == logs[2], "{logs:?}");
    for server in servers {
        server.signal("-TERM");
        assert_eq!(server.end().0, Some(0));
    }
    assert_eq!(
        annals(["count", &url, "--replica", &replicas[2]], "").succeeds().lines()[0]["count"],
        20
    );
}

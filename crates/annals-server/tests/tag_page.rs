//! The page of a tag: its charts, as a browser gets them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use annals_server::Server;
use common::{Served, serve};
use serde_json::json;

/// Appends events with the tag `a`: of each type, this number, one request after the other.
fn append(server: &Served, types: &[(&str, usize)]) {
    for (event_type, count) in types {
        let events = vec![json!({ "type": event_type, "tags": ["a"] }); *count];
        let appended = server.post("/v1/events", &json!({ "events": events }).to_string());
        assert_eq!(appended.status, 200, "{appended:?}");
    }
}

fn page(server: &Served) -> String {
    let page = server.get("/ui/tag?name=a");
    assert_eq!(page.status, 200, "{page:?}");
    page.text()
}

/// Returns the sum of what the bars of the chart of types say about a type, and the number of its bars.
fn bars(page: &str, event_type: &str) -> (u64, usize) {
    let (_, chart) = page.split_once("Types by time").unwrap();
    let (chart, _) = chart.split_once("</svg>").unwrap();
    let titles = chart.split("<title>").skip(1).map(|part| part.split_once("</title>").unwrap().0);
    // A title is "2026-11-29 07:00:00.000: TYPE, COUNT".
    let counts = titles.filter_map(|title| {
        let (before, count) = title.rsplit_once(", ").unwrap();
        before.ends_with(&format!(": {event_type}")).then(|| count.parse::<u64>().unwrap())
    });
    counts.fold((0, 0), |(sum, bars), count| (sum + count, bars + 1))
}

#[test]
fn the_chart_of_types_has_every_event_once() {
    let server = serve(Server::in_memory());
    append(&server, &[("sold", 7), ("<b>", 3), ("sold", 5), ("given-back", 2)]);
    let page = page(&server);
    for (event_type, count) in [("sold", 12), ("&lt;b&gt;", 3), ("given-back", 2)] {
        let (sum, bars) = bars(&page, event_type);
        assert_eq!(sum, count, "{event_type}: {page}");
        assert!(bars >= 1);
    }
    let legend = page.split_once("<ul class=\"legend\">").unwrap().1.split_once("</ul>").unwrap().0;
    assert_eq!(legend.matches("<li>").count(), 3, "{legend}");
    assert!(legend.contains("swatch c0") && legend.contains("swatch c2"), "{legend}");
}

#[test]
fn rare_types_share_a_colour() {
    let server = serve(Server::in_memory());
    let names: Vec<String> = (0..9).map(|n| format!("t{n}")).collect();
    let types: Vec<_> = names.iter().zip(1..).map(|(name, count)| (name.as_str(), count)).collect();
    append(&server, &types);
    let page = page(&server);
    // The five most frequent types have 9 to 5 events, and the other four have 4 to 1.
    assert_eq!(bars(&page, "t8").0, 9);
    assert_eq!(bars(&page, "t4").0, 5);
    assert_eq!(bars(&page, "other types").0, 10);
    assert_eq!(bars(&page, "t3"), (0, 0));
    let (_, chart) = page.split_once("Types by time").unwrap();
    assert!(chart.contains("rect class=\"c5\"") && !chart.contains("c6\""), "{chart}");
}

#[test]
fn one_type_has_no_chart_of_types() {
    let server = serve(Server::in_memory());
    append(&server, &[("sold", 7)]);
    assert!(!page(&server).contains("Types by time"));
}

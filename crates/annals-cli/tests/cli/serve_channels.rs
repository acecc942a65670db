//! `annals serve` with the feature `channels`: the page of states shows the channels of a store.

use serde_json::Value;

use crate::harness::{TestDir, annals};
use crate::serve::Serving;

#[test]
fn the_state_of_a_channel_is_on_the_page_of_states() {
    let dir = TestDir::new();
    let (store, channel) = crate::state::store(&dir);
    let id = channel.strip_prefix("channel:").unwrap_or(&channel);
    let serving = Serving::start(&[&store]);
    let state = |at: &str| {
        let response =
            serving.send("GET", &format!("/ui/state/json?view=channel&of={id}&{at}"), "");
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
        let body = response.split("\r\n\r\n").nth(1).unwrap();
        serde_json::from_str::<Value>(body).unwrap()
    };
    // The same as the command prints, which folds the events in another process.
    for (at, args) in [("", &[][..]), ("at=3", &["--at", "3"]), ("at=0", &["--at", "0"])] {
        let command = ["state", &store, "--channel", &channel];
        let printed = annals(command.into_iter().chain(args.iter().copied()), "").succeeds();
        assert_eq!(state(at), printed.lines()[0], "{at}");
    }
    let page = serving.send("GET", &format!("/ui/state?view=channel&of={id}"), "");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("turn_num"), "{page}");
    let none = serving.send("GET", "/ui/state/json?view=channel&of=none", "");
    assert!(none.starts_with("HTTP/1.1 4"), "{none}");
    serving.signal("-TERM");
    assert_eq!(serving.end().0, Some(0));
}

//! The example says the same wherever the log lives.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

#[path = "../examples/any_backend.rs"]
mod any_backend;

#[test]
fn the_same_program_says_the_same_on_any_backend() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).display().to_string();
    let stores = ["memory:".to_owned(), path("files"), format!("rocksdb:{}", path("rocks"))];
    let said = stores.map(|store| {
        let mut out = Vec::new();
        any_backend::run(&store, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    });
    assert!(
        said[0].contains("sold 12A at offset 0\nsold 12B at offset 1\nnot sold: "),
        "{}",
        said[0]
    );
    assert!(
        said[0].ends_with("12A after its sale: Some(90); now: None\n3 events, 2 tags\n"),
        "{}",
        said[0]
    );
    assert_eq!(said[0], said[1]);
    assert_eq!(said[0], said[2]);
}

//! The example has the same output on every backend.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../examples/any_backend.rs"]
mod any_backend;

#[test]
fn the_same_program_has_the_same_output_on_any_backend() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let stores = ["memory:".to_owned(), path("files"), format!("rocksdb:{}", path("rocks"))];
    let outputs = stores.map(|store| {
        let mut out = Vec::new();
        any_backend::run(&store, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    });
    assert!(
        outputs[0].contains("sold 12A at offset 0\nsold 12B at offset 1\nnot sold: "),
        "{}",
        outputs[0]
    );
    assert!(
        outputs[0].ends_with("12A after its sale: Some(90); now: None\n3 events, 2 tags\n"),
        "{}",
        outputs[0]
    );
    assert_eq!(outputs[0], outputs[1]);
    assert_eq!(outputs[0], outputs[2]);
}

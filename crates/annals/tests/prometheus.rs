//! The example that exports to Prometheus works.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]
#![allow(clippy::float_cmp, reason = "the numbers are small and whole")]

#[path = "../examples/prometheus.rs"]
mod prometheus;

#[test]
fn the_metrics_of_both_backends_are_exported() {
    let directory = tempfile::tempdir().unwrap();
    let mut out = Vec::new();
    prometheus::run(&directory.path().join("log"), None, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let value = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name} is in:\n{text}"))[name.len() + 1..].parse().unwrap()
    };
    for backend in ["memory", "journal"] {
        let of = |name: &str| value(&format!("{name}{{backend=\"{backend}\"}}"));
        assert_eq!((of("annals_commits_total"), of("annals_events_total")), (990.0, 990.0));
        assert_eq!((of("annals_conflicts_total"), of("annals_log_events")), (10.0, 990.0));
        assert!(of("annals_append_duration_seconds_count") >= 16.0);
        assert!(of("annals_event_bytes") > 10_000.0);
    }
    assert_eq!(value("annals_append_duration_seconds_count{backend=\"journal\"}"), 1000.0);
    assert_eq!(value("annals_sync_duration_seconds_count{backend=\"journal\"}"), 990.0);
    let median = value("annals_sync_duration_seconds{backend=\"journal\",quantile=\"0.5\"}");
    assert!(median > 1e-7 && median < 10.0, "in seconds: {median}");
    assert!(text.contains("# TYPE annals_commits_total counter"));
    assert!(text.contains("# HELP annals_sync_duration_seconds "));
}

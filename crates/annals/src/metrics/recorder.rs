//! The recorder to which instruments report: that of the crate `metrics`, or none in a build without the feature
//! `metrics`.

#[cfg(feature = "metrics")]
pub(super) use metrics::{Counter, Gauge, Histogram};

#[cfg(feature = "metrics")]
pub(super) fn counter(name: &'static str, backend: &'static str) -> Counter {
    metrics::counter!(name, "backend" => backend)
}

#[cfg(feature = "metrics")]
pub(super) fn gauge(name: &'static str, backend: &'static str) -> Gauge {
    metrics::gauge!(name, "backend" => backend)
}

#[cfg(feature = "metrics")]
pub(super) fn histogram(name: &'static str, backend: &'static str) -> Histogram {
    metrics::histogram!(name, "backend" => backend)
}

#[cfg(not(feature = "metrics"))]
pub(super) use nothing::{Nothing as Counter, Nothing as Gauge, Nothing as Histogram};
#[cfg(not(feature = "metrics"))]
pub(super) use nothing::{nothing as counter, nothing as gauge, nothing as histogram};

#[cfg(not(feature = "metrics"))]
mod nothing {
    /// A counter, gauge or histogram that reports nothing.
    pub(in crate::metrics) struct Nothing;

    pub(in crate::metrics) fn nothing(_: &'static str, _: &'static str) -> Nothing {
        Nothing
    }

    #[expect(clippy::unused_self, reason = "the face of the crate `metrics`")]
    impl Nothing {
        pub(in crate::metrics) fn increment<T>(&self, _: T) {}
        pub(in crate::metrics) fn decrement<T>(&self, _: T) {}
        pub(in crate::metrics) fn record<T>(&self, _: T) {}
    }
}

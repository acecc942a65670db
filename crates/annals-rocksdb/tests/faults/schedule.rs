//! later
use annals::EventStore;
use annals_conformance::Sample;
use annals_rocksdb::RocksDb;
pub(crate) type Store = EventStore<Sample, RocksDb<Sample>>;

//! Crashes while a store is being created.

use annals::{EventStore, OpenError};
use annals_conformance::fault::Loss;
use annals_conformance::{Random, Sample};
use annals_rocksdb::RocksDb;

use crate::machine::Machine;
use crate::schedule::Store;

fn open(machine: &Machine) -> Result<Store, OpenError> {
    RocksDb::open(machine.path("data/rocks")).map(EventStore::on)
}

#[test]
fn an_interrupted_creation_opens_as_an_empty_store() {
    let mut interrupted = 0;
    for nth in 1.. {
        let mut random = Random::new(nth);
        let losses = [
            None,
            Some(Loss::Everything),
            Some(Loss::Nothing),
            Some(Loss::Sectors(random.number())),
            Some(Loss::Sectors(random.number())),
            Some(Loss::Pages(random.number())),
        ];
        let mut finished = 0;
        for loss in losses {
            let machine = Machine::new(random.number());
            machine.cut_power_at(nth);
            let opened = open(&machine);
            let acknowledged = opened.is_ok() && machine.has_power();
            drop(opened);
            match loss {
                None => machine.kill(),
                Some(loss) => machine.restart(loss),
            }
            if acknowledged {
                finished += 1;
                assert!(
                    machine.path("data/rocks/CURRENT").exists(),
                    "call {nth}, {loss:?}: an opened store is lost"
                );
            }
            let note = format!("power cut at call {nth} of creating it, {loss:?}");
            let store = open(&machine).unwrap_or_else(|error| panic!("{note}: {error}"));
            assert_eq!(store.len(), 0, "{note}");
            assert_eq!(store.append(Sample::new("first")).unwrap(), 0, "{note}");
            machine.restart(Loss::Everything);
            drop(store);
            let store = open(&machine).unwrap_or_else(|error| panic!("{note}, and later: {error}"));
            assert_eq!(store.len(), 1, "{note}: the acknowledged event is lost");
        }
        if finished == losses.len() {
            break;
        }
        interrupted = nth;
    }
    assert!(interrupted > 20, "a creation has {interrupted} calls");
}

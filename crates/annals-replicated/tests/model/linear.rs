//! A small history, judged by the history checker and by a linearizability tester, which searches for an order.

use annals::{Appended, Condition, Query, RawEvent};
use annals_replicated::history::{History, Operation, Told, check};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

/// A log, as one process after the other would use it.
#[derive(Debug, Clone, Default)]
struct Log(Vec<RawEvent>);

#[derive(Debug, Clone)]
struct Append {
    events: Vec<RawEvent>,
    conditions: Vec<Condition>,
}

impl SequentialSpec for Log {
    type Op = Append;
    type Ret = Told;

    fn invoke(&mut self, append: &Append) -> Told {
        let start = self.0.len() as u64;
        for (condition, at) in append.conditions.iter().zip(0..) {
            let from = usize::try_from(condition.head()).expect("in memory");
            let forbidden =
                |event: &RawEvent| condition.query().matches(event.event_type(), event.tags());
            let found = self.0.iter().enumerate().skip(from).find(|(_, event)| forbidden(event));
            if let Some((offset, _)) = found {
                return Told::Conflict { offset: offset as u64, condition: at };
            }
        }
        self.0.extend(append.events.iter().cloned());
        Told::Appended(Appended::new(start..self.0.len() as u64))
    }
}

/// Returns whether an order of the operations exists that explains what the callers were told.
fn is_linear(history: &History) -> bool {
    // A return is before a beginning only if its time is.
    let mut steps: Vec<(u64, bool, usize)> = Vec::new();
    for (at, operation) in history.operations.iter().enumerate() {
        steps.push((operation.began, false, at));
        if operation.told != Told::InDoubt {
            steps.push((operation.ended, true, at));
        }
    }
    steps.sort_unstable();
    let mut tester = LinearizabilityTester::new(Log::default());
    for (_, is_return, at) in steps {
        let operation = &history.operations[at];
        if is_return {
            tester.on_return(at, operation.told.clone()).expect("it was invoked");
        } else {
            let (events, conditions) = (operation.events.clone(), operation.conditions.clone());
            tester.on_invoke(at, Append { events, conditions }).expect("the first time");
        }
    }
    tester.is_consistent()
}

fn event(number: u8) -> RawEvent {
    RawEvent::builder(if number.is_multiple_of(2) { "even" } else { "odd" })
        .data(vec![number])
        .build()
        .expect("an event")
}

fn operation(events: &[u8], began: u64, ended: u64, told: Told) -> Operation {
    let events = events.iter().copied().map(event).collect();
    Operation { process: began, events, conditions: Vec::new(), began, ended, told }
}

fn at(start: u64, end: u64) -> Told {
    Told::Appended(Appended::new(start..end))
}

/// Two processes, a conflict, a doubt that landed, one that did not, and a barrier.
fn history() -> (History, Vec<RawEvent>) {
    let mut forbids = operation(&[6], 30, 45, Told::Conflict { offset: 2, condition: 0 });
    forbids.conditions.push(Condition::fail_if(Query::event_type("even")).after(1));
    let operations = vec![
        operation(&[0], 0, 10, at(0, 1)),
        operation(&[1], 5, 20, at(1, 2)),
        operation(&[2, 3], 12, 25, Told::InDoubt),
        forbids,
        operation(&[], 26, 29, at(4, 4)),
        operation(&[4], 28, 50, at(4, 5)),
        operation(&[8], 31, 60, Told::InDoubt),
    ];
    let log = [0, 1, 2, 3, 4].map(event).to_vec();
    (History { operations, ..History::default() }, log)
}

/// Changes a history so that no order of its operations explains it.
type Break = fn(&mut History);

#[test]
fn the_checker_and_the_tester_agree() {
    let (history, log) = history();
    assert_eq!(check(&history, &log), []);
    assert!(is_linear(&history));
    let broken: [(&str, Break); 4] = [
        ("another offset", |history| history.operations[5].told = at(3, 4)),
        ("a batch before one that had returned", |history| {
            (history.operations[5].told, history.operations[5].began) = (at(4, 5), 0);
            (history.operations[0].began, history.operations[0].ended) = (70, 80);
        }),
        ("a conflict with an event that is not forbidden", |history| {
            history.operations[3].told = Told::Conflict { offset: 1, condition: 0 };
        }),
        ("a barrier that is out of date", |history| {
            history.operations[4].told = at(1, 1);
        }),
    ];
    for (what, change) in broken {
        let (mut history, log) = self::history();
        change(&mut history);
        assert_ne!(check(&history, &log), [], "{what}");
        assert!(!is_linear(&history), "{what}");
    }
}

//! Comparisons: annals and others on the same events, in the same run, in turn, repeated; medians, spread, ratios.
//!
//! `bench/run` is the one command: it builds this, runs all parts, or those that are named, and draws the plots.
//!
//! Parts: `store`, `memory`, `journal`, `peers`, `latency`, `writers`, `conditions`, `scale`, `subscribers`,
//! `ordinals`, `consumers`, `fold`, `channels`, `proofs`, `replicated` (PostgreSQL and NATS JetStream, if they are
//! installed; `--only NAME` for the setups whose name has it: `PostgreSQL on one server`, `PostgreSQL on three
//! servers`, `JetStream`).
//!
//! Options: `--only NAME` (of the peers, those whose name has it; may be repeated), `--rounds N` (5), `--events N`
//! (200,000; `scale` five and fifty times as many, `ordinals` and the long log of `proofs` fifty times; `store`,
//! `memory`, `fold` and `channels` have their own numbers), `--dir DIR` (where the files of the logs go; the system's
//! directory for temporary files), `--out DIR` (where the results go), `--page FILE` (the Markdown page whose tables are
//! replaced), and of `scale` `--payload-bytes N` and `--scale-events N` (a long run of the Journal alone).
//!
//! Features: `replicated`, and `umadb` and `sierradb`, their engines, are there by default; RocksDB, ours and used
//! plainly, with `rocksdb` (its C++ takes twenty minutes to build).

mod channels;
mod conditions;
mod consumers;
mod event;
mod exhaust;
mod first_design;
mod fold;
mod journal;
mod latency;
mod lists;
mod locked;
mod memory;
mod ordinals;
mod page;
mod peers;
mod proofs;
#[cfg(all(feature = "replicated", target_os = "linux"))]
mod replicated;
mod report;
mod scale;
mod store;
mod subscribers;
mod table;
mod writers;
mod yardstick;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use report::Report;

const PARTS: [&str; 15] = [
    "store",
    "memory",
    "journal",
    "peers",
    "latency",
    "writers",
    "conditions",
    "subscribers",
    "ordinals",
    "consumers",
    "scale",
    "fold",
    "channels",
    "proofs",
    "replicated",
];

/// What was asked for.
struct Asked {
    parts: Vec<String>,
    rounds: usize,
    events: u64,
    directory: PathBuf,
    out: PathBuf,
    page: Option<PathBuf>,
    /// The options with their values, as they were given.
    options: Vec<String>,
    only: Vec<String>,
    payload_bytes: usize,
    scale_events: Option<u64>,
}

fn main() -> ExitCode {
    // A process of its own opens what `scale` has written, so that its memory is nothing else's.
    if let [Some("--probe"), Some(name), Some(path), Some(count)] =
        [1, 2, 3, 4].map(|at| std::env::args().nth(at)).each_ref().map(Option::as_deref)
    {
        scale::probe(name, Path::new(path), count.parse().expect("a number"));
        return ExitCode::SUCCESS;
    }
    // A process of its own appends to a store in memory, so that its memory was not touched before.
    if let [Some("--first-touch"), Some(name)] =
        [1, 2].map(|at| std::env::args().nth(at)).each_ref().map(Option::as_deref)
    {
        store::probe(name);
        return ExitCode::SUCCESS;
    }
    // A process of its own checks evidence, so that its memory is nothing else's.
    if let [Some("--probe-evidence"), Some(path)] =
        [1, 2].map(|at| std::env::args().nth(at)).each_ref().map(Option::as_deref)
    {
        exhaust::probe(Path::new(path));
        return ExitCode::SUCCESS;
    }
    let done = asked().and_then(|asked| run(&asked).map_err(|error| error.to_string()));
    if let Err(problem) = done {
        eprintln!(
            "{problem}\nusage: annals-bench [{}] [--only NAME] [--rounds N] [--events N] [--dir DIR] [--out DIR] \
             [--page FILE] [--payload-bytes N] [--scale-events N]",
            PARTS.join("] [")
        );
        return ExitCode::from(2);
    }
    ExitCode::SUCCESS
}

fn run(asked: &Asked) -> std::io::Result<()> {
    let machine = table::machine();
    println!("{machine}\n");
    let mut text = format!("{machine}\n\n");
    for part in PARTS {
        if !asked.parts.is_empty() && !asked.parts.iter().any(|name| name == part) {
            continue;
        }
        let (start, mut report) = (Instant::now(), Report::default());
        measure(part, asked, &mut report);
        report.note(&format!("({part} took {:.0} s.)", start.elapsed().as_secs_f64()));
        let tables = report.write(part, &machine, &asked.out)?;
        if let Some(page) = &asked.page {
            let features = if cfg!(feature = "rocksdb") { "FEATURES=rocksdb " } else { "" };
            let command = format!("{features}bench/run {part}");
            let block = page::measured(&machine, &command, &asked.options) + &tables;
            page::replace(page, &block_of(part, asked), &block)?;
        }
        text += &format!("## {part}\n\n{tables}");
    }
    std::fs::write(asked.out.join("results.md"), text)
}

/// Returns the name of the block of a page that has the tables of a part: a part of some candidates has its own.
fn block_of(part: &str, asked: &Asked) -> String {
    let long_run = asked.scale_events.map(|_| "long run");
    let only = long_run.into_iter().chain(asked.only.iter().map(String::as_str));
    [part].into_iter().chain(only).collect::<Vec<_>>().join(", ")
}

fn measure(part: &str, asked: &Asked, report: &mut Report) {
    let Asked { rounds, events, ref only, .. } = *asked;
    let directory: &Path = &asked.directory;
    match part {
        "store" => store::run(rounds, report),
        "memory" => memory::run(rounds, report),
        "journal" => journal::run(rounds, events, directory, report),
        "peers" => peers::run(rounds, events, directory, only, report),
        "latency" => latency::run(rounds.min(3), events, directory, only, report),
        "writers" => writers::run(rounds, events, directory, only, report),
        "conditions" => conditions::run(rounds.min(3), events, directory, report),
        "subscribers" => subscribers::run(rounds, events, report),
        "ordinals" => ordinals::run(rounds, events, directory, only, report),
        "consumers" => consumers::run(rounds, events, directory, report),
        "scale" => scale::run(
            events,
            &scale::Options {
                payload_bytes: asked.payload_bytes,
                long_run: asked.scale_events,
                directory,
                only,
            },
            report,
        ),
        "fold" => fold::run(rounds, directory, report),
        "channels" => channels::run(rounds, directory, report),
        "proofs" => {
            proofs::run(rounds, events, directory, report);
            exhaust::run(directory, report);
        }
        #[cfg(all(feature = "replicated", target_os = "linux"))]
        "replicated" => replicated::run(rounds, directory, only, report),
        #[cfg(not(all(feature = "replicated", target_os = "linux")))]
        "replicated" => report.note("The part `replicated` needs its feature, and Linux."),
        other => unreachable!("{other} is no part"),
    }
}

fn asked() -> Result<Asked, String> {
    let mut asked = Asked {
        parts: Vec::new(),
        rounds: 5,
        events: 200_000,
        directory: std::env::temp_dir(),
        out: "bench/results".into(),
        page: None,
        options: Vec::new(),
        only: Vec::new(),
        payload_bytes: 0,
        scale_events: None,
    };
    let mut options = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let value = arguments.next().ok_or(format!("{argument} needs a value"))?;
            options.extend([argument.clone(), value.clone()]);
            Ok::<_, String>(value)
        };
        let number = |text: String| {
            text.replace('_', "").parse::<u64>().map_err(|_| format!("{text:?} is no number"))
        };
        match argument.as_str() {
            part if PARTS.contains(&part) => asked.parts.push(argument),
            "--rounds" => {
                asked.rounds = usize::try_from(number(value()?)?).unwrap_or(usize::MAX).max(1)
            }
            "--events" => asked.events = number(value()?)?.max(1_000),
            "--only" => asked.only.push(value()?),
            "--dir" => asked.directory = value()?.into(),
            "--out" => asked.out = value()?.into(),
            "--page" => asked.page = Some(value()?.into()),
            "--payload-bytes" => {
                asked.payload_bytes = usize::try_from(number(value()?)?).unwrap_or(usize::MAX)
            }
            "--scale-events" => asked.scale_events = Some(number(value()?)?),
            other => return Err(format!("what is {other:?}?")),
        }
    }
    asked.options = options;
    Ok(asked)
}

//! Comparisons: annals and others on the same events, in the same run, in turn, repeated; medians, spread, ratios.
//!
//! ```sh
//! cargo run --release --manifest-path bench/Cargo.toml            # everything
//! cargo run --release --manifest-path bench/Cargo.toml -- memory  # or journal, fold, channels
//! ```
//! RocksDB, ours and used plainly, is among the peers with `--features rocksdb` (its C++ takes twenty minutes to build).
//! Options: `--only NAME` (of the peers, those whose name has it; may be repeated), `--rounds N` (5), `--events N` (of
//! the Journal and its peers; 200,000), `--dir DIR` (where the files go; the system's directory for temporary files).

mod channels;
mod event;
mod fold;
mod journal;
mod locked;
mod memory;
mod peers;
mod table;
mod yardstick;

use std::path::PathBuf;
use std::process::ExitCode;

/// What was asked for.
struct Asked {
    parts: Vec<String>,
    rounds: usize,
    events: u64,
    directory: PathBuf,
    only: Vec<String>,
}

fn main() -> ExitCode {
    match asked() {
        Ok(asked) => run(&asked),
        Err(problem) => {
            eprintln!(
                "{problem}\nusage: annals-bench [memory] [journal] [fold] [channels] [peers] [--only NAME] [--rounds N] [--events N] [--dir DIR]"
            );
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn run(asked: &Asked) {
    let wanted = |part: &str| asked.parts.is_empty() || asked.parts.iter().any(|name| name == part);
    println!("{}\n", table::machine());
    if wanted("memory") {
        memory::run(asked.rounds);
    }
    if wanted("journal") {
        journal::run(asked.rounds, asked.events, &asked.directory);
    }
    if wanted("peers") {
        peers::run(asked.rounds, asked.events, &asked.directory, &asked.only);
    }
    if wanted("fold") {
        fold::run(asked.rounds, &asked.directory);
    }
    if wanted("channels") {
        channels::run(asked.rounds, &asked.directory);
    }
}

fn asked() -> Result<Asked, String> {
    let mut asked = Asked {
        parts: Vec::new(),
        rounds: 5,
        events: 200_000,
        directory: std::env::temp_dir(),
        only: Vec::new(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        let number = |text: String| {
            text.replace('_', "").parse::<u64>().map_err(|_| format!("{text:?} is no number"))
        };
        match argument.as_str() {
            "memory" | "journal" | "fold" | "channels" | "peers" => asked.parts.push(argument),
            "--rounds" => {
                asked.rounds = usize::try_from(number(value()?)?).unwrap_or(usize::MAX).max(1)
            }
            "--events" => asked.events = number(value()?)?.max(1_000),
            "--only" => asked.only.push(value()?),
            "--dir" => asked.directory = value()?.into(),
            other => return Err(format!("what is {other:?}?")),
        }
    }
    Ok(asked)
}

//! Compares `annals serve` with UmaDB's server, in one run and with one client: UmaDB's own.
//!
//! Each server is a process of its own, on the same disk, in turn; each round begins with new files. Beside the rates
//! stand the seconds of processor time that the server took for a million events: on few cores the client and the server
//! share them, so rates alone mislead. A last column has annals in a program, without a server.
//!
//! `bench/run server` builds the servers and calls this with `--annals FILE` and `--umadb FILE`. Options: `--rounds N`
//! (5), `--seconds S` (1, for each row of each round), `--events N` (1,000,000, of the log that is read), `--bytes N,N`
//! (of the data of an event, 100 and then 500), `--dir DIR` (where the logs go), `--out DIR` (where the results go),
//! `--page FILE` (the Markdown page whose tables are replaced), `--only NAME` (of the servers, for a profile), `--rows TEXT`
//! (only the rows of appends whose name has the text, for a profile).

mod embedded;
mod http;
mod load;
#[path = "../../src/page.rs"]
mod page;
mod server;
#[path = "../../src/table.rs"]
#[allow(dead_code, reason = "the other comparisons use the rest")]
mod table;
mod uma;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use server::Kind;
use table::{Figures, Row, machine, markdown};

/// What was asked for.
#[derive(Clone)]
pub struct Asked {
    annals: PathBuf,
    umadb: PathBuf,
    rounds: usize,
    pub seconds: Duration,
    pub events: u64,
    /// The size of the data of an event in this run.
    pub bytes: usize,
    /// The sizes for which there are runs.
    sizes: Vec<usize>,
    pub dir: PathBuf,
    out: PathBuf,
    page: Option<PathBuf>,
    only: Option<String>,
    pub rows: Option<String>,
}

/// A figure of one round: events a second or microseconds, and, of a server, seconds of processor time for a million
/// events.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    pub value: f64,
    pub cpu: Option<f64>,
}

/// The figures of one round, with the names of their rows.
pub type Round = Vec<(String, Figure)>;

fn main() -> ExitCode {
    match asked().and_then(|asked| run(&asked).map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(2)
        }
    }
}

fn asked() -> Result<Asked, String> {
    let mut asked = Asked {
        annals: "annals".into(),
        umadb: "umadb".into(),
        rounds: 5,
        seconds: Duration::from_secs(1),
        events: 1_000_000,
        bytes: 100,
        sizes: vec![100, 500],
        dir: std::env::temp_dir(),
        out: "bench/results".into(),
        page: None,
        only: None,
        rows: None,
    };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} takes a value"))?;
        let wrong = || format!("{name} does not take {value:?}");
        match name.as_str() {
            "--annals" => asked.annals = value.into(),
            "--umadb" => asked.umadb = value.into(),
            "--dir" => asked.dir = value.into(),
            "--out" => asked.out = value.into(),
            "--page" => asked.page = Some(value.into()),
            "--only" => asked.only = Some(value),
            "--rows" => asked.rows = Some(value),
            "--rounds" => asked.rounds = value.parse().map_err(|_| wrong())?,
            "--events" => asked.events = value.parse().map_err(|_| wrong())?,
            "--bytes" => {
                let sizes = value.split(',').map(str::parse).collect::<Result<_, _>>();
                asked.sizes = sizes.map_err(|_| wrong())?;
            }
            "--seconds" => {
                let seconds = value.parse().ok().map(Duration::try_from_secs_f64);
                asked.seconds = seconds.and_then(Result::ok).ok_or_else(wrong)?;
            }
            _ => return Err(format!("unknown option {name}")),
        }
    }
    if asked.page.is_some() && asked.rows.is_some() {
        return Err("--page replaces whole tables; leave out --rows".to_owned());
    }
    if load::appends(&asked).next().is_none() {
        return Err("no row of appends has the text of --rows".to_owned());
    }
    Ok(asked)
}

/// A candidate: its name, and what a round of it does.
type Candidate<'a> = (&'static str, Box<dyn Fn() -> std::io::Result<Round> + 'a>);

fn run(asked: &Asked) -> std::io::Result<()> {
    let mut text = String::new();
    for bytes in &asked.sizes {
        text += &tables(&Asked { bytes: *bytes, ..asked.clone() })?;
    }
    println!("{}\n\n{text}", machine());
    std::fs::create_dir_all(&asked.out)?;
    std::fs::write(asked.out.join("server.md"), &text)?;
    let Some(page) = &asked.page else { return Ok(()) };
    let options: Vec<String> = std::env::args().skip(1).collect();
    let block = page::measured(&machine(), "bench/run server", &options) + &text;
    page::replace(page, "server", &block)
}

/// Runs all rounds with one size of events, and returns the tables.
fn tables(asked: &Asked) -> std::io::Result<String> {
    let runtime = tokio::runtime::Runtime::new()?;
    let runtime = &runtime;
    let uma = |kind: Kind, program: &'static str| -> Candidate<'_> {
        let path = if program == "annals" { &asked.annals } else { &asked.umadb };
        (program, Box::new(move || runtime.block_on(uma::round(kind, path, asked))))
    };
    let mut grpc = vec![
        uma(Kind::Annals, "annals"),
        uma(Kind::Umadb, "umadb"),
        ("embedded", Box::new(|| embedded::round(asked))),
    ];
    let mut http: Vec<Candidate<'_>> =
        vec![("http", Box::new(|| http::round(&asked.annals, asked)))];
    for candidates in [&mut grpc, &mut http] {
        candidates.retain(|(name, _)| asked.only.as_deref().is_none_or(|only| only == *name));
    }
    let bytes = asked.bytes;
    let title = format!("Servers, events with {bytes} bytes of data");
    let servers = compared(&title, asked.rounds, &grpc)?;
    let title = format!("HTTP, events with {bytes} bytes of data");
    Ok(servers + &compared(&title, asked.rounds, &http)?)
}

/// Runs all rounds, the candidates in turn, and returns the tables of those that were chosen.
fn compared(title: &str, rounds: usize, of: &[Candidate<'_>]) -> std::io::Result<String> {
    if of.is_empty() {
        return Ok(String::new());
    }
    let (mut values, mut cpus) = (Vec::<Row>::new(), Vec::<Row>::new());
    for round in 0..rounds {
        for at in 0..of.len() {
            // The first of a round is another one each time.
            let at = (at + round) % of.len();
            for (what, figure) in of[at].1()? {
                note(&mut values, &what, at, of.len(), figure.value);
                if let Some(cpu) = figure.cpu {
                    note(&mut cpus, without_unit(&what), at, of.len(), cpu);
                }
            }
        }
    }
    let names: Vec<&str> = of.iter().map(|(name, _)| *name).collect();
    let rounds = format!("median (least–most) of {rounds} rounds");
    let cpu = format!(
        "{title}: seconds of the server's processor time for a million events or reads, {rounds}"
    );
    let title = format!("{title}, {rounds}");
    let values = markdown(&title, &names, &values);
    // A program without a server has none.
    let cpus = if cpus.is_empty() { String::new() } else { markdown(&cpu, &names, &cpus) };
    Ok(format!("{values}\n{cpus}\n"))
}

/// Returns the name of a row without the unit of its rate or latency: the processor time has another one.
fn without_unit(what: &str) -> &str {
    let row = what.rsplit_once(", ").map_or(what, |(row, _)| row);
    row.strip_suffix(", p50").unwrap_or(row)
}

/// Adds a figure of a candidate to a row.
fn note(rows: &mut Vec<Row>, what: &str, candidate: usize, candidates: usize, value: f64) {
    let at = rows.iter().position(|row| row.what == what).unwrap_or_else(|| {
        rows.push(Row { what: what.to_owned(), figures: vec![None; candidates] });
        rows.len() - 1
    });
    rows[at].figures[candidate].get_or_insert_with(Figures::default).0.push(value);
}

/// Returns a directory for the files of one round.
pub fn directory(of: &Path) -> std::io::Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix("annals-bench-").tempdir_in(of)
}

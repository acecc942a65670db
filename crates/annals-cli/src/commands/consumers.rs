//! `annals consumers` lists the consumers and groups of a store, and repairs one of them.

use annals::{Backend, RawEvent};
use annals_consumer::{ConsumerAdmin, ConsumerError, ConsumerInfo, ConsumerKind, ParkedEvents};
use indicatif::HumanCount;
use serde_json::json;

use crate::args::Format;
use crate::args::consumers::Consumers;
use crate::console::say;
use crate::failure::{Failure, consumer};
use crate::human::{counted, time};
use crate::out::{Out, terminal_width};
use crate::store;
use crate::table::text::{cut, lines};

/// The most parked events that are printed.
const MOST_PARKED: usize = 1_000;

/// What a problem is indented by.
const INDENT: &str = "  ";

/// The columns that a line of a parked event has before its reason.
const BEFORE_REASON: usize = 50;

type Admin<'a> = ConsumerAdmin<'a, RawEvent, Box<dyn Backend<RawEvent>>>;

/// Lists consumers and groups, or changes one.
pub(crate) fn run(args: &Consumers, format: Option<Format>) -> Result<(), Failure> {
    store::reading(&args.store, |store: &store::Store| {
        let admin = ConsumerAdmin::of(store)?;
        let mut out = Out::new(format);
        match &args.name {
            None => {
                let infos = admin.list()?;
                list(&infos, &mut out)?;
                if infos.is_empty() {
                    say::note("the store has no consumers and no groups");
                }
            }
            Some(name) => one(&admin, name, args, &mut out)?,
        }
        out.flush()
    })
}

fn one(admin: &Admin<'_>, name: &str, args: &Consumers, out: &mut Out) -> Result<(), Failure> {
    let done = if args.replay_parked {
        let count = admin.replay_parked(name, ParkedEvents::All)?;
        format!("{} to be delivered again", counted(count, "parked event"))
    } else if args.drop_parked {
        let count = admin.drop_parked(name, ParkedEvents::All)?;
        format!("{} dropped", counted(count, "parked event"))
    } else if let Some(to) = args.reset {
        admin.reset(name, to)?;
        format!("continues at offset {to}")
    } else if args.delete {
        admin.delete(name)?;
        "deleted".to_owned()
    } else {
        let info = admin.get(name)?;
        list(std::slice::from_ref(&info), out)?;
        return parked(admin, &info, out);
    };
    if out.format() == Format::Jsonl {
        out.object([("name", json!(name)), ("done", json!(done))])
    } else {
        out.text(format_args!("{name}: {done}"))
    }
}

fn list(infos: &[ConsumerInfo], out: &mut Out) -> Result<(), Failure> {
    let is_table = out.format() == Format::Table;
    let longest = infos.iter().map(|info| info.name.chars().count()).max().unwrap_or(0);
    let width = longest.clamp(4, 24);
    if is_table {
        out.text(format_args!(
            "{:<width$}  {:<8}  {:>12}  {:>12}  {:>9}  {:>8}",
            "NAME", "KIND", "POSITION", "LAG", "IN FLIGHT", "PARKED"
        ))?;
    }
    for info in infos {
        let ConsumerInfo { name, kind, position, lag, in_flight, parked, .. } = info;
        let problem = info.problem.as_ref().map(consumer::text);
        if !is_table {
            out.object([
                ("name", json!(name)),
                ("kind", json!(kind.to_string())),
                ("position", json!(position)),
                ("lag", json!(lag)),
                ("in_flight", json!(in_flight)),
                ("retrying", json!(info.retrying)),
                ("parked", json!(parked)),
                ("problem", json!(problem)),
            ])?;
            continue;
        }
        let group = |count: u64| match kind {
            ConsumerKind::Group => HumanCount(count).to_string(),
            _ => "-".to_owned(),
        };
        out.text(format_args!(
            "{name:<width$}  {kind:<8}  {position:>12}  {:>12}  {:>9}  {:>8}",
            HumanCount(*lag).to_string(),
            group(*in_flight),
            group(*parked),
        ))?;
        if let Some(problem) = &info.problem {
            show_problem(problem, out)?;
        }
    }
    Ok(())
}

/// Prints a problem below its line, and what the user can do.
fn show_problem(problem: &ConsumerError, out: &mut Out) -> Result<(), Failure> {
    let texts = [Some(consumer::text(problem)), consumer::advice(problem)];
    let width = terminal_width().unwrap_or(usize::MAX).saturating_sub(INDENT.len());
    for line in texts.iter().flatten().flat_map(|text| lines(text, width)) {
        out.text(format_args!("{INDENT}{line}"))?;
    }
    Ok(())
}

fn parked(admin: &Admin<'_>, info: &ConsumerInfo, out: &mut Out) -> Result<(), Failure> {
    if info.kind != ConsumerKind::Group || info.parked == 0 {
        return Ok(());
    }
    if out.format() == Format::Table {
        out.text(format_args!(""))?;
        out.text(format_args!("{:>12}  {:>8}  {:<24}  REASON", "PARKED", "ATTEMPTS", "SINCE"))?;
    }
    let reason_width = terminal_width().unwrap_or(usize::MAX).saturating_sub(BEFORE_REASON).max(10);
    for event in admin.parked(&info.name, 0, MOST_PARKED)? {
        if out.format() == Format::Table {
            let (offset, attempts, since) = (event.offset, event.attempts, time(event.at_ms));
            let reason = event.reason.escape_debug().to_string();
            let reason = cut(&reason, reason_width);
            out.text(format_args!("{offset:>12}  {attempts:>8}  {since:<24}  {reason}"))?;
        } else {
            out.object([
                ("parked", json!(event.offset)),
                ("attempts", json!(event.attempts)),
                ("since", json!(time(event.at_ms))),
                ("reason", json!(event.reason)),
            ])?;
        }
    }
    Ok(())
}

//! `annals man` prints a manual page.

use clap::{Command, CommandFactory as _};

use crate::args::generate::Man;
use crate::args::{Cli, Format};
use crate::failure::Failure;
use crate::out::Out;

/// Prints the page.
pub(crate) fn run(args: &Man, format: Option<Format>) -> Result<(), Failure> {
    let mut all = Cli::command().disable_help_subcommand(true);
    all.build();
    let page = match &args.command {
        None => all,
        Some(name) => page_of(&all, name)?,
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text).map_err(Failure::Output)?;
    let text = with_whole_examples(&String::from_utf8_lossy(&text));
    let mut out = Out::new(format);
    out.with(|out| std::io::Write::write_all(out, text.as_bytes()))?;
    out.flush()
}

/// Returns the page with its last section as examples whose lines are not joined: they can be copied to a shell.
fn with_whole_examples(page: &str) -> String {
    let Some((before, examples)) = page.split_once(".SH EXTRA\n") else { return page.to_owned() };
    let (examples, after) = examples.split_once("\n.SH ").unwrap_or((examples, ""));
    let examples = examples.trim_start_matches("Examples:\n").trim_start_matches("Example:\n");
    let after = if after.is_empty() { String::new() } else { format!(".SH {after}") };
    format!("{before}.SH EXAMPLES\n.nf\n{}\n.fi\n{after}", examples.trim_end())
}

/// Returns a command of annals, under the name of its page: `read`, or `record-create` for a command of a group.
fn page_of(all: &Command, name: &str) -> Result<Command, Failure> {
    let in_group = || {
        let (group, name) = name.split_once('-')?;
        all.find_subcommand(group)?.find_subcommand(name)
    };
    let command = all.find_subcommand(name).or_else(in_group).ok_or_else(|| {
        let known = all.get_subcommands().filter(|command| !command.is_hide_set());
        let known: Vec<&str> = known.map(Command::get_name).collect();
        Failure::NoSuchCommand { name: name.to_owned(), known: known.join(", ") }
    })?;
    Ok(command.clone().display_name(format!("annals-{name}")))
}

//! Prints help, and wrong usage in the style of all other errors.

use clap::error::{Error, ErrorKind};
use clap::{ColorChoice, Command};

use crate::console::say;
use crate::console::settings::{Color, Settings};
use crate::record_address::without_password;

/// Stands for a space in examples, so that a line of an example is never wrapped: it could not be copied to a shell.
const SPACE: char = '\u{e000}';

/// Returns the command with examples that are not wrapped, here and in its subcommands.
pub(super) fn with_whole_examples(command: Command, color: Color) -> Command {
    let command = command.color(match color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    });
    let subcommands: Vec<String> =
        command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let whole = |command: Command| match command.get_after_help() {
        Some(help) => {
            let help = help.to_string().replace(' ', &SPACE.to_string());
            command.after_help(help)
        }
        None => command,
    };
    let inner = |command| with_whole_examples(command, color);
    subcommands.into_iter().fold(whole(command), |all, name| all.mut_subcommand(name, inner))
}

/// Ends the process with a help text, or with wrong usage and exit code 2.
pub(super) fn exit(error: &Error, color: Color) -> ! {
    Settings::of(color, false, false).install();
    let code = error.exit_code();
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            print_help(error, color);
        }
        _ => {
            let (text, advice) = in_our_style(&error.render().to_string());
            say::error(&text, advice.iter().map(String::as_str));
        }
    }
    std::process::exit(code)
}

fn print_help(error: &Error, color: Color) {
    use std::io::{self, IsTerminal as _, Write as _};
    let is_terminal =
        if error.use_stderr() { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
    let is_colored = crate::console::settings::is_on(color, is_terminal);
    let text = error.render();
    let text = if is_colored { text.ansi().to_string() } else { text.to_string() };
    let text = text.replace(SPACE, " ");
    // An error is ignored: the reader of the help has closed the pipe.
    let _ = if error.use_stderr() {
        io::stderr().write_all(text.as_bytes())
    } else {
        io::stdout().write_all(text.as_bytes())
    };
}

/// Returns what is wrong, and what would be right, from a text of clap: `error: …`, tips, `Usage: …`, a hint.
fn in_our_style(text: &str) -> (String, Vec<String>) {
    let text = without_password(text);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    // clap advises `-- -n` for an unknown option, as if it were an argument.
    let is_of_use = |line: &&str| {
        !line.starts_with("For more information") && !line.starts_with("tip: to pass '")
    };
    let advice = lines.filter(is_of_use).map(|line| {
        let line = line.strip_prefix("tip: ").unwrap_or(line);
        line.strip_prefix("Usage: ")
            .map_or_else(|| line.to_owned(), |usage| format!("usage: {usage}; --help explains it"))
    });
    (first.to_owned(), advice.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_clap_is_an_error_with_advice() {
        let text = "error: unexpected argument '--tga' found\n\n  tip: a similar argument exists: '--tag'\n\nUsage: annals read \
                    --tag <TAG> <STORE>\n\nFor more information, try '--help'.\n";
        let (first, advice) = in_our_style(text);
        assert_eq!(first, "unexpected argument '--tga' found");
        let text = "error: unexpected argument '-n' found\n\n  tip: to pass '-n' as a value, use '-- -n'\n\nUsage: annals \
                    export <STORE>\n";
        assert_eq!(in_our_style(text).1, ["usage: annals export <STORE>; --help explains it"]);
        assert_eq!(
            advice,
            [
                "a similar argument exists: '--tag'",
                "usage: annals read --tag <TAG> <STORE>; --help explains it"
            ]
        );
    }
}

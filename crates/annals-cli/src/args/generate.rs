//! The arguments of `annals completions` and `annals man`.

use clap::Args;

/// Print a script that completes this command's words in a shell
#[derive(Debug, Args)]
#[command(after_help = r#"Examples:
  annals completions bash > ~/.local/share/bash-completion/completions/annals
  annals completions zsh > "${fpath[1]}/_annals"
  annals completions fish > ~/.config/fish/completions/annals.fish"#)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// Print the manual page of annals, or of one of its commands
#[derive(Debug, Args)]
#[command(after_help = r#"Examples:
  annals man > /usr/local/share/man/man1/annals.1
  annals man append | man -l -"#)]
pub(crate) struct Man {
    /// The command that the page is about, such as append or record-create [default: an overview of all]
    pub(crate) command: Option<String>,
}

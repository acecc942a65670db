//! The filters of `annals read`, `tail`, `export` and `count`.

use clap::Args;

use super::values::{event_type, id, text};
use crate::criteria::moment::Moment;
use crate::criteria::name_pattern::NamePattern;
use crate::criteria::where_clause::Where;

/// Which events a command is about.
#[derive(Debug, Args)]
#[command(next_help_heading = "Filters (an event must pass all that are given)")]
pub(crate) struct Filter {
    /// Only events of this type; if repeated, events of any of these types
    #[arg(short = 'T', long = "type", value_name = "TYPE", value_parser = event_type)]
    pub(crate) types: Vec<String>,

    /// Only events with this tag, or with a tag that begins like this: 'bike:*'; if repeated, with all of them
    #[arg(short = 't', long = "tag", value_name = "TAG", value_parser = NamePattern::parse_tag)]
    pub(crate) tags: Vec<NamePattern>,

    /// Only events without this tag, or without tags that begin like this: 'bike:*'; if repeated, without any of them
    #[arg(long = "not-tag", value_name = "TAG", value_parser = NamePattern::parse_tag)]
    pub(crate) not_tags: Vec<NamePattern>,

    /// Only the event with this id; if repeated, the events with these ids
    #[arg(long = "id", value_name = "ID", value_parser = id)]
    pub(crate) ids: Vec<String>,

    /// Only events whose data has such a value, by JSON pointer: '/amount>100', /status=open, /paid
    ///
    /// The operators are = != < <= > >=. A pointer alone means that there is a value. A number is compared with
    /// numbers, and with text that is a number, such as "20000". Other text is compared character by character, so
    /// '/at>2026-11-01' works for times in the data. In quotes, a value is always text: '/code="7"'.
    #[arg(long = "where", value_name = "CLAUSE", value_parser = Where::parse)]
    pub(crate) clauses: Vec<Where>,

    /// Only events that contain this text, in the type, a tag, the id, the metadata, or the data as it is stored
    #[arg(long = "grep", value_name = "TEXT", value_parser = text)]
    pub(crate) texts: Vec<String>,

    /// Only events recorded at this time or later: 15m, 1h or 2days before now, 2026-11-01, or a time of RFC 3339
    ///
    /// Dates, and times without an offset such as +01:00, are in UTC.
    #[arg(long, value_name = "TIME", value_parser = Moment::parse, allow_hyphen_values = true)]
    pub(crate) since: Option<Moment>,

    /// Only events recorded before this time; written like --since
    #[arg(long, value_name = "TIME", value_parser = Moment::parse, allow_hyphen_values = true)]
    pub(crate) until: Option<Moment>,
}

impl Filter {
    /// Returns whether nothing is filtered.
    pub(crate) fn is_empty(&self) -> bool {
        self.types.is_empty()
            && self.tags.is_empty()
            && self.not_tags.is_empty()
            && self.ids.is_empty()
            && self.clauses.is_empty()
            && self.texts.is_empty()
            && self.since.is_none()
            && self.until.is_none()
    }

    /// Checks filters that depend on each other.
    pub(crate) fn check(&self) -> Result<(), String> {
        match (self.since, self.until) {
            (Some(since), Some(until)) if since > until => {
                Err("--since is after --until, so no event can match; swap the two".to_owned())
            }
            _ => Ok(()),
        }
    }
}

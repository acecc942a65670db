//! A tag on the command line: one name, or the beginning of names.

use std::fmt;

use annals::Query;

/// A name, or the beginning of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NamePattern {
    /// This name only.
    Exact(String),
    /// All names that begin with this text.
    Prefix(String),
}

impl NamePattern {
    /// Parses an argument: a name; or a beginning and `*`. A name that itself ends with `*` is written with `\*`.
    pub(crate) fn parse_tag(text: &str) -> Result<Self, String> {
        let pattern = match (text.strip_suffix("\\*"), text.strip_suffix('*')) {
            (Some(start), _) => Self::Exact(format!("{start}*")),
            (None, Some(start)) => Self::Prefix(start.to_owned()),
            (None, None) => Self::Exact(text.to_owned()),
        };
        match &pattern {
            // Every event has such a tag, or none at all: the filter would say nothing that a user means.
            Self::Prefix(start) if start.is_empty() => {
                Err("expected a tag, or the beginning of tags and *, as in 'bike:*'".to_owned())
            }
            Self::Exact(name) | Self::Prefix(name) => {
                Query::tag(name).check().map_err(|problem| problem.to_string())?;
                Ok(pattern)
            }
        }
    }

    /// Returns whether the name is this one, or begins like this.
    pub(crate) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => name == exact,
            Self::Prefix(start) => name.starts_with(start.as_str()),
        }
    }
}

/// Writes the pattern as on the command line.
impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Prefix(start) => write!(f, "{start}*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_at_the_end_is_any_rest() {
        let parse = |text| NamePattern::parse_tag(text).unwrap();
        assert_eq!(parse("bike:17"), NamePattern::Exact("bike:17".into()));
        assert_eq!(parse("bike:*"), NamePattern::Prefix("bike:".into()));
        assert_eq!(parse("a*b"), NamePattern::Exact("a*b".into()));
        assert_eq!(parse(r"bike:\*"), NamePattern::Exact("bike:*".into()));
        assert!(parse("bike:*").matches("bike:17") && !parse("bike:*").matches("bik"));
        assert!(parse(r"bike:\*").matches("bike:*") && !parse(r"bike:\*").matches("bike:1"));
        for wrong in ["", "*", "a\nb", &"x".repeat(256)] {
            assert!(NamePattern::parse_tag(wrong).is_err(), "{wrong:?}");
        }
    }
}

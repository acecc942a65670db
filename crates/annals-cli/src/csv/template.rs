//! A text with the titles of columns in braces: `bike:{bike}`. `{{` is a brace.

use super::reader::Row;

/// A text with places for the cells of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Column(String),
}

impl Template {
    /// Parses a template.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let (mut rest, mut plain) = (text, String::new());
        while let Some((before, after)) = rest.split_once('{') {
            plain.push_str(before);
            if let Some(after) = after.strip_prefix('{') {
                plain.push('{');
                rest = after;
                continue;
            }
            let Some((column, after)) = after.split_once('}') else {
                return Err("a brace is not closed; write a column as {TITLE}, and a brace as {{"
                    .to_owned());
            };
            parts.extend((!plain.is_empty()).then(|| Part::Text(std::mem::take(&mut plain))));
            parts.push(Part::Column(column.to_owned()));
            rest = after;
        }
        plain.push_str(rest);
        parts.extend((!plain.is_empty()).then_some(Part::Text(plain)));
        if parts.is_empty() {
            return Err("expected a text, such as 'bike:{bike}'".to_owned());
        }
        Ok(Self { parts })
    }

    /// Returns the titles of the columns in the template.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Column(title) => Some(title.as_str()),
        })
    }

    /// Returns the text for a row; `None` if one of its cells is empty. `titles` are the titles of the columns.
    pub(crate) fn fill(&self, titles: &[String], row: Row<'_>) -> Option<String> {
        let mut filled = String::new();
        for part in &self.parts {
            filled.push_str(match part {
                Part::Text(text) => text,
                Part::Column(title) => {
                    let at = titles.iter().position(|known| known == title)?;
                    Some(row.cell(at)).filter(|cell| !cell.is_empty())?
                }
            });
        }
        Some(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csv::reader::CsvReader;

    #[test]
    fn columns_are_filled_in() {
        let titles = ["bike".to_owned(), "end".to_owned()];
        let mut reader = CsvReader::new(&b"17,\n"[..], b',');
        let row = reader.next().unwrap().unwrap();
        let fill = |text| Template::parse(text).unwrap().fill(&titles, row);
        assert_eq!(fill("bike:{bike}").as_deref(), Some("bike:17"));
        assert_eq!(fill("{bike}-{bike}").as_deref(), Some("17-17"));
        assert_eq!(fill("{{x}").as_deref(), Some("{x}"));
        assert_eq!(fill("all").as_deref(), Some("all"));
        assert_eq!(fill("end:{end}"), None);
        for wrong in ["", "a{b", "{"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
    }
}

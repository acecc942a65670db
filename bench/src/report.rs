//! What a run measured: printed as it comes, written as JSON for the plots, and put into the page with the figures.

use std::path::Path;

use serde_json::{Value, json};

use crate::table::{Figures, Row, by_candidate, columns, markdown, multiples};

/// The tables of one part.
#[derive(Default)]
pub struct Report {
    tables: Vec<Value>,
    markdown: String,
}

impl Report {
    /// A table whose last column has the ratios of the first candidate's medians to those of the others.
    pub fn ratios(&mut self, title: &str, candidates: &[&str], rows: &[Row]) {
        self.add(title, candidates, rows, markdown(title, candidates, rows));
    }

    /// A table whose columns are not compared.
    pub fn columns(&mut self, title: &str, names: &[&str], rows: &[Row]) {
        self.add(title, names, rows, columns(title, names, rows));
    }

    /// A table of many candidates, each with figures for all that is measured, and a table of the ratios of the first
    /// candidate to the others.
    pub fn candidates_and_ratios(
        &mut self,
        title: &str,
        candidates: &[&str],
        measured: &[&str],
        figures: &[Vec<Figures>],
    ) {
        self.candidates(title, candidates, measured, figures);
        let text = multiples(candidates, measured, figures);
        println!("{text}");
        self.markdown += &text;
        self.markdown.push('\n');
    }

    /// A table of many candidates, each with figures for all that is measured.
    pub fn candidates(
        &mut self,
        title: &str,
        candidates: &[&str],
        measured: &[&str],
        figures: &[Vec<Figures>],
    ) {
        let of = |figures: &Figures| (!figures.0.is_empty()).then(|| figures.clone());
        let row = |(at, what): (usize, &&str)| Row {
            what: (*what).to_owned(),
            figures: figures.iter().map(|candidate| of(&candidate[at])).collect(),
        };
        let rows: Vec<Row> = measured.iter().enumerate().map(row).collect();
        let text = by_candidate(title, candidates, measured, figures);
        self.add(title, candidates, &rows, text);
    }

    /// Something to be said below the last table.
    pub fn note(&mut self, text: &str) {
        println!("{text}\n");
        self.markdown += text;
        self.markdown += "\n\n";
    }

    fn add(&mut self, title: &str, candidates: &[&str], rows: &[Row], text: String) {
        println!("{text}");
        self.markdown += &text;
        self.markdown.push('\n');
        let rows: Vec<Value> = rows.iter().map(row).collect();
        self.tables.push(json!({ "title": title, "candidates": candidates, "rows": rows }));
    }

    /// Writes `PART.json` into the directory, and returns the tables as Markdown.
    pub fn write(self, part: &str, machine: &str, directory: &Path) -> std::io::Result<String> {
        std::fs::create_dir_all(directory)?;
        let all = json!({ "part": part, "machine": machine, "tables": self.tables });
        let text = format!("{all:#}\n");
        std::fs::write(directory.join(format!("{part}.json")), text)?;
        Ok(self.markdown)
    }
}

fn row(row: &Row) -> Value {
    let figures = row.figures.iter().map(|figures| {
        figures.as_ref().map(|figures| {
            let (least, most) = figures.spread();
            json!({ "median": figures.median(), "least": least, "most": most, "all": figures.0 })
        })
    });
    let better = if row.what.contains("/s") { "more" } else { "less" };
    json!({ "what": row.what, "better": better, "figures": figures.collect::<Vec<_>>() })
}

//! Medians, spreads, ratios, and Markdown.

use std::fmt::Write as _;

/// Several measurements of one thing.
#[derive(Debug, Clone, Default)]
pub struct Figures(pub Vec<f64>);

impl Figures {
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |place: usize| sorted.get(place).copied().unwrap_or(f64::NAN);
        f64::midpoint(at(sorted.len().saturating_sub(1) / 2), at(sorted.len() / 2))
    }

    pub fn spread(&self) -> (f64, f64) {
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        (least, self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    }

    /// `median (least–most)`, with as many digits as tell something.
    pub fn show(&self) -> String {
        let (least, most) = self.spread();
        let [median, least, most] = [self.median(), least, most].map(digits);
        if least == most { median } else { format!("{median} ({least}–{most})") }
    }
}

/// A number as a person reads it.
pub fn digits(number: f64) -> String {
    if number.abs() >= 1_000.0 {
        grouped(&format!("{number:.0}"))
    } else if number.abs() >= 100.0 {
        format!("{number:.0}")
    } else {
        format!("{number:.*}", usize::from(number.abs() < 1.0) + 1)
    }
}

/// Returns digits with a comma before every three.
fn grouped(digits: &str) -> String {
    let mut shown = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// Returns a title or the name of a row with all its whole numbers grouped.
fn with_groups(text: &str) -> String {
    let is_end = |(at, char): &(usize, char)| {
        let next = text[*at..].chars().nth(1);
        char.is_ascii_digit() != next.is_some_and(|next| next.is_ascii_digit())
    };
    let mut shown = String::new();
    let mut from = 0;
    for (at, char) in text.char_indices().filter(is_end) {
        let part = &text[from..at + char.len_utf8()];
        from = at + char.len_utf8();
        shown += &if char.is_ascii_digit() { grouped(part) } else { part.to_owned() };
    }
    shown + &text[from..]
}

/// One line of a table: what was measured, and its figures for each candidate.
pub struct Row {
    pub what: String,
    pub figures: Vec<Option<Figures>>,
}

/// A Markdown table. With several candidates, a last column has the ratio of the first one's median to that of each
/// other.
pub fn markdown(title: &str, candidates: &[&str], rows: &[Row]) -> String {
    table(title, candidates, rows, candidates.len() > 1)
}

/// A Markdown table whose columns are not compared.
pub fn columns(title: &str, names: &[&str], rows: &[Row]) -> String {
    table(title, names, rows, false)
}

fn table(title: &str, candidates: &[&str], rows: &[Row], compares: bool) -> String {
    let mut out = format!("### {}\n\n", with_groups(title));
    let mut names = candidates.to_vec();
    names.extend(compares.then_some("ratio to each"));
    head(&mut out, &names);
    for row in rows {
        let show = |of: &Option<Figures>| of.as_ref().map_or("–".to_owned(), Figures::show);
        let mut cells: Vec<String> = row.figures.iter().map(show).collect();
        cells.extend(compares.then(|| ratios(&row.figures)));
        line(&mut out, &row.what, &cells);
    }
    out
}

/// The ratio of the first median to each other.
fn ratios(figures: &[Option<Figures>]) -> String {
    let own = figures.first().and_then(Option::as_ref).map(Figures::median);
    let ratio = |other: &Option<Figures>| match (own, other) {
        (Some(own), Some(other)) => format!("{:.2}", own / other.median()),
        _ => "–".to_owned(),
    };
    figures.iter().skip(1).map(ratio).collect::<Vec<_>>().join(", ")
}

fn head(out: &mut String, names: &[&str]) {
    let names: Vec<String> = names.iter().map(|name| with_groups(name)).collect();
    writeln!(out, "| | {} |", names.join(" | ")).expect("a String");
    writeln!(out, "|---|{}", "---|".repeat(names.len())).expect("a String");
}

fn line(out: &mut String, what: &str, cells: &[String]) {
    writeln!(out, "| {} | {} |", with_groups(what), cells.join(" | ")).expect("a String");
}

/// A Markdown table with a line a measurement and a column a candidate.
pub fn by_candidate(
    title: &str,
    candidates: &[&str],
    measured: &[&str],
    figures: &[Vec<Figures>],
) -> String {
    let mut out = format!("### {}\n\n", with_groups(title));
    head(&mut out, candidates);
    for (at, what) in measured.iter().enumerate() {
        let show = |of: &Vec<Figures>| match of[at].0.is_empty() {
            true => "–".to_owned(),
            false => of[at].show(),
        };
        line(&mut out, what, &figures.iter().map(show).collect::<Vec<_>>());
    }
    out
}

/// A Markdown table with the ratios of the first candidate's medians to those of the others.
pub fn multiples(candidates: &[&str], measured: &[&str], figures: &[Vec<Figures>]) -> String {
    let [first, others @ ..] = candidates else { return String::new() };
    if others.is_empty() {
        return String::new();
    }
    let mut out = format!("{first}, as a multiple of each:\n\n");
    head(&mut out, others);
    for (at, what) in measured.iter().enumerate() {
        let own = &figures[0][at];
        let ratio = |other: &Vec<Figures>| match own.0.is_empty() || other[at].0.is_empty() {
            true => "–".to_owned(),
            false => format!("{:.2}", own.median() / other[at].median()),
        };
        line(&mut out, what, &figures[1..].iter().map(ratio).collect::<Vec<_>>());
    }
    out
}

/// What this ran on.
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("", |rest| rest.trim_start_matches(['\t', ' ', ':']));
    let kernel = read("/proc/sys/kernel/osrelease");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{model}, {cores} cores, Linux {}", kernel.trim())
}

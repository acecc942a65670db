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
        format!("{} ({}–{})", digits(self.median()), digits(least), digits(most))
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

/// A Markdown table; a last column has the ratio of the first candidate's median to that of each other.
pub fn markdown(title: &str, candidates: &[&str], rows: &[Row]) -> String {
    let mut out = format!("### {}\n\n| |", with_groups(title));
    candidates.iter().for_each(|name| write!(out, " {name} |").expect("a String"));
    out.push_str(" ratio to each |\n|---|");
    (0..=candidates.len()).for_each(|_| out.push_str("---|"));
    out.push('\n');
    for row in rows {
        write!(out, "| {} |", with_groups(&row.what)).expect("a String");
        for figures in &row.figures {
            write!(out, " {} |", figures.as_ref().map_or("–".to_owned(), Figures::show))
                .expect("a String");
        }
        let own = row.figures.first().and_then(Option::as_ref).map(Figures::median);
        let ratio = |other: &Option<Figures>| match (own, other) {
            (Some(own), Some(other)) => format!("{:.2}", own / other.median()),
            _ => "–".to_owned(),
        };
        let ratios: Vec<String> = row.figures.iter().skip(1).map(ratio).collect();
        writeln!(out, " {} |", ratios.join(", ")).expect("a String");
    }
    out
}

/// A Markdown table with a line a measurement and a column a candidate, and one with the ratios of the first candidate's
/// medians to those of the others.
pub fn by_candidate(
    title: &str,
    candidates: &[&str],
    measured: &[&str],
    figures: &[Vec<Figures>],
) -> String {
    let mut out = format!("### {}\n\n", with_groups(title));
    let head = |out: &mut String, names: &[&str]| {
        writeln!(out, "| | {} |", names.join(" | ")).expect("a String");
        writeln!(out, "|---|{}", "---|".repeat(names.len())).expect("a String");
    };
    let line = |out: &mut String, what: &str, cells: Vec<String>| {
        let what = with_groups(what);
        writeln!(out, "| {what} | {} |", cells.join(" | ")).expect("a String");
    };
    let has = |figures: &Figures| !figures.0.is_empty();
    head(&mut out, candidates);
    for (at, what) in measured.iter().enumerate() {
        let show = |of: &Vec<Figures>| if has(&of[at]) { of[at].show() } else { "–".to_owned() };
        line(&mut out, what, figures.iter().map(show).collect());
    }
    for (first, name) in
        candidates.iter().enumerate().filter(|(_, name)| name.starts_with("annals"))
    {
        let others: Vec<usize> = (0..candidates.len()).filter(|&other| other != first).collect();
        writeln!(out, "\n{name}, as a multiple of each:\n").expect("a String");
        head(&mut out, &others.iter().map(|&other| candidates[other]).collect::<Vec<_>>());
        for (at, what) in measured.iter().enumerate() {
            let (own, of) = (&figures[first][at], |other: usize| &figures[other][at]);
            let ratio = |&other: &usize| match has(own) && has(of(other)) {
                true => format!("{:.2}", own.median() / of(other).median()),
                false => "–".to_owned(),
            };
            line(&mut out, what, others.iter().map(ratio).collect());
        }
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

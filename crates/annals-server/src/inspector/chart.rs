//! Charts, which the server draws.

use maud::{Markup, html};

use super::text::grouped;

const HEIGHT: u64 = 60;
const STEP: u64 = 10;

/// Returns a chart of bars. `label` says what the chart shows, and `name` what one bar is about, by its index.
pub(super) fn bars(values: &[u64], label: &str, name: impl Fn(usize) -> String) -> Markup {
    let highest = values.iter().copied().max().unwrap_or(0);
    let height = |value: u64| scaled(value, highest.max(1));
    let width = values.len() as u64 * STEP;
    html! {
        figure.chart {
            svg viewBox={ "0 0 " (width) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(label) {
                @for (index, &value) in values.iter().enumerate() {
                    rect x=(index as u64 * STEP + 1) y=(HEIGHT - height(value)) width=(STEP - 2)
                        height=(height(value)) {
                        title { (name(index)) ": " (grouped(value)) }
                    }
                }
            }
            figcaption { (label) span.most { "highest " (grouped(highest)) } }
        }
    }
}

/// The most series of a chart of shares: as many as the style sheet has colours, the last for all others.
pub(super) const SERIES: usize = 6;

/// Returns a chart of bars that are divided by name, and what the colours mean. `series` has the values of each name,
/// as many for each.
pub(super) fn stacked(
    series: &[(&str, Vec<u64>)],
    label: &str,
    name: impl Fn(usize) -> String,
) -> Markup {
    let parts = series.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
    let value = |of: usize, part: usize| series[of].1.get(part).copied().unwrap_or(0);
    let total = |part: usize, of: usize| (0..of).map(|below| value(below, part)).sum::<u64>();
    let highest = (0..parts).map(|part| total(part, series.len())).max().unwrap_or(0);
    let height = |value: u64| scaled(value, highest.max(1));
    let width = parts as u64 * STEP;
    html! {
        figure.chart {
            svg viewBox={ "0 0 " (width) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(label) {
                @for part in 0..parts { @for of in 0..series.len() { @if value(of, part) > 0 {
                    rect class={ "c" (of.min(SERIES - 1)) } x=(part as u64 * STEP + 1) width=(STEP - 2)
                        y=(HEIGHT - height(total(part, of + 1)))
                        height=(height(total(part, of + 1)) - height(total(part, of))) {
                        title { (name(part)) ": " (series[of].0) ", " (grouped(value(of, part))) }
                    }
                } } }
            }
            figcaption { (label) span.most { "highest " (grouped(highest)) } }
            ul.legend {
                @for (of, (name, values)) in series.iter().enumerate() {
                    li { span class={ "swatch c" (of.min(SERIES - 1)) } {} (super::text::shown_up_to(name, 80))
                        " " span.dim { (grouped(values.iter().sum())) } }
                }
            }
        }
    }
}

/// Returns the height of a value: never above the chart's, and above 0 for each value that is.
fn scaled(value: u64, most: u64) -> u64 {
    let scaled = (u128::from(value) * u128::from(HEIGHT)).div_ceil(u128::from(most));
    u64::try_from(scaled).unwrap_or(HEIGHT)
}

/// Returns a table of names, each with its number and a bar. `link` returns where a name leads to.
pub(super) fn ranking(
    counts: &[(String, u64)],
    title: &str,
    link: impl Fn(&str) -> String,
) -> Markup {
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    html! {
        table.ranking {
            thead { tr { th scope="col" { (title) } th.number scope="col" { "Events" } th { span.hidden { "Share" } }
                } }
            tbody {
                @for (name, count) in counts {
                    tr {
                        td { a href=(link(name)) { (super::text::shown_up_to(name, 80)) } }
                        td.number { (grouped(*count)) }
                        td.bar { meter min="0" max=(most) value=(count) { (grouped(*count)) } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_fit_into_the_chart() {
        let html = bars(&[0, 1, u64::MAX], "events", |index| index.to_string()).into_string();
        for part in ["viewBox=\"0 0 30 60\"", "height=\"0\"", "height=\"1\"", "height=\"60\""] {
            assert!(html.contains(part), "{part}: {html}");
        }
        let series = [("<a>", vec![1, 0, 3]), ("b", vec![1, 0, 0])];
        let html = stacked(&series, "types", |index| index.to_string()).into_string();
        for part in [
            "viewBox=\"0 0 30 60\"",
            "class=\"c1\" x=\"1\" width=\"8\" y=\"20\" height=\"20\"",
            "&lt;a&gt;",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(stacked(&[], "types", |_| String::new()).into_string().contains("highest 0"));
        assert!(bars(&[], "events", |_| String::new()).into_string().contains("highest 0"));
    }
}

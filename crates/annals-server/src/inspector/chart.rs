//! Charts, which the server draws.

use maud::{Markup, html};

use super::text::grouped;

const HEIGHT: u64 = 60;
const STEP: u64 = 10;

/// Returns a chart of bars. `label` says what the chart shows, and `name` what one bar is about, by its index.
pub(super) fn bars(values: &[u64], label: &str, name: impl Fn(usize) -> String) -> Markup {
    let highest = values.iter().copied().max().unwrap_or(0);
    let most = highest.max(1);
    // Never overflows, and never above the height.
    let height = |value: u64| {
        let scaled = (u128::from(value) * u128::from(HEIGHT)).div_ceil(u128::from(most));
        u64::try_from(scaled).unwrap_or(HEIGHT)
    };
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
        assert!(bars(&[], "events", |_| String::new()).into_string().contains("highest 0"));
    }
}

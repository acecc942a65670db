//! The page of tags, and the completion of names.

use std::cmp::Ordering;
use std::sync::Arc;

use annals::{NameCount, NameKind};
use axum::Extension;
use axum::extract::{RawQuery, State};
use maud::html;

use super::builder::options;
use super::chart::ranking;
use super::failure::Failed;
use super::layout::Html;
use super::params::Params;
use super::scans::Scans;
use super::text::{counted, shown, tag_url, url};
use crate::fault::{Fault, Kind};
use crate::segment::Segment;
use crate::shared::Shared;

/// The number of tags on a page.
const PAGE: usize = 100;
/// The number of names that complete a field.
const COMPLETIONS: usize = 30;

/// Returns the page of tags.
pub(super) async fn page(
    State(shared): State<Arc<Shared>>,
    Extension(scans): Extension<Scans>,
    RawQuery(query): RawQuery,
) -> Result<Html, Failed> {
    let params = Params::parse(query.as_deref());
    let prefix = params.exact("prefix").unwrap_or_default();
    let by_name = params.text("order") == Some("name");
    let skipped = usize::try_from(params.number("skip")?.unwrap_or(0)).unwrap_or(usize::MAX);
    let (all, shown_tags) = scans
        .names(&shared, NameKind::Tag, prefix, move |mut found| {
            if by_name {
                found.sort_unstable_by(|one, other| one.name.cmp(&other.name));
            } else {
                found.sort_unstable_by(most_first);
            }
            let page = found.iter().skip(skipped).take(PAGE);
            let page: Vec<(String, u64)> =
                page.map(|found| (found.name.clone(), found.count)).collect();
            (found.len(), page)
        })
        .await?;
    let order = if by_name { "name" } else { "count" };
    let link = |skip: usize| {
        url("/ui/tags", &[("prefix", prefix), ("order", order), ("skip", &skip.to_string())])
    };
    let body = html! {
        h1 { "Tags" }
        form.builder method="get" action="/ui/tags" {
            div.fields {
                label { "Tags that begin with" input name="prefix" value=(prefix) list="tags" maxlength="255"
                    autocomplete="off"
                    hx-get="/ui/suggest/tags" hx-trigger="focus once, input changed delay:150ms" hx-target="#tags"; }
                label { "Order"
                    select name="order" {
                        option value="count" selected[!by_name] { "most events first" }
                        option value="name" selected[by_name] { "by name" }
                    }
                }
            }
            div.buttons { button.main { "Show tags" } a href="/ui/tags" { "Clear" } }
            datalist #tags {}
        }
        p { (counted(all as u64, "tag")) @if !prefix.is_empty() { " with the prefix " (shown(prefix)) } }
        @if shown_tags.is_empty() {
            p.empty { "No tags." }
        } @else {
            (ranking(&shown_tags, "Tag", tag_url))
        }
        nav.pager aria-label="Pages of tags" {
            @if skipped > 0 { a.button rel="prev" href=(link(skipped.saturating_sub(PAGE))) { "Previous" } }
            @if skipped.saturating_add(PAGE) < all { a.button rel="next" href=(link(skipped + PAGE)) { "Next" } }
        }
    };
    Ok(Html::page("Tags", "/ui/tags", &body))
}

/// Returns the names that complete a field.
pub(super) async fn suggest(
    State(shared): State<Arc<Shared>>,
    Extension(scans): Extension<Scans>,
    Segment(list, ..): Segment<Failed>,
    RawQuery(query): RawQuery,
) -> Result<Html, Failed> {
    let params = Params::parse(query.as_deref());
    let kind = match &*list {
        "types" => NameKind::Type,
        "tags" => NameKind::Tag,
        _ => {
            return Err(Failed(Fault::new(Kind::NotFound, "there are lists of types and of tags")));
        }
    };
    // The last one is what the user typed; a field may have a prefix for the time before that.
    let typed = params.all().map(|(_, value)| value).filter(|value| !value.is_empty());
    let prefix = typed.last().unwrap_or_default();
    // A log may have millions of tags, so the list of tags begins with the first letter.
    if prefix.is_empty() && kind == NameKind::Tag {
        return Ok(Html::part(options(&[])));
    }
    let names = scans.names(&shared, kind, prefix, |mut found| {
        found.sort_unstable_by(most_first);
        found.truncate(COMPLETIONS);
        found.into_iter().map(|found| found.name).collect::<Vec<String>>()
    });
    Ok(Html::part(options(&names.await?)))
}

/// Orders names by their number of events, the largest first.
fn most_first(one: &NameCount, other: &NameCount) -> Ordering {
    other.count.cmp(&one.count).then_with(|| one.name.cmp(&other.name))
}

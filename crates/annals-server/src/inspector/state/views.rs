//! All projections that the page of states can show.

use std::sync::Arc;

use super::builtin::{Counts, Merge};
use super::view::View;

/// All that the page can show: the projections of the program, and those that every server has.
#[derive(Clone)]
pub(crate) struct Views(Arc<Vec<Box<dyn View>>>);

impl Views {
    pub(crate) fn new(mut views: Vec<Box<dyn View>>) -> Self {
        views.push(Box::new(Counts));
        views.push(Box::new(Merge));
        Self(Arc::new(views))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &dyn View> {
        self.0.iter().map(|view| &**view)
    }

    pub(super) fn find(&self, name: &str) -> Option<&dyn View> {
        self.all().find(|view| view.name() == name)
    }
}

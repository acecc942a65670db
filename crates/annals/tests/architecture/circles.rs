//! Circles: parts of one folder that depend on each other, whatever the way.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Source;

/// A folder, and what depends on each other in it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Circle {
    /// The folder; empty for the root.
    pub(crate) folder: String,
    /// Files and folders in it, and `mod` for the folder's own file.
    pub(crate) parts: Vec<String>,
    /// An arrow of it for each part: the file that depends, and on which.
    pub(crate) arrows: Vec<(String, String)>,
}

/// Returns the circles in every folder of a crate.
pub(crate) fn circles(source: &Source) -> Vec<Circle> {
    let arrows = source.arrows();
    let mut circles = Vec::new();
    for folder in 0..source.modules.len() {
        if source.of_file(folder) == folder && !source.modules[folder].children.is_empty() {
            circles.extend(circles_in(source, folder, &arrows));
        }
    }
    circles
}

fn circles_in(source: &Source, folder: usize, arrows: &BTreeSet<(usize, usize)>) -> Vec<Circle> {
    // From part to part, with the first files that show it.
    let mut between: BTreeMap<(usize, usize), (usize, usize)> = BTreeMap::new();
    for &(from, to) in arrows {
        let parts = part_of(source, folder, from).zip(part_of(source, folder, to));
        if let Some(parts) = parts.filter(|(from, to)| from != to) {
            between.entry(parts).or_insert((from, to));
        }
    }
    let reached = |start: usize| {
        let (mut reached, mut open) = (BTreeSet::new(), vec![start]);
        while let Some(at) = open.pop() {
            let next = between.keys().filter(|(from, to)| *from == at && !reached.contains(to));
            let next: Vec<usize> = next.map(|(_, to)| *to).collect();
            reached.extend(next.iter().copied());
            open.extend(next);
        }
        reached
    };
    let parts: BTreeSet<usize> = between.keys().map(|(from, _)| *from).collect();
    let reached: BTreeMap<usize, BTreeSet<usize>> =
        parts.iter().map(|&part| (part, reached(part))).collect();
    let mut circles: BTreeSet<BTreeSet<usize>> = BTreeSet::new();
    for (part, others) in &reached {
        if others.contains(part) {
            let both = |other: &&usize| reached.get(other).is_some_and(|back| back.contains(part));
            circles.insert(others.iter().filter(both).copied().collect());
        }
    }
    let circle = |parts: BTreeSet<usize>| Circle {
        folder: path_of(source, folder),
        parts: parts.iter().map(|&part| name_in(source, folder, part)).collect(),
        arrows: between
            .iter()
            .filter(|((from, to), _)| parts.contains(from) && parts.contains(to))
            .map(|(_, (from, to))| (path_of(source, *from), path_of(source, *to)))
            .collect(),
    };
    let mut circles: Vec<Circle> = circles.into_iter().map(circle).collect();
    for circle in &mut circles {
        circle.parts.sort();
    }
    circles
}

/// The child of the folder that a module is in; the folder itself for its own file; `None` elsewhere.
fn part_of(source: &Source, folder: usize, module: usize) -> Option<usize> {
    if module == folder {
        return Some(folder);
    }
    let mut at = module;
    while let Some(parent) = source.modules[at].parent {
        if parent == folder {
            return Some(at);
        }
        at = parent;
    }
    None
}

/// The names from the root to a module, with `/` between; empty for the root.
pub(crate) fn path_of(source: &Source, module: usize) -> String {
    let mut names = Vec::new();
    let mut at = module;
    while let Some(parent) = source.modules[at].parent {
        names.push(name_in(source, parent, at));
        at = parent;
    }
    names.reverse();
    names.join("/")
}

fn name_in(source: &Source, folder: usize, part: usize) -> String {
    let children = &source.modules[folder].children;
    let found = children.iter().find(|&(_, &child)| child == part);
    found.map_or_else(|| "mod".to_owned(), |(name, _)| name.clone())
}

//! A crate's source as modules that name each other: what each file imports, and the paths in its code.
//!
//! Files are read as tokens, which is enough for paths, also inside macros. What is compiled for tests only is left
//! out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A module: a file, or a part of one.
#[derive(Debug, Default)]
pub(crate) struct Module {
    pub(crate) file: PathBuf,
    pub(crate) parent: Option<usize>,
    pub(crate) children: BTreeMap<String, usize>,
    /// Names that a `use` brings in, and whence.
    imports: BTreeMap<String, Vec<String>>,
    /// Modules all of whose names a `use` brings in.
    globs: Vec<Vec<String>>,
    /// Names of what the module defines.
    defined: BTreeSet<String>,
    /// Paths that the module names, and whether it only shows what they lead to.
    paths: Vec<(Vec<String>, bool)>,
}

/// The target of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Module(usize),
    /// Something that is defined in this module.
    In(usize),
}

/// The modules of a crate; the first is its root.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) modules: Vec<Module>,
}

impl Source {
    /// Reads a crate from the file of its root.
    pub(crate) fn read(root: &Path) -> Self {
        let mut source = Self::default();
        let directory = root.parent().expect("a file is in a directory").to_owned();
        source.read_file(root.to_owned(), None, &directory);
        source
    }

    /// Reads the module in `file`, whose children are in `directory`.
    fn read_file(&mut self, file: PathBuf, parent: Option<usize>, directory: &Path) -> usize {
        let text = fs::read_to_string(&file).expect("the file is read");
        let tokens: TokenStream = text.parse().expect("the file is Rust");
        let module = self.add(file, parent);
        self.read_items(module, tokens, directory);
        module
    }

    fn add(&mut self, file: PathBuf, parent: Option<usize>) -> usize {
        self.modules.push(Module { file, parent, ..Module::default() });
        self.modules.len() - 1
    }

    fn read_items(&mut self, module: usize, tokens: TokenStream, directory: &Path) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        let mut public = false;
        while let Some(token) = tokens.get(at) {
            if let Some(attribute) = attribute(&tokens[at..]) {
                if is_for_tests(&attribute) {
                    at = behind_item(&tokens, at + 2);
                } else {
                    self.read_code(module, attribute);
                    at += 2;
                }
                continue;
            }
            match (word(token).as_str(), tokens.get(at + 1)) {
                ("pub", next) => {
                    public = true;
                    at += 1 + usize::from(group(next, Delimiter::Parenthesis).is_some());
                    continue;
                }
                ("use", Some(_)) => {
                    let end = at + tokens[at..].iter().take_while(|token| !is(token, ';')).count();
                    self.read_use(module, &tokens[at + 1..end], &[], public);
                    at = end;
                }
                ("mod", Some(name)) => {
                    let name = word(name);
                    let child = directory.join(&name);
                    let read = if let Some(inline) = group(tokens.get(at + 2), Delimiter::Brace) {
                        let inner = self.add(self.modules[module].file.clone(), Some(module));
                        self.read_items(inner, inline, &child);
                        inner
                    } else {
                        let single = child.with_extension("rs");
                        let file = if single.exists() { single } else { child.join("mod.rs") };
                        self.read_file(file, Some(module), &child)
                    };
                    self.modules[module].children.insert(name, read);
                    at += 2;
                }
                (keyword, Some(name)) => {
                    self.read_definition(module, keyword, name, tokens.get(at + 2));
                    at = self.read_path_or_group(module, &tokens, at);
                    public = false;
                    continue;
                }
                _ => at = self.read_path_or_group(module, &tokens, at) - 1,
            }
            public = false;
            at += 1;
        }
    }

    fn read_definition(
        &mut self,
        module: usize,
        keyword: &str,
        name: &TokenTree,
        next: Option<&TokenTree>,
    ) {
        let kinds = ["fn", "struct", "enum", "union", "trait", "type", "const", "static"];
        let name = match keyword {
            "macro_rules" => next.map(word).unwrap_or_default(),
            _ if kinds.contains(&keyword) => word(name),
            _ => return,
        };
        self.modules[module].defined.insert(name);
    }

    /// Reads a tree of imports behind `prefix`.
    fn read_use(&mut self, module: usize, tree: &[TokenTree], prefix: &[String], public: bool) {
        let mut path = prefix.to_vec();
        let mut at = 0;
        while let Some(token) = tree.get(at) {
            if let Some(branches) = group(Some(token), Delimiter::Brace) {
                let branches: Vec<TokenTree> = branches.into_iter().collect();
                for branch in branches.split(|token| is(token, ',')) {
                    self.read_use(module, branch, &path, public);
                }
                return;
            }
            match word(token).as_str() {
                "as" => {
                    let name = tree.get(at + 1).map(word).unwrap_or_default();
                    return self.import(module, name, path, public);
                }
                "" if is(token, '*') => {
                    self.modules[module].globs.push(path.clone());
                    self.modules[module].paths.push((path, public));
                    return;
                }
                "" => {}
                "self" if !path.is_empty() => {}
                name => path.push(name.to_owned()),
            }
            at += 1;
        }
        if path.len() > prefix.len() || !path.is_empty() && !tree.is_empty() {
            let name = path.last().cloned().unwrap_or_default();
            self.import(module, name, path, public);
        }
    }

    fn import(&mut self, module: usize, name: String, path: Vec<String>, public: bool) {
        self.modules[module].imports.insert(name, path.clone());
        self.modules[module].paths.push((path, public));
    }

    /// Reads paths in code that is not made of items.
    fn read_code(&mut self, module: usize, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            if let Some(attribute) = attribute(&tokens[at..])
                && is_for_tests(&attribute)
            {
                at = behind_item(&tokens, at + 2);
            } else {
                at = self.read_path_or_group(module, &tokens, at);
            }
        }
    }

    /// Reads the path or the group that begins at `at`; returns where it ends.
    fn read_path_or_group(&mut self, module: usize, tokens: &[TokenTree], at: usize) -> usize {
        match &tokens[at] {
            TokenTree::Group(inner) => self.read_code(module, inner.stream()),
            // A path in an attribute, such as those of serde.
            TokenTree::Literal(text) => {
                let text = text.to_string();
                let path: Vec<String> =
                    text.trim_matches('"').split("::").map(str::to_owned).collect();
                if path.len() > 1 && ["crate", "super", "self"].contains(&path[0].as_str()) {
                    self.modules[module].paths.push((path, false));
                }
            }
            TokenTree::Ident(first) => {
                let (mut path, mut end) = (vec![first.to_string()], at + 1);
                while let [colon, other, name @ TokenTree::Ident(_), ..] = &tokens[end..]
                    && is(colon, ':')
                    && is(other, ':')
                {
                    path.push(word(name));
                    end += 3;
                }
                // `use<…>` says what a type captures.
                let is_import = path[0] == "use" && !tokens.get(end).is_some_and(|it| is(it, '<'));
                if is_import {
                    let rest = &tokens[at + 1..];
                    let size = rest.iter().take_while(|token| !is(token, ';')).count();
                    self.read_use(module, &rest[..size], &[], false);
                    return at + 1 + size;
                }
                // Behind `::` it is the rest of a path of generics, or of another crate.
                if path.len() > 1 && (at == 0 || !is(&tokens[at - 1], ':')) {
                    self.modules[module].paths.push((path, false));
                }
                return end;
            }
            TokenTree::Punct(_) => {}
        }
        at + 1
    }

    /// The files that each module's file depends on, by their modules. To show what is below oneself is not to depend
    /// on it.
    pub(crate) fn arrows(&self) -> BTreeSet<(usize, usize)> {
        let mut arrows = BTreeSet::new();
        for (from, module) in self.modules.iter().enumerate() {
            for (path, public) in &module.paths {
                let Some(Target::Module(to) | Target::In(to)) = self.resolve(from, path, 0) else {
                    continue;
                };
                let (from, to) = (self.of_file(from), self.of_file(to));
                if from != to && !(*public && self.is_below(to, from)) {
                    arrows.insert((from, to));
                }
            }
        }
        arrows
    }

    /// The module that is the whole file of this one.
    pub(crate) fn of_file(&self, mut module: usize) -> usize {
        while let Some(parent) = self.modules[module].parent
            && self.modules[parent].file == self.modules[module].file
        {
            module = parent;
        }
        module
    }

    /// Whether a module is inside another.
    pub(crate) fn is_below(&self, module: usize, above: usize) -> bool {
        let mut at = self.modules[module].parent;
        while let Some(parent) = at {
            if parent == above {
                return true;
            }
            at = self.modules[parent].parent;
        }
        false
    }

    /// Returns the target of a path from a module; `None` if it is outside of the crate.
    fn resolve(&self, from: usize, path: &[String], depth: usize) -> Option<Target> {
        assert!(depth < 64, "{path:?} leads in a circle");
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => 0,
            "self" => from,
            "super" => self.modules[from].parent?,
            _ => match self.step(from, first, depth)? {
                Target::Module(module) => module,
                found @ Target::In(_) => return Some(found),
            },
        };
        while let Some((name, next)) = rest.split_first() {
            rest = next;
            if name == "super" {
                at = self.modules[at].parent?;
                continue;
            }
            match self.step(at, name, depth) {
                Some(Target::Module(module)) => at = module,
                Some(found @ Target::In(_)) => return Some(found),
                // Of a macro, perhaps: then it is where it is named.
                None if self.modules[at].imports.contains_key(name) => return None,
                None => return Some(Target::In(at)),
            }
        }
        Some(Target::Module(at))
    }

    /// Returns the target of a name in a module.
    fn step(&self, at: usize, name: &str, depth: usize) -> Option<Target> {
        let module = &self.modules[at];
        if module.defined.contains(name) {
            return Some(Target::In(at));
        }
        if let Some(&child) = module.children.get(name) {
            return Some(Target::Module(child));
        }
        if let Some(path) = module.imports.get(name) {
            // A crate of that name, as in `use bytes::Bytes` beside `mod bytes`, is not looked for in here again.
            return (path[0] != name).then(|| self.resolve(at, path, depth + 1)).flatten();
        }
        module.globs.iter().find_map(|path| {
            let Some(Target::Module(from)) = self.resolve(at, path, depth + 1) else { return None };
            (from != at).then(|| self.step(from, name, depth + 1)).flatten()
        })
    }
}

/// The attribute that begins here: what is in its brackets.
fn attribute(tokens: &[TokenTree]) -> Option<TokenStream> {
    match tokens {
        [hash, brackets, ..] if is(hash, '#') => group(Some(brackets), Delimiter::Bracket),
        _ => None,
    }
}

/// Whether what bears this attribute is compiled for tests only.
fn is_for_tests(attribute: &TokenStream) -> bool {
    let text = attribute.to_string().replace(' ', "");
    ["cfg(test)", "cfg(doctest)", "cfg(all(test,"].iter().any(|start| text.starts_with(start))
}

/// Where the item ends that begins at `at`.
fn behind_item(tokens: &[TokenTree], mut at: usize) -> usize {
    while let Some(token) = tokens.get(at) {
        at += 1;
        if is(token, ';') || group(Some(token), Delimiter::Brace).is_some() {
            break;
        }
    }
    at
}

fn group(token: Option<&TokenTree>, delimiter: Delimiter) -> Option<TokenStream> {
    match token {
        Some(TokenTree::Group(group)) if group.delimiter() == delimiter => Some(group.stream()),
        _ => None,
    }
}

fn is(token: &TokenTree, punctuation: char) -> bool {
    matches!(token, TokenTree::Punct(found) if found.as_char() == punctuation)
}

/// The identifier or keyword; empty if it is none.
fn word(token: &TokenTree) -> String {
    match token {
        TokenTree::Ident(ident) => ident.to_string(),
        _ => String::new(),
    }
}

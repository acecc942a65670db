//! Checks that serde's attributes read what they write. Refuses fields that cannot be read back and names used twice.

use std::collections::HashMap;

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Lit, Member, Meta, MetaNameValue, Token};

use crate::errors::Errors;
use crate::model::Field;
use crate::serde::key;
use crate::shape::Shape;

/// Returns whether serde converts the type from or into another one. Then the attributes of the fields do not decide
/// what is written and read.
pub(crate) fn converts(container: &[Meta]) -> bool {
    let converts = ["from", "try_from", "into", "remote"];
    container.iter().any(|meta| converts.contains(&&*key(meta)))
}

/// Checks the fields of a payload whose type has the attributes `container`.
pub(crate) fn check(fields: &[Field], container: &[Meta], errors: &mut Errors) {
    if converts(container) {
        return;
    }
    let named = fields.iter().filter_map(|field| match &field.member {
        Member::Named(ident) if !has(field, "flatten") => Some((field, ident.unraw().to_string())),
        _ => None,
    });
    let (mut written, mut read) = (HashMap::new(), HashMap::new());
    for (field, ident) in named {
        if !default(container) {
            refuse_left_out(field, errors);
        }
        let (writes, reads) = (Way::Serialize, Way::Deserialize);
        let name = |way| {
            let own = names(&field.serde, "rename", way).pop();
            own.unwrap_or_else(|| {
                let rule = names(container, "rename_all", way).pop();
                Name { text: renamed(&ident, rule.as_ref()), span: field.member.span() }
            })
        };
        let is_written = !has(field, "skip") && !has(field, "skip_serializing");
        let is_read = !has(field, "skip") && !has(field, "skip_deserializing");
        let written_as = name(writes);
        let mut read_as = vec![name(reads)];
        read_as.extend(names(&field.serde, "alias", reads));
        if is_written && is_read && read_as.iter().all(|read| read.text != written_as.text) {
            errors.at(
                written_as.span,
                format!(
                    "`{ident}` is written as {:?} and read as {:?}, so it cannot be read back; use one name, or add the \
                     written name as an `alias`",
                    written_as.text, read_as[0].text
                ),
            );
        }
        let refused = is_written && is_met(&mut written, &written_as, &ident, errors);
        for name in read_as.iter().filter(|_| is_read && !refused) {
            is_met(&mut read, name, &ident, errors);
        }
    }
}

/// Refuses a field that may be left out when it is written but must be present when it is read.
fn refuse_left_out(field: &Field, errors: &mut Errors) {
    let left_out = field
        .serde
        .iter()
        .find(|meta| ["skip_serializing_if", "skip_serializing"].contains(&&*key(meta)));
    let Some(meta) = left_out else { return };
    // serde reads an absent Option as None, unless the user's function reads it.
    let is_option = matches!(Shape::of(&field.ty), Shape::Perhaps(_))
        && !has(field, "with")
        && !has(field, "deserialize_with");
    if is_option || default(&field.serde) || has(field, "skip_deserializing") {
        return;
    }
    errors.at(
        meta.span(),
        format!(
            "an event without this field could not be read back; add `default` beside `{}`, so that the absent field \
             has a value",
            key(meta)
        ),
    );
}

/// Returns whether another field has this name already, and reports that as an error.
fn is_met(
    known: &mut HashMap<String, String>,
    name: &Name,
    ident: &str,
    errors: &mut Errors,
) -> bool {
    let other = known.entry(name.text.clone()).or_insert_with(|| ident.to_owned());
    if other == ident {
        return false;
    }
    errors.at(
        name.span,
        format!(
            "{:?} is the name of the field `{other}` in the payload already, and a payload with both cannot be read; \
             rename one of them",
            name.text
        ),
    );
    true
}

/// The direction in which a name is used.
#[derive(Clone, Copy)]
enum Way {
    Serialize,
    Deserialize,
}

/// A name in a payload, and its position in the source.
struct Name {
    text: String,
    span: Span,
}

/// Returns the values of `wanted` among `metas`, for one direction or for both.
fn names(metas: &[Meta], wanted: &str, way: Way) -> Vec<Name> {
    let mut names = Vec::new();
    for meta in metas.iter().filter(|meta| key(meta) == wanted) {
        match meta {
            Meta::NameValue(pair) => names.extend(name(pair)),
            Meta::List(list) => {
                type Pairs = Punctuated<MetaNameValue, Token![,]>;
                // serde refuses attributes that do not parse.
                let pairs = list.parse_args_with(Pairs::parse_terminated).unwrap_or_default();
                let side = match way {
                    Way::Serialize => "serialize",
                    Way::Deserialize => "deserialize",
                };
                names.extend(pairs.iter().filter(|pair| pair.path.is_ident(side)).filter_map(name));
            }
            Meta::Path(_) => {}
        }
    }
    names
}

fn name(pair: &MetaNameValue) -> Option<Name> {
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &pair.value else { return None };
    Some(Name { text: text.value(), span: text.span() })
}

/// Returns the name that serde's `rename_all` gives to the field `ident`.
fn renamed(ident: &str, rule: Option<&Name>) -> String {
    let pascal = || {
        let words = ident.split('_').map(|word| match word.split_at_checked(1) {
            Some((first, rest)) => first.to_ascii_uppercase() + rest,
            None => word.to_owned(),
        });
        words.collect::<String>()
    };
    match rule.map(|rule| rule.text.as_str()) {
        Some("UPPERCASE" | "SCREAMING_SNAKE_CASE") => ident.to_ascii_uppercase(),
        Some("PascalCase") => pascal(),
        Some("camelCase") => {
            let pascal = pascal();
            pascal
                .split_at_checked(1)
                .map_or(String::new(), |(first, rest)| first.to_ascii_lowercase() + rest)
        }
        Some("kebab-case") => ident.replace('_', "-"),
        Some("SCREAMING-KEBAB-CASE") => ident.to_ascii_uppercase().replace('_', "-"),
        _ => ident.to_owned(),
    }
}

fn has(field: &Field, wanted: &str) -> bool {
    field.serde.iter().any(|meta| key(meta) == wanted)
}

fn default(metas: &[Meta]) -> bool {
    metas.iter().any(|meta| key(meta) == "default")
}

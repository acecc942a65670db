//! `#[event(…)]`: which keys there are, and which of them go where; and attributes that allow lints.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::meta::ParseNestedMeta;
use syn::parse::Parse;
use syn::spanned::Spanned;
use syn::{Attribute, LitStr, Meta, Path, Token, Type};

use crate::errors::Errors;
use crate::name::{self, Use};

/// Where an attribute stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Struct,
    Enum,
    Variant,
    /// A field of a struct or a struct variant.
    Field,
    /// The one field of a newtype variant.
    Inner,
}

/// What the `#[event(…)]` attributes of one place say.
#[derive(Default)]
pub(crate) struct Settings {
    /// The event type.
    pub(crate) rename: Option<LitStr>,
    /// Older event types.
    pub(crate) aliases: Vec<LitStr>,
    /// The function that reads older payloads.
    pub(crate) upcast: Option<Path>,
    /// The codec.
    pub(crate) codec: Option<Type>,
    /// A tag each, with its name if it has one.
    pub(crate) tags: Vec<Option<LitStr>>,
    /// Where the field is said to be the id.
    pub(crate) id: Option<Span>,
}

impl Settings {
    /// Reads the `#[event(…)]` attributes among `attributes`.
    pub(crate) fn of(attributes: &[Attribute], place: Place, errors: &mut Errors) -> Self {
        let mut settings = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("event")) {
            if let Err(error) = attribute.parse_nested_meta(|meta| settings.read(&meta, place)) {
                errors.push(error);
            }
        }
        settings
    }

    fn read(&mut self, meta: &ParseNestedMeta<'_>, place: Place) -> syn::Result<()> {
        let key = meta.path.to_token_stream().to_string();
        match (key.as_str(), place) {
            ("rename", Place::Struct | Place::Variant) => {
                let name = name_of(meta, Use::EventType)?;
                once(meta, self.rename.replace(name).is_some())
            }
            ("alias", Place::Struct | Place::Variant) => {
                self.aliases.push(name_of(meta, Use::EventType)?);
                Ok(())
            }
            ("upcast", Place::Struct | Place::Variant) => {
                let upcast = value(meta, "a function: `upcast = path::to_function`")?;
                once(meta, self.upcast.replace(upcast).is_some())
            }
            ("codec", Place::Struct | Place::Enum) => {
                let codec = value(meta, "a type: `codec = path::ToCodec`")?;
                once(meta, self.codec.replace(codec).is_some())
            }
            ("tag", Place::Field) => {
                let named = meta.input.peek(Token![=]);
                self.tags.push(named.then(|| name_of(meta, Use::TagName)).transpose()?);
                Ok(())
            }
            ("id", Place::Field) if meta.input.peek(Token![=]) => {
                Err(meta.error("`id` takes no value: the field's own value is the id"))
            }
            ("id", Place::Field) => once(meta, self.id.replace(meta.path.span()).is_some()),
            (key, place) => Err(meta.error(refusal(key, place))),
        }
    }
}

/// The lints that `attributes` allow, allowed again where the macro repeats what they stand on, and the use of what is
/// deprecated.
pub(crate) fn allowances(attributes: &[Attribute]) -> TokenStream {
    let allowed = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("allow") || list.path.is_ident("expect") => {
            let lints = &list.tokens;
            Some(quote!(#[allow(#lints)]))
        }
        meta if meta.path().is_ident("deprecated") => Some(quote!(#[allow(deprecated)])),
        _ => None,
    });
    allowed.collect()
}

/// The name that a key is set to, if the log takes it.
fn name_of(meta: &ParseNestedMeta<'_>, used: Use) -> syn::Result<LitStr> {
    let literal: LitStr = value(meta, "a text in quotes")?;
    match name::fault(&literal.value(), used) {
        Some(fault) => Err(syn::Error::new(literal.span(), fault)),
        None => Ok(literal),
    }
}

/// What a key is set to, which should be what `expected` says.
fn value<T: Parse>(meta: &ParseNestedMeta<'_>, expected: &str) -> syn::Result<T> {
    let parsed = meta.value().and_then(syn::parse::ParseBuffer::parse);
    parsed.map_err(|error| {
        let key = meta.path.to_token_stream();
        syn::Error::new(error.span(), format!("`{key}` takes {expected}"))
    })
}

/// Refuses a key that was there before.
fn once(meta: &ParseNestedMeta<'_>, before: bool) -> syn::Result<()> {
    let key = meta.path.to_token_stream();
    if before {
        return Err(syn::Error::new(
            key.span(),
            format!("`{key}` stands here twice; keep one of them"),
        ));
    }
    Ok(())
}

/// Why `key` cannot stand at `place`, and where it can, or what can.
fn refusal(key: &str, place: Place) -> String {
    match (key, place) {
        ("rename", Place::Enum) => {
            "`rename` goes on a variant: an enum has an event type for each of its variants"
                .to_owned()
        }
        ("rename", Place::Field | Place::Inner) => {
            "`rename` sets an event type and goes on a variant or a struct; to \
             rename a field in the payload, write `#[serde(rename = \"…\")]`"
                .to_owned()
        }
        ("alias" | "upcast", Place::Enum) => {
            format!("`{key}` goes on a variant, the one whose older events it is about")
        }
        ("alias", Place::Field | Place::Inner) => {
            "`alias` is an older event type and goes on a variant or a struct; for an older name of a field in the \
             payload, write `#[serde(alias = \"…\")]`"
                .to_owned()
        }
        ("upcast", Place::Field | Place::Inner) => {
            "`upcast` reads older payloads as a whole and goes on a variant or a struct".to_owned()
        }
        ("codec", _) => {
            "`codec` goes on the enum or the struct: all of its payloads are encoded in one way"
                .to_owned()
        }
        ("tag" | "id", Place::Inner) => {
            format!(
                "the tags and the id of a newtype variant are those of its inner type: put `{key}` on a field there"
            )
        }
        ("tag" | "id", _) => format!("`{key}` goes on the field whose value it is to show"),
        _ => format!("there is no `{key}` for an event; {}", keys(place)),
    }
}

/// What can stand at `place`.
fn keys(place: Place) -> &'static str {
    match place {
        Place::Struct => {
            "a struct takes `rename = \"…\"`, `alias = \"…\"`, `upcast = …` and `codec = …`"
        }
        Place::Enum => "an enum takes `codec = …`",
        Place::Variant => "a variant takes `rename = \"…\"`, `alias = \"…\"` and `upcast = …`",
        Place::Field => "a field takes `tag = \"…\"`, `tag` and `id`",
        Place::Inner => {
            "the inner value of a newtype variant takes none, for all is said in its own type"
        }
    }
}

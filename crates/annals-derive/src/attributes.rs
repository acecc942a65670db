//! The `#[event(…)]` attributes: their keys, and where each key may stand. Also the attributes that allow lints.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::meta::ParseNestedMeta;
use syn::parse::Parse;
use syn::spanned::Spanned;
use syn::{Attribute, LitStr, Meta, Path, Token, Type};

use crate::errors::Errors;
use crate::model::Id;
use crate::name::{self, Use};

/// The part of the type that an attribute is on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Struct,
    Enum,
    Variant,
    /// A field of a struct or a struct variant.
    Field,
    /// The only field of a newtype variant.
    Inner,
}

/// The settings of the `#[event(…)]` attributes on one part of the type.
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
    /// Whether `no_names` is set.
    pub(crate) no_names: bool,
    /// The names of the tags. `None` is a tag without a name.
    pub(crate) tags: Vec<Option<LitStr>>,
    /// The position of `id`, and the prefix of the id, if the field is the id.
    pub(crate) id: Option<(Span, Id)>,
    /// The position of `metadata`, if the field has the event's metadata.
    pub(crate) metadata: Option<Span>,
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
                let upcast = value(
                    meta,
                    "the path of a function, without quotes: `upcast = path::to_function`",
                )?;
                once(meta, self.upcast.replace(upcast).is_some())
            }
            ("codec", Place::Struct | Place::Enum) => {
                let codec =
                    value(meta, "the path of a type, without quotes: `codec = path::ToCodec`")?;
                once(meta, self.codec.replace(codec).is_some())
            }
            ("no_names", Place::Struct | Place::Enum) => {
                once(meta, std::mem::replace(&mut self.no_names, true))
            }
            ("tag", Place::Field) => {
                let named = meta.input.peek(Token![=]);
                self.tags.push(named.then(|| name_of(meta, Use::TagName)).transpose()?);
                Ok(())
            }
            ("id", Place::Field) => {
                let prefixed = meta.input.peek(Token![=]);
                let prefix = prefixed.then(|| name_of(meta, Use::IdPrefix)).transpose()?;
                once(meta, self.id.replace((meta.path.span(), Id { prefix })).is_some())
            }
            ("metadata", Place::Field) if meta.input.peek(Token![=]) => Err(meta.error(
                "`metadata` takes no value; the field has all metadata of the event, by name",
            )),
            ("metadata", Place::Field) => {
                once(meta, self.metadata.replace(meta.path.span()).is_some())
            }
            (key, place) => Err(meta.error(refusal(key, place))),
        }
    }
}

/// Returns attributes that allow the lints that `attributes` allow, for code in which the macro repeats the user's
/// code. They also allow the use of a deprecated item.
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

/// Returns the name that a key is set to, if it is valid in the log.
fn name_of(meta: &ParseNestedMeta<'_>, used: Use) -> syn::Result<LitStr> {
    let literal: LitStr = value(meta, "a string in quotes")?;
    match name::fault(&literal.value(), used) {
        Some(fault) => Err(syn::Error::new(literal.span(), fault)),
        None => Ok(literal),
    }
}

/// Returns the value that a key is set to. `expected` describes it in the error.
fn value<T: Parse>(meta: &ParseNestedMeta<'_>, expected: &str) -> syn::Result<T> {
    let parsed = meta.value().and_then(syn::parse::ParseBuffer::parse);
    parsed.map_err(|error| {
        let key = meta.path.to_token_stream();
        syn::Error::new(error.span(), format!("`{key}` takes {expected}"))
    })
}

/// Refuses a key that is given a second time.
fn once(meta: &ParseNestedMeta<'_>, before: bool) -> syn::Result<()> {
    let key = meta.path.to_token_stream();
    if before {
        return Err(syn::Error::new(key.span(), format!("duplicate `{key}`; remove one of them")));
    }
    Ok(())
}

/// Returns the error for a `key` that may not stand at `place`: where it may stand, or which keys may stand here.
fn refusal(key: &str, place: Place) -> String {
    match (key, place) {
        ("rename", Place::Enum) => {
            "`rename` goes on a variant, because each variant of an enum has its own event type"
                .to_owned()
        }
        ("rename", Place::Field | Place::Inner) => {
            "`rename` sets an event type and goes on a variant or a struct; to rename a field in the payload, write \
             `#[serde(rename = \"…\")]`"
                .to_owned()
        }
        ("alias" | "upcast", Place::Enum) => {
            format!("`{key}` goes on the variant whose older events it is about")
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
            "`codec` goes on the enum or the struct, because all of its payloads have the same encoding"
                .to_owned()
        }
        ("no_names", _) => "`no_names` goes on the enum or the struct as a whole".to_owned(),
        ("tag" | "id", Place::Inner) => {
            format!(
                "the tags and the id of a newtype variant are those of its inner type; put `{key}` on a field of that type"
            )
        }
        ("metadata", Place::Inner) => {
            "the metadata of a newtype variant is that of its inner type; put `metadata` on a field of that type"
                .to_owned()
        }
        ("tag" | "id" | "metadata", _) => format!("`{key}` goes on the field that has the value"),
        _ => format!("unknown key `{key}`; {}", keys(place)),
    }
}

/// Returns the keys that may stand at `place`.
fn keys(place: Place) -> &'static str {
    match place {
        Place::Struct => {
            "a struct takes `rename = \"…\"`, `alias = \"…\"`, `upcast = …`, `codec = …` and `no_names`"
        }
        Place::Enum => "an enum takes `codec = …` and `no_names`",
        Place::Variant => "a variant takes `rename = \"…\"`, `alias = \"…\"` and `upcast = …`",
        Place::Field => "a field takes `tag = \"…\"`, `tag`, `id = \"…\"`, `id` and `metadata`",
        Place::Inner => {
            "the inner value of a newtype variant takes no keys; put them into its own type"
        }
    }
}

//! The `#[serde(…)]` attributes that shape a payload, and their form on a payload of references.
//!
//! A payload is encoded from references, so a field of type `T` is a `&T` there. A function that an attribute names
//! takes a `&T`, but serde would pass a `&&T`, which a generic function may not accept. The macro therefore writes a
//! function that removes one reference and calls the user's.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, ExprLit, ExprPath, Lit, Meta, Path, Token, Type, parse_quote};

use crate::errors::Errors;

/// A field's attributes on a payload of references.
#[derive(Default)]
pub(crate) struct Borrowed {
    /// The attributes.
    pub(crate) metas: Vec<Meta>,
    /// The functions that the attributes name.
    pub(crate) functions: TokenStream,
}

/// Returns the contents of the `#[serde(…)]` attributes among `attributes`.
pub(crate) fn metas(attributes: &[Attribute], errors: &mut Errors) -> Vec<Meta> {
    let mut metas = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        match attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated) {
            Ok(found) => metas.extend(found),
            Err(error) => errors.push(error),
        }
    }
    metas
}

/// Returns the attributes of an enum and of its variant that shape the variant's payload.
pub(crate) fn shaping(of_enum: &[Meta], of_variant: Vec<Meta>, errors: &mut Errors) -> Vec<Meta> {
    let mut shaping = Vec::new();
    for meta in of_variant {
        match key(&meta).as_str() {
            "rename_all" | "deny_unknown_fields" => shaping.push(meta),
            // These set the variant's name and how serde distinguishes variants. In the log the event type does both.
            "rename" | "alias" | "skip" | "skip_serializing" | "skip_deserializing" | "other" | "untagged" | "borrow"
            | "bound" => {}
            key => errors.at(
                meta.span(),
                format!(
                    "`{key}` on a variant does not change the payload of an event; put it on the fields or on the inner \
                     type (a variant takes `rename_all` and `deny_unknown_fields`)"
                ),
            ),
        }
    }
    for meta in of_enum {
        let meta = match key(meta).as_str() {
            "deny_unknown_fields" => meta.clone(),
            "rename_all_fields" => with_key(meta.clone(), parse_quote!(rename_all)),
            _ => continue,
        };
        // An attribute of the variant overrides the enum's.
        if shaping.iter().all(|known| key(known) != key(&meta)) {
            shaping.push(meta);
        }
    }
    shaping
}

/// Returns the attributes `metas` of the field number `index`, of type `ty`, for a payload of references. Returns
/// `None` if they skip the field.
pub(crate) fn borrowed(metas: &[Meta], index: usize, ty: &TokenStream) -> Option<Borrowed> {
    let mut borrowed = Borrowed::default();
    for meta in metas {
        let key = key(meta);
        match (key.as_str(), named(meta)) {
            ("skip" | "skip_serializing", _) => return None,
            ("skip_serializing_if", Some(function)) => {
                let name = format_ident!("__annals_skip_{index}");
                borrowed.functions.extend(quote_spanned! {at(&function)=>
                    fn #name(value: &&#ty) -> ::core::primitive::bool {
                        #function(*value)
                    }
                });
                borrowed.metas.push(set(meta, "skip_serializing_if", &name));
            }
            ("with" | "serialize_with", Some(mut function)) => {
                if key == "with" {
                    function.path.segments.push(parse_quote!(serialize));
                }
                let name = format_ident!("__annals_serialize_{index}");
                borrowed.functions.extend(quote_spanned! {at(&function)=>
                    fn #name<__S: ::annals::__private::serde::Serializer>(
                        value: &&#ty,
                        serializer: __S,
                    ) -> ::core::result::Result<__S::Ok, __S::Error> {
                        #function(*value, serializer)
                    }
                });
                borrowed.metas.push(set(meta, "serialize_with", &name));
            }
            _ => borrowed.metas.push(meta.clone()),
        }
    }
    Some(borrowed)
}

/// Returns the type `ty` with `Self` replaced by the event's name. Inside a payload, `Self` would be the payload.
pub(crate) fn without_self(ty: &Type, ident: &syn::Ident) -> TokenStream {
    fn replace(tokens: TokenStream, ident: &syn::Ident) -> TokenStream {
        let replaced = tokens.into_iter().map(|token| match token {
            proc_macro2::TokenTree::Ident(name) if name == "Self" => ident.clone().into(),
            proc_macro2::TokenTree::Group(group) => {
                let mut inner =
                    proc_macro2::Group::new(group.delimiter(), replace(group.stream(), ident));
                inner.set_span(group.span());
                inner.into()
            }
            token => token,
        });
        replaced.collect()
    }
    replace(ty.to_token_stream(), ident)
}

/// Returns the first word of an attribute.
pub(crate) fn key(meta: &Meta) -> String {
    meta.path().to_token_stream().to_string()
}

fn with_key(mut meta: Meta, key: Path) -> Meta {
    match &mut meta {
        Meta::Path(path) => *path = key,
        Meta::List(list) => list.path = key,
        Meta::NameValue(pair) => pair.path = key,
    }
    meta
}

/// Returns the path in an attribute's string. Returns `None` if the string has none, and then serde reports the error.
fn named(meta: &Meta) -> Option<ExprPath> {
    let Meta::NameValue(pair) = meta else { return None };
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &pair.value else { return None };
    text.parse().ok()
}

/// Returns a hygienic span for the macro's code, whose errors are shown at `function`.
fn at(function: &ExprPath) -> Span {
    Span::mixed_site().located_at(function.span())
}

fn set(meta: &Meta, key: &str, function: &syn::Ident) -> Meta {
    let key = syn::Ident::new(key, meta.span());
    let function = function.to_string();
    let tokens = quote!(#key = #function);
    parse_quote!(#tokens)
}

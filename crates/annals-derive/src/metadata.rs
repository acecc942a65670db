//! The field that has an event's metadata: checks it, and writes `metadata` and `restore_metadata`.
//!
//! The log stores metadata beside the payload. So a variant's payload leaves the field out, and decoding fills it from
//! the record. A struct is its own payload, so the user's `#[serde(skip)]` leaves the field out there.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, Meta, Type, parse_quote};

use crate::attributes::{Place, Settings};
use crate::errors::Errors;
use crate::labels::arms;
use crate::model::{Event, Field};
use crate::serde;

/// Checks the attributes of a field that may have the metadata, and returns its attributes for serde. `known` is the
/// field that has the metadata already.
pub(crate) fn check(
    settings: &Settings,
    mut serde_metas: Vec<Meta>,
    known: Option<&Field>,
    place: Place,
    errors: &mut Errors,
) -> Vec<Meta> {
    let Some(span) = settings.metadata else { return serde_metas };
    if known.is_some() {
        errors.at(span, "another field has the event's metadata already; remove one `metadata`");
    }
    if settings.id.is_some() || !settings.tags.is_empty() {
        errors.at(
            span,
            "metadata is not part of an event's identity, so it is neither a tag nor the id; remove `tag` and `id` here",
        );
    }
    let is_skip = |meta: &Meta| serde::key(meta) == "skip";
    if place == Place::Struct {
        if !serde_metas.iter().any(is_skip) {
            errors.at(
                span,
                "metadata is stored beside the payload, and a struct is its own payload; add `#[serde(skip)]` to this field",
            );
        }
        return serde_metas;
    }
    for meta in serde_metas.iter().filter(|meta| !is_skip(meta)) {
        errors.at(
            meta.span(),
            "metadata is not part of the payload, so serde's attributes do not apply to it; remove this one",
        );
    }
    serde_metas.clear();
    serde_metas.push(parse_quote!(skip));
    serde_metas
}

/// Writes `metadata`.
pub(crate) fn write(event: &Event) -> Option<TokenStream> {
    let metadata = Ident::new("metadata", Span::mixed_site());
    let inner = |binding: &Ident, ty: &Type| quote!(<#ty as ::annals::Event>::metadata(#binding, #metadata));
    let own = |field: &Field| {
        let (ty, binding) = (&field.ty, &field.binding);
        quote_spanned!(ty.span()=> <#ty as ::annals::__private::MetadataField>::add_to(#binding, #metadata))
    };
    let arms = of_fields(event, inner, own)?;
    Some(quote! {
        fn metadata(&self, #metadata: &mut ::annals::Metadata) {
            match self { #arms }
        }
    })
}

/// Writes `restore_metadata`.
pub(crate) fn restore(event: &Event) -> Option<TokenStream> {
    let raw = Ident::new("raw", Span::mixed_site());
    let inner = |binding: &Ident, ty: &Type| quote!(<#ty as ::annals::Event>::restore_metadata(#binding, #raw));
    let own = |field: &Field| {
        let (binding, restored) = (&field.binding, restored(field, &raw));
        quote!({ *#binding = #restored; })
    };
    let arms = of_fields(event, inner, own)?;
    Some(quote! {
        fn restore_metadata(&mut self, #raw: &::annals::RawEvent) {
            match self { #arms }
        }
    })
}

/// Writes the value that a metadata field has when it is read from `raw`.
pub(crate) fn restored(field: &Field, raw: &Ident) -> TokenStream {
    let ty = &field.ty;
    quote_spanned!(ty.span()=> <#ty as ::annals::__private::MetadataField>::of(#raw))
}

/// Writes the arms of a method: `inner` for each newtype variant, and `own` for each field with metadata.
fn of_fields(
    event: &Event,
    inner: impl Fn(&Ident, &Type) -> TokenStream,
    own: impl Fn(&Field) -> TokenStream,
) -> Option<TokenStream> {
    let own = |case: &crate::model::Case| {
        case.fields.iter().filter(|field| field.metadata).map(&own).collect()
    };
    arms(event, &quote!({}), inner, |field| field.metadata, own)
}

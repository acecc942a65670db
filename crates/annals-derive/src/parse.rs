//! From what the user wrote to what the macro understands, or to errors that say what would be right.

use std::collections::HashMap;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DataEnum, DeriveInput, Fields, Ident, LitStr, Meta, Type, Variant};

use crate::attributes::{Place, Settings, allowances};
use crate::errors::Errors;
use crate::model::{Case, Event, Field, Payload};
use crate::name::{self, Use};
use crate::{round_trip, serde, shape};

/// The event that `input` is.
pub(crate) fn event(input: &DeriveInput) -> syn::Result<Event> {
    let mut errors = Errors::default();
    if let Some(lifetime) = input.generics.lifetimes().next() {
        errors.at(
            lifetime.span(),
            "an event borrows nothing, for it outlives its writer: own the data, for example a `String` for a `&str`",
        );
    }
    let (settings, cases) = match &input.data {
        Data::Struct(data) => {
            let mut settings = Settings::of(&input.attrs, Place::Struct, &mut errors);
            let case = struct_case(&input.ident, &data.fields, &mut settings, &mut errors);
            let container = serde::metas(&input.attrs, &mut errors);
            round_trip::check(&case.fields, &container, &mut errors);
            let cases = distinct(vec![case], &mut errors);
            (settings, cases)
        }
        Data::Enum(data) => {
            let settings = Settings::of(&input.attrs, Place::Enum, &mut errors);
            (settings, enum_cases(input, data, &mut errors))
        }
        Data::Union(data) => {
            errors.at(
                data.union_token.span(),
                "a union cannot be an event: make it a struct or an enum",
            );
            (Settings::default(), Vec::new())
        }
    };
    let codec = settings.codec.map_or_else(|| quote!(::annals::Json), ToTokens::into_token_stream);
    errors.finish(Event {
        ident: input.ident.clone(),
        generics: input.generics.clone(),
        allowances: allowances(&input.attrs),
        codec,
        cases,
    })
}

fn struct_case(
    ident: &Ident,
    fields: &Fields,
    settings: &mut Settings,
    errors: &mut Errors,
) -> Case {
    if let Fields::Unnamed(unnamed) = fields
        && unnamed.unnamed.len() != 1
    {
        errors.at(
            unnamed.span(),
            "an event that is a tuple struct has one field: name the fields, `{ name: Type, … }`, so that others can \
             join them; without fields, leave the parentheses away",
        );
    }
    Case {
        path: quote!(Self),
        ident: ident.clone(),
        allowances: TokenStream::new(),
        event_type: event_type(ident, settings.rename.take(), errors),
        aliases: std::mem::take(&mut settings.aliases),
        upcast: settings.upcast.take(),
        fields: labelled(fields, errors),
        payload: Payload::Itself,
    }
}

fn enum_cases(input: &DeriveInput, data: &DataEnum, errors: &mut Errors) -> Vec<Case> {
    // Lifetimes are refused already.
    if input.generics.type_params().next().is_some()
        || input.generics.const_params().next().is_some()
    {
        errors.at(
            input.generics.span(),
            "an enum of events is not generic: name the types in it, or put the generic part into a struct of its own",
        );
    }
    if data.variants.is_empty() {
        errors.at(
            input.ident.span(),
            "an enum of events needs a variant: one for everything that can happen",
        );
    }
    let of_enum = serde::metas(&input.attrs, errors);
    let cases = data.variants.iter().map(|variant| variant_case(variant, &of_enum, errors));
    let cases = cases.collect();
    distinct(cases, errors)
}

/// The cases, each event type of which leads to one of them only; those for which that is not so are refused.
fn distinct(cases: Vec<Case>, errors: &mut Errors) -> Vec<Case> {
    let mut known: HashMap<String, Ident> = HashMap::new();
    let mut is_new = |case: &Case| {
        let mut all_new = true;
        for event_type in case.event_types() {
            let name = event_type.value();
            if let Some(other) = known.get(&name) {
                errors.at(
                    event_type.span(),
                    format!(
                        "the event type {name:?} is that of `{other}` already: give one of them another, with \
                         `#[event(rename = \"…\")]`"
                    ),
                );
                all_new = false;
            }
            known.entry(name).or_insert_with(|| case.ident.clone());
        }
        all_new
    };
    cases.into_iter().filter(|case| is_new(case)).collect()
}

fn variant_case(variant: &Variant, of_enum: &[Meta], errors: &mut Errors) -> Case {
    let ident = &variant.ident;
    let settings = Settings::of(&variant.attrs, Place::Variant, errors);
    let of_variant = serde::metas(&variant.attrs, errors);
    refuse_names_for_serde(&of_variant, &settings, errors);
    let shaping = serde::shaping(of_enum, of_variant, errors);
    let (fields, payload) = match (&variant.fields, variant.fields.iter().next()) {
        (Fields::Unit, _) => (Vec::new(), Payload::None),
        (Fields::Named(_), _) => {
            let fields = labelled(&variant.fields, errors);
            round_trip::check(&fields, &shaping, errors);
            (fields, Payload::Fields(shaping))
        }
        (Fields::Unnamed(unnamed), Some(field)) if unnamed.unnamed.len() == 1 => {
            (Vec::new(), inner(field, errors))
        }
        (Fields::Unnamed(unnamed), _) => {
            errors.at(
                unnamed.span(),
                format!(
                    "a tuple variant of an event has one field, a type that is an event itself: name the fields, \
                     `{ident} {{ name: Type, … }}`, so that others can join them; without fields, write `{ident}`"
                ),
            );
            (Vec::new(), Payload::None)
        }
    };
    Case {
        path: quote!(Self::#ident),
        ident: ident.clone(),
        allowances: allowances(&variant.attrs),
        event_type: event_type(ident, settings.rename, errors),
        aliases: settings.aliases,
        upcast: settings.upcast,
        fields,
        payload,
    }
}

/// Refuses a name of a variant that only serde knows, where the log's own is meant to be another too.
fn refuse_names_for_serde(of_variant: &[Meta], settings: &Settings, errors: &mut Errors) {
    for meta in of_variant {
        let key = serde::key(meta);
        let given = match key.as_str() {
            "rename" => settings.rename.is_some(),
            "alias" => !settings.aliases.is_empty(),
            _ => true,
        };
        if !given {
            errors.at(
                meta.span(),
                format!(
                    "serde's `{key}` on a variant says nothing about the event type in the log: write \
                     `#[event({key} = \"…\")]` in its place, or beside it if the enum has serde's traits as well"
                ),
            );
        }
    }
}

/// The name given, or else `ident` in kebab-case.
fn event_type(ident: &Ident, rename: Option<LitStr>, errors: &mut Errors) -> LitStr {
    rename.unwrap_or_else(|| {
        let name = name::kebab_case(&ident.unraw().to_string());
        if let Some(fault) = name::fault(&name, Use::EventType) {
            errors
                .at(ident.span(), format!("{fault}; give another with `#[event(rename = \"…\")]`"));
        }
        LitStr::new(&name, ident.span())
    })
}

/// The fields of a struct or a struct variant, which may be tags and the id.
fn labelled(fields: &Fields, errors: &mut Errors) -> Vec<Field> {
    let mut id: Option<String> = None;
    let mut labelled = Vec::with_capacity(fields.len());
    for (field, member) in fields.iter().zip(fields.members()) {
        let settings = Settings::of(&field.attrs, Place::Field, errors);
        if let Some(span) = settings.id {
            if shape::has_many(&field.ty) {
                errors.at(
                    span,
                    "an event has one id, and this is any number of values; each can be a `tag`",
                );
            }
            if let Some(known) = &id {
                errors.at(span, format!("an event has one id, and `{known}` is it already"));
            } else {
                id = Some(member.to_token_stream().to_string());
            }
        }
        labelled.push(Field {
            allowances: allowances(&field.attrs),
            binding: binding(labelled.len(), &field.ty),
            ty: field.ty.clone(),
            tags: settings.tags,
            id: settings.id.is_some(),
            serde: serde::metas(&field.attrs, errors),
            member,
        });
    }
    labelled
}

/// The inner value of a newtype variant, which has its attributes in its own type.
fn inner(field: &syn::Field, errors: &mut Errors) -> Payload {
    Settings::of(&field.attrs, Place::Inner, errors);
    for meta in serde::metas(&field.attrs, errors) {
        errors.at(
            meta.span(),
            "the payload of a newtype variant is its inner value as that serializes itself: put serde's attributes \
             into the inner type",
        );
    }
    Payload::Inner { binding: binding(0, &field.ty), ty: Box::new(field.ty.clone()) }
}

/// A name that meets none of the user's; errors about it are shown at the field's type.
fn binding(index: usize, ty: &Type) -> Ident {
    format_ident!("field_{index}", span = Span::mixed_site().located_at(ty.span()))
}

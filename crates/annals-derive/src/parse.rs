//! Reads the user's type into the model, or returns errors that say what is wrong and what would be right.

use std::collections::HashMap;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DataEnum, DeriveInput, Fields, Ident, LitStr, Meta, Type, Variant};

use crate::attributes::{Place, Settings, allowances};
use crate::errors::Errors;
use crate::model::{Case, Event, Field, Payload};
use crate::name::{self, Use};
use crate::{associated, metadata, round_trip, serde, shape};

/// Reads the event that `input` declares.
pub(crate) fn event(input: &DeriveInput) -> syn::Result<Event> {
    let mut errors = Errors::default();
    if let Some(lifetime) = input.generics.lifetimes().next() {
        errors.at(
            lifetime.span(),
            "an event owns its data, so its type has no lifetime: remove the lifetime and use owned types, for example `String` \
             instead of `&str`",
        );
    }
    let has_lifetime = input.generics.lifetimes().next().is_some();
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
            errors
                .at(data.union_token.span(), "a union cannot be an event; use a struct or an enum");
            (Settings::default(), Vec::new())
        }
    };
    let names = !settings.no_names;
    if names {
        associated::check(&cases, &mut errors);
    }
    let codec = settings.codec.map_or_else(|| quote!(::annals::Json), ToTokens::into_token_stream);
    if !has_lifetime {
        refuse_borrowed(&input.data, &input.attrs, &mut errors);
    }
    errors.finish(Event {
        ident: input.ident.clone(),
        vis: input.vis.clone(),
        names,
        generics: input.generics.clone(),
        allowances: allowances(&input.attrs),
        codec,
        cases,
    })
}

/// Refuses fields that borrow. A type with a lifetime is refused as a whole, so its fields are not checked here.
fn refuse_borrowed(data: &Data, attributes: &[Attribute], errors: &mut Errors) {
    // The errors of these attributes are collected where the fields are read.
    let metas = |attributes| serde::metas(attributes, &mut Errors::default());
    if round_trip::converts(&metas(attributes)) {
        return;
    }
    let fields: Vec<_> = match data {
        Data::Struct(data) => data.fields.iter().collect(),
        Data::Enum(data) => data.variants.iter().flat_map(|variant| &variant.fields).collect(),
        Data::Union(_) => return,
    };
    for field in fields {
        let own = ["skip", "skip_deserializing", "with", "deserialize_with"];
        let is_read = !metas(&field.attrs).iter().any(|meta| own.contains(&&*serde::key(meta)));
        if is_read && let Type::Reference(reference) = shape::element(&field.ty) {
            let owned = match &*reference.elem {
                Type::Path(path) if path.path.is_ident("str") => "`String`".to_owned(),
                Type::Slice(slice) => format!("`Vec<{}>`", slice.elem.to_token_stream()),
                other => format!("`{}`", other.to_token_stream()),
            };
            errors.at(
                reference.span(),
                format!("an event owns its data, and this field borrows; use {owned}"),
            );
        }
    }
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
            "a tuple struct that is an event must have exactly one field; name the fields, `{ name: Type, … }`, so that \
             fields can be added later, or remove the parentheses if there are none",
        );
    }
    Case {
        path: quote!(Self),
        ident: ident.clone(),
        allowances: TokenStream::new(),
        event_type: event_type(ident, settings.rename.take(), errors),
        aliases: std::mem::take(&mut settings.aliases),
        upcast: settings.upcast.take(),
        fields: labelled(fields, Place::Struct, errors),
        payload: Payload::Itself,
    }
}

fn enum_cases(input: &DeriveInput, data: &DataEnum, errors: &mut Errors) -> Vec<Case> {
    // Lifetimes have their own error.
    if input.generics.type_params().next().is_some()
        || input.generics.const_params().next().is_some()
    {
        errors.at(
            input.generics.span(),
            "an enum of events cannot be generic; use concrete types, or move the generic part into a struct",
        );
    }
    if data.variants.is_empty() {
        errors.at(
            input.ident.span(),
            "an enum of events needs at least one variant; add one for each kind of event",
        );
    }
    let of_enum = serde::metas(&input.attrs, errors);
    let cases = data.variants.iter().map(|variant| variant_case(variant, &of_enum, errors));
    let cases = cases.collect();
    distinct(cases, errors)
}

/// Refuses event types that belong to two cases. Returns the cases whose event types are all their own.
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
                        "the event type {name:?} belongs to `{other}` already; give one of them another event type with \
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
            let fields = labelled(&variant.fields, Place::Variant, errors);
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
                    "a tuple variant must have exactly one field, whose type is an event itself; name the fields, \
                     `{ident} {{ name: Type, … }}`, so that fields can be added later, or write `{ident}` if there are none"
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

/// Refuses a name of a variant that is given to serde only. It would not change the event type in the log.
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
                    "serde's `{key}` on a variant does not change the event type in the log; write \
                     `#[event({key} = \"…\")]` instead, or in addition if the enum also derives serde's traits"
                ),
            );
        }
    }
}

/// Returns the name given with `rename`, or `ident` in kebab-case.
fn event_type(ident: &Ident, rename: Option<LitStr>, errors: &mut Errors) -> LitStr {
    rename.unwrap_or_else(|| {
        let name = name::kebab_case(&ident.unraw().to_string());
        if let Some(fault) = name::fault(&name, Use::EventType) {
            errors.at(
                ident.span(),
                format!("{fault}; give another event type with `#[event(rename = \"…\")]`"),
            );
        }
        LitStr::new(&name, ident.span())
    })
}

/// Reads the fields of a struct or a struct variant, with their tags, the id and the metadata.
fn labelled(fields: &Fields, place: Place, errors: &mut Errors) -> Vec<Field> {
    let mut id: Option<String> = None;
    let mut labelled: Vec<Field> = Vec::with_capacity(fields.len());
    for (field, member) in fields.iter().zip(fields.members()) {
        let settings = Settings::of(&field.attrs, Place::Field, errors);
        if let Some((span, _)) = settings.id {
            if shape::has_many(&field.ty) {
                errors.at(
                    span,
                    "an event has one id, but this field can have many values; use `tag`, which adds a tag for each value",
                );
            }
            if let Some(known) = &id {
                errors.at(span, format!("an event has one id, and it is the field `{known}` already; remove one `id`"));
            } else {
                id = Some(member.to_token_stream().to_string());
            }
        }
        let serde = serde::metas(&field.attrs, errors);
        let known = labelled.iter().find(|field| field.metadata);
        let serde = metadata::check(&settings, serde, known, place, errors);
        labelled.push(Field {
            allowances: allowances(&field.attrs),
            binding: binding(labelled.len(), &field.ty),
            ty: field.ty.clone(),
            tags: settings.tags,
            id: settings.id.map(|(_, id)| id),
            metadata: settings.metadata.is_some(),
            serde,
            member,
        });
    }
    labelled
}

/// Reads the inner value of a newtype variant. Its attributes belong on the fields of its own type.
fn inner(field: &syn::Field, errors: &mut Errors) -> Payload {
    Settings::of(&field.attrs, Place::Inner, errors);
    for meta in serde::metas(&field.attrs, errors) {
        errors.at(
            meta.span(),
            "the inner type of a newtype variant serializes itself; move serde's attribute into the inner type",
        );
    }
    Payload::Inner { binding: binding(0, &field.ty), ty: Box::new(field.ty.clone()) }
}

/// Returns a name that cannot collide with the user's names. Errors about it are shown at the field's type.
fn binding(index: usize, ty: &Type) -> Ident {
    format_ident!("field_{index}", span = Span::mixed_site().located_at(ty.span()))
}

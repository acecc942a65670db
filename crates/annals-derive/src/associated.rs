//! Writes what makes the compiler check the names in queries: a constant for each event type, and a function for each
//! name of a tag or an id.

use std::collections::BTreeMap;

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::{Ident, LitStr};

use crate::errors::Errors;
use crate::model::{Case, Event, Payload};
use crate::name::kebab_case;

/// Refuses two names that would be the same item.
pub(crate) fn check(cases: &[Case], errors: &mut Errors) {
    let constants = cases.iter().map(|case| (constant(case), case.event_type.clone()));
    let functions = functions(cases).map(|(ident, _, name)| (Some(ident), name));
    let mut known: BTreeMap<String, LitStr> = BTreeMap::new();
    for (ident, name) in constants.chain(functions) {
        let Some(ident) = ident else { continue };
        let other = known.entry(ident.to_string()).or_insert_with(|| name.clone());
        if other.value() != name.value() {
            errors.at(
                name.span(),
                format!(
                    "the derive would write `{ident}` for {:?} and for {:?}; rename one of them, or write \
                     `#[event(no_names)]` on the type, so that no names are written",
                    other.value(),
                    name.value()
                ),
            );
        }
    }
}

/// Writes the constants and functions.
pub(crate) fn write(event: &Event) -> Option<TokenStream> {
    if !event.names {
        return None;
    }
    let Event { ident, vis, allowances, generics, .. } = event;
    let constants = event.cases.iter().filter_map(|case| {
        let (constant, event_type) = (constant(case)?, &case.event_type);
        let text = format!("The event type `{}`.", event_type.value());
        Some(quote! {
            #[doc = #text]
            #vis const #constant: &'static ::core::primitive::str = #event_type;
        })
    });
    let functions: BTreeMap<String, _> = functions(&event.cases)
        .map(|(ident, what, name)| (ident.to_string(), (ident, what, name)))
        .collect();
    let functions = functions.into_values().map(|(function, what, name)| {
        let text = format!("Returns the {what} `{}:value`.", name.value());
        let value = Ident::new("value", Span::mixed_site());
        quote! {
            #[doc = #text]
            #[must_use]
            #vis fn #function(#value: impl ::core::fmt::Display) -> ::std::string::String {
                ::std::format!("{}:{}", #name, #value)
            }
        }
    });
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    Some(quote! {
        #allowances
        #[allow(dead_code, clippy::needless_pass_by_value)]
        #[automatically_derived]
        impl #impl_generics #ident #type_generics #where_clause {
            #(#constants)*
            #(#functions)*
        }
    })
}

/// Returns the name of the constant with a case's event type.
fn constant(case: &Case) -> Option<Ident> {
    if matches!(case.payload, Payload::Itself) {
        return Some(Ident::new("EVENT_TYPE", case.ident.span()));
    }
    let words = kebab_case(&case.ident.unraw().to_string()).replace('-', "_");
    rust_name(&format!("{}_TYPE", words.to_uppercase()), case.ident.span())
}

/// Returns the functions of all named tags and ids: their names, what they return, and the names in the log.
fn functions(cases: &[Case]) -> impl Iterator<Item = (Ident, &'static str, LitStr)> {
    cases.iter().flat_map(|case| &case.fields).flat_map(|field| {
        let tags = field.tags.iter().flatten().map(|name| ("tag", name));
        let ids = field.id.iter().filter_map(|id| Some(("id", id.prefix.as_ref()?)));
        tags.chain(ids).filter_map(|(what, name)| {
            let text = name.value();
            let words: Vec<_> = text
                .split(|letter: char| !letter.is_alphanumeric())
                .filter(|word| !word.is_empty())
                .map(str::to_lowercase)
                .collect();
            let ident = rust_name(&format!("{}_{what}", words.join("_")), name.span())?;
            (!words.is_empty()).then(|| (ident, what, name.clone()))
        })
    })
}

/// Returns `text` as a name in Rust, behind an underscore if it begins with a digit; `None` if it has letters that no
/// name in Rust has.
fn rust_name(text: &str, span: Span) -> Option<Ident> {
    let valid = |text: &str| syn::parse_str::<Ident>(text).is_ok();
    if valid(text) {
        return Some(Ident::new(text, span));
    }
    let text = format!("_{text}");
    valid(&text).then(|| Ident::new(&text, span))
}

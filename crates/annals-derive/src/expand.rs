//! Writes the code for an event of the model.
//!
//! All paths in the code are absolute. Its own names cannot collide with the user's: locals are hygienic, and items are
//! local to a block and begin with `__`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Generics, parse_quote};

use crate::model::Event;
use crate::{associated, labels, metadata, payload};

/// Writes the implementation of the trait.
pub(crate) fn event(event: &Event) -> TokenStream {
    let Event { ident, allowances, .. } = event;
    let generics = bounded(event);
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let (event_type, event_types, aliases, tags, id, written, restored) = (
        labels::event_type(event),
        labels::event_types(event),
        labels::aliases(event),
        labels::tags(event),
        labels::id(event),
        metadata::write(event),
        metadata::restore(event),
    );
    let (checks, encode, decode) =
        (payload::checks(event), payload::encode(event), payload::decode(event));
    let associated = associated::write(event);
    quote! {
        #checks
        #allowances
        #[automatically_derived]
        impl #impl_generics ::annals::Event for #ident #type_generics #where_clause {
            #event_type
            #event_types
            #aliases
            #tags
            #id
            #written
            #restored
            #encode
            #decode
        }
        #associated
    }
}

/// Returns the generics with the bounds that the trait needs on a generic struct.
fn bounded(event: &Event) -> Generics {
    let mut generics = event.generics.clone();
    if generics.type_params().next().is_some() {
        let shown: Vec<_> =
            event.cases.iter().flat_map(|case| labels::predicates(case, &event.generics)).collect();
        let clause = generics.make_where_clause();
        clause.predicates.push(parse_quote!(
            Self: ::annals::__private::serde::Serialize
                + ::annals::__private::serde::de::DeserializeOwned
                + ::core::marker::Send
                + ::core::marker::Sync
                + 'static
        ));
        clause.predicates.extend(shown);
    }
    generics
}

//! From what the macro understands to the code that it writes.
//!
//! All paths in it are absolute, and all names of its own are out of the user's sight: locals by their hygiene, items
//! by being local to a block and beginning with `__`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Generics, parse_quote};

use crate::model::Event;
use crate::{labels, payload};

/// The implementation of the trait.
pub(crate) fn event(event: &Event) -> TokenStream {
    let Event { ident, allowances, .. } = event;
    let generics = bounded(event);
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let (event_type, event_types, aliases, tags, id, metadata) = (
        labels::event_type(event),
        labels::event_types(event),
        labels::aliases(event),
        labels::tags(event),
        labels::id(event),
        labels::metadata(event),
    );
    let (encode, decode) = (payload::encode(event), payload::decode(event));
    quote! {
        #allowances
        #[automatically_derived]
        impl #impl_generics ::annals::Event for #ident #type_generics #where_clause {
            #event_type
            #event_types
            #aliases
            #tags
            #id
            #metadata
            #encode
            #decode
        }
    }
}

/// The generics with what the trait asks of a generic struct.
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

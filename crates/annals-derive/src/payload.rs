//! What an event keeps: the code of `encode` and `decode`.
//!
//! The payload of a struct variant is a struct that the macro writes, twice: one of references to be encoded, one
//! that owns its fields to be decoded. Each is local to the arm that uses it.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Ident, Meta};

use crate::model::{Case, Event, Field, Payload};
use crate::serde;

/// `encode`, by way of `encode_as`, which encodes with whatever codec it is asked to.
pub(crate) fn encode(event: &Event) -> TokenStream {
    let data = Ident::new("data", Span::mixed_site());
    let own_codec = &event.codec;
    let arms = event.cases.iter().map(|case| encode_case(event, case, &data));
    // Where no case has a payload, a name would be one that is not used.
    let keeps = event.cases.iter().any(|case| !matches!(case.payload, Payload::None));
    let parameter = if keeps { quote!(#data) } else { quote!(_) };
    quote! {
        fn encode(
            &self,
            #data: &mut ::std::vec::Vec<::core::primitive::u8>,
        ) -> ::core::result::Result<(), ::annals::CodecError> {
            <Self as ::annals::Event>::encode_as::<#own_codec>(self, #data)
        }

        const ANY_CODEC: ::core::primitive::bool = true;

        fn encode_as<__AnnalsCodec: ::annals::Codec>(
            &self,
            #parameter: &mut ::std::vec::Vec<::core::primitive::u8>,
        ) -> ::core::result::Result<(), ::annals::CodecError> {
            match self { #(#arms)* }
        }
    }
}

/// `decode`.
pub(crate) fn decode(event: &Event) -> TokenStream {
    let raw = Ident::new("raw", Span::mixed_site());
    let types = event.cases.iter().map(|case| case.event_type.value());
    let expected = types.collect::<Vec<_>>().join(", ");
    let arms = event.cases.iter().map(|case| {
        let names = case.event_types();
        let body = decode_case(event, case, &quote!(::annals::RawEvent::data_bytes(#raw)));
        let body = upcast(case, &raw, body);
        quote!(#(#names)|* => #body,)
    });
    quote! {
        fn decode(#raw: &::annals::RawEvent) -> ::core::result::Result<Self, ::annals::CodecError> {
            match ::annals::RawEvent::event_type(#raw) {
                #(#arms)*
                found => ::core::result::Result::Err(::annals::CodecError::UnknownType {
                    found: ::std::string::ToString::to_string(found),
                    expected: ::std::string::ToString::to_string(#expected),
                }),
            }
        }
    }
}

/// What the user's function makes of an older payload, if there is one and it takes it; else what `body` does.
fn upcast(case: &Case, raw: &Ident, body: TokenStream) -> TokenStream {
    let Some(path) = &case.upcast else { return body };
    let (function, older) =
        (Ident::new("upcast", Span::mixed_site()), Ident::new("older", Span::mixed_site()));
    // Through a type of its own, so that a function of another signature is an error at the function.
    quote_spanned! {path.span()=> {
        let #function: fn(
            &::annals::RawEvent,
        ) -> ::core::result::Result<::core::option::Option<Self>, ::annals::CodecError> = #path;
        match #function(#raw)? {
            ::core::option::Option::Some(#older) => ::core::result::Result::Ok(#older),
            ::core::option::Option::None => #body,
        }
    }}
}

/// An arm of `encode_as`.
fn encode_case(event: &Event, case: &Case, data: &Ident) -> TokenStream {
    match &case.payload {
        Payload::None => {
            let pattern = case.pattern(|_| false);
            quote!(#pattern => ::core::result::Result::Ok(()),)
        }
        Payload::Itself => {
            let pattern = case.pattern(|_| false);
            quote!(#pattern => <__AnnalsCodec as ::annals::Codec>::encode::<Self>(self, #data),)
        }
        Payload::Inner { binding, ty } => {
            let path = &case.path;
            quote!(#path(#binding) => <__AnnalsCodec as ::annals::Codec>::encode::<#ty>(#binding, #data),)
        }
        Payload::Fields(shaping) => encode_fields(event, case, shaping, data),
    }
}

/// What `decode` does with the payload `data` of a case.
fn decode_case(event: &Event, case: &Case, data: &TokenStream) -> TokenStream {
    let codec = &event.codec;
    let path = &case.path;
    match &case.payload {
        Payload::None => quote!(::core::result::Result::Ok(#path)),
        Payload::Itself => quote!(<#codec as ::annals::Codec>::decode::<Self>(#data)),
        Payload::Inner { ty, .. } => {
            quote!(::core::result::Result::map(<#codec as ::annals::Codec>::decode::<#ty>(#data), #path))
        }
        Payload::Fields(shaping) => decode_fields(event, case, shaping, data),
    }
}

/// The arm of `encode_as` for an object of fields.
fn encode_fields(event: &Event, case: &Case, shaping: &[Meta], data: &Ident) -> TokenStream {
    let mut functions = TokenStream::new();
    let mut encoded = Vec::new();
    let mut declared = Vec::new();
    for (index, field) in case.fields.iter().enumerate() {
        let ty = serde::without_self(&field.ty, &event.ident);
        if let Some(borrowed) = serde::borrowed(&field.serde, index, &ty) {
            let (Field { member, allowances, .. }, metas) = (field, borrowed.metas);
            functions.extend(borrowed.functions);
            declared.push(quote!(#allowances #(#[serde(#metas)])* #member: &'__annals #ty,));
            encoded.push(field);
        }
    }
    let pattern =
        case.pattern(|field| encoded.iter().any(|encoded| encoded.member == field.member));
    let members = encoded.iter().map(|field| &field.member);
    let bindings = encoded.iter().map(|field| &field.binding);
    let lifetime = (!encoded.is_empty()).then(|| quote!(<'__annals>));
    let head = head(&quote!(Serialize), event, case, shaping);
    quote! {
        #pattern => {
            #functions
            #head
            struct __AnnalsPayload #lifetime { #(#declared)* }
            <__AnnalsCodec as ::annals::Codec>::encode(&__AnnalsPayload { #(#members: #bindings,)* }, #data)
        }
    }
}

/// What `decode` does with an object of fields.
fn decode_fields(event: &Event, case: &Case, shaping: &[Meta], data: &TokenStream) -> TokenStream {
    let codec = &event.codec;
    let declared = case.fields.iter().map(|field| {
        let ty = serde::without_self(&field.ty, &event.ident);
        let Field { member, allowances, serde, .. } = field;
        quote!(#allowances #(#[serde(#serde)])* #member: #ty,)
    });
    let members: Vec<_> = case.fields.iter().map(|field| &field.member).collect();
    let bindings: Vec<_> = case.fields.iter().map(|field| &field.binding).collect();
    let head = head(&quote!(Deserialize), event, case, shaping);
    let path = &case.path;
    quote! {{
        #head
        struct __AnnalsPayload { #(#declared)* }
        ::core::result::Result::map(
            <#codec as ::annals::Codec>::decode(#data),
            |__AnnalsPayload { #(#members: #bindings,)* }| #path { #(#members: #bindings,)* },
        )
    }}
}

/// What stands above a payload's struct. It goes by the variant's name, which errors of decoding mention.
fn head(derived: &TokenStream, event: &Event, case: &Case, shaping: &[Meta]) -> TokenStream {
    let Case { ident, allowances, .. } = case;
    let name = ident.unraw().to_string();
    let expecting = format!("struct variant {}::{name}", event.ident.unraw());
    quote! {
        #allowances
        #[derive(::annals::__private::serde::#derived)]
        #[serde(crate = "::annals::__private::serde", rename = #name, expecting = #expecting)]
        #(#[serde(#shaping)])*
    }
}

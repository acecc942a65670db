//! Writes `encode` and `decode`.
//!
//! For the payload of a struct variant the macro writes two structs: one of references, which is encoded, and one that
//! owns its fields, which is decoded. Each is local to the arm that uses it.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Ident, Meta};

use crate::model::{Case, Event, Field, Payload};
use crate::{metadata, serde};

/// Returns code that compiles only if the types of the fields in payloads have serde's traits.
///
/// It stands before the rest of the code, so that the compiler reports a type without the traits once and clearly,
/// before it reports the calls that serde's derive writes. A field that serde's attributes skip, or for which they name
/// a function, does not need both traits and is not checked.
pub(crate) fn checks(event: &Event) -> TokenStream {
    let free = [
        "with",
        "serialize_with",
        "deserialize_with",
        "skip",
        "skip_serializing",
        "skip_deserializing",
    ];
    let is_free =
        |field: &&Field| field.serde.iter().any(|meta| free.contains(&&*serde::key(meta)));
    let checks =
        event.cases.iter().filter(|case| matches!(case.payload, Payload::Fields(_))).map(|case| {
            let fields = case.fields.iter().filter(|field| !is_free(field)).map(|field| {
                let ty = serde::without_self(&field.ty, &event.ident);
                let allowances = &field.allowances;
                let check =
                    quote_spanned!(field.ty.span()=> <#ty as ::annals::__private::Payload>::CHECK);
                quote!(#allowances let () = #check;)
            });
            let (of_enum, of_case) = (&event.allowances, &case.allowances);
            quote! {
                #of_enum
                #of_case
                const _: fn() = || { #(#fields)* };
            }
        });
    checks.collect()
}

/// Writes `encode`, and `encode_as`, which encodes with the codec that the caller chooses.
pub(crate) fn encode(event: &Event) -> TokenStream {
    let data = Ident::new("data", Span::mixed_site());
    let own_codec = &event.codec;
    let arms = event.cases.iter().map(|case| encode_case(event, case, &data));
    // If no case has a payload, a named parameter would be unused.
    let has_payload = event.cases.iter().any(|case| !matches!(case.payload, Payload::None));
    let parameter = if has_payload { quote!(#data) } else { quote!(_) };
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

/// Writes `decode`.
pub(crate) fn decode(event: &Event) -> TokenStream {
    let raw = Ident::new("raw", Span::mixed_site());
    let types = event.cases.iter().map(|case| case.event_type.value());
    let expected = types.collect::<Vec<_>>().join(", ");
    let arms = event.cases.iter().map(|case| {
        let names = case.event_types();
        let body = decode_case(event, case, &raw);
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

/// Writes a call of the user's upcast function, if there is one. `body` decodes the payloads for which it returns
/// `None`.
fn upcast(case: &Case, raw: &Ident, body: TokenStream) -> TokenStream {
    let Some(path) = &case.upcast else { return body };
    let (function, older) =
        (Ident::new("upcast", Span::mixed_site()), Ident::new("older", Span::mixed_site()));
    // The type is explicit, so that a function with another signature is an error at the function.
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

/// Writes an arm of `encode_as`.
fn encode_case(event: &Event, case: &Case, data: &Ident) -> TokenStream {
    match &case.payload {
        Payload::None => {
            let pattern = case.pattern(|_| false);
            quote!(#pattern => ::core::result::Result::Ok(()),)
        }
        Payload::Itself => {
            let pattern = case.pattern(|_| false);
            let itself = itself(case);
            quote!(#pattern => <#itself as ::annals::__private::Payload>::encode::<__AnnalsCodec>(self, #data),)
        }
        Payload::Inner { binding, ty } => {
            let path = &case.path;
            quote!(#path(#binding) => <#ty as ::annals::__private::Payload>::encode::<__AnnalsCodec>(#binding, #data),)
        }
        Payload::Fields(shaping) => encode_fields(event, case, shaping, data),
    }
}

/// Writes the code that decodes the event `raw` of a case: its payload, and its metadata if a field has it.
fn decode_case(event: &Event, case: &Case, raw: &Ident) -> TokenStream {
    let codec = &event.codec;
    let data = &quote!(::annals::RawEvent::data_bytes(#raw));
    let decoded = Ident::new("decoded", Span::mixed_site());
    let path = &case.path;
    match &case.payload {
        Payload::None => quote!(::core::result::Result::Ok(#path)),
        Payload::Itself => {
            let itself = itself(case);
            let payload =
                quote!(<#itself as ::annals::__private::Payload>::decode::<#codec>(#data));
            if !case.fields.iter().any(|field| field.metadata) {
                return payload;
            }
            quote! {
                ::core::result::Result::map(#payload, |mut #decoded| {
                    <Self as ::annals::Event>::restore_metadata(&mut #decoded, #raw);
                    #decoded
                })
            }
        }
        Payload::Inner { ty, .. } => {
            quote! {
                ::core::result::Result::map(
                    <#ty as ::annals::__private::Payload>::decode::<#codec>(#data),
                    |mut #decoded| {
                        <#ty as ::annals::Event>::restore_metadata(&mut #decoded, #raw);
                        #path(#decoded)
                    },
                )
            }
        }
        Payload::Fields(shaping) => decode_fields(event, case, shaping, raw),
    }
}

/// Returns `Self`, with the span of the struct's name: an error about the type is shown there.
fn itself(case: &Case) -> Ident {
    Ident::new("Self", case.ident.span())
}

/// Writes the arm of `encode_as` for an object of fields.
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

/// Writes the code that decodes an object of fields.
fn decode_fields(event: &Event, case: &Case, shaping: &[Meta], raw: &Ident) -> TokenStream {
    let codec = &event.codec;
    let (of_record, of_payload): (Vec<_>, Vec<_>) =
        case.fields.iter().partition(|field| field.metadata);
    let restored = of_record.iter().map(|field| {
        let (member, restored) = (&field.member, metadata::restored(field, raw));
        quote!(#member: #restored,)
    });
    let declared = of_payload.iter().map(|field| {
        let ty = serde::without_self(&field.ty, &event.ident);
        let Field { member, allowances, serde, .. } = field;
        quote!(#allowances #(#[serde(#serde)])* #member: #ty,)
    });
    let members: Vec<_> = of_payload.iter().map(|field| &field.member).collect();
    let bindings: Vec<_> = of_payload.iter().map(|field| &field.binding).collect();
    let head = head(&quote!(Deserialize), event, case, shaping);
    let path = &case.path;
    quote! {{
        #head
        struct __AnnalsPayload { #(#declared)* }
        ::core::result::Result::map(
            <#codec as ::annals::Codec>::decode(::annals::RawEvent::data_bytes(#raw)),
            |__AnnalsPayload { #(#members: #bindings,)* }| #path { #(#members: #bindings,)* #(#restored)* },
        )
    }}
}

/// Writes the attributes of a payload's struct. They give it the variant's name, which errors of decoding mention.
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

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use crate::parse;

    #[test]
    fn fields_that_need_both_of_serdes_traits_are_checked() {
        let event = parse::event(&parse_quote! {
            enum Booking {
                SeatSold {
                    seats: Vec<Seat>,
                    #[serde(with = "hex")]
                    hash: Hash,
                    #[serde(skip)]
                    cache: Cache,
                },
                Closed(Closed),
            }
        });
        let Ok(event) = event else { panic!("the event is valid") };
        let checks = super::checks(&event).to_string();
        assert!(checks.contains("< Vec < Seat > as :: annals :: __private :: Payload > :: CHECK"));
        assert_eq!(checks.matches("CHECK").count(), 1, "{checks}");
    }
}

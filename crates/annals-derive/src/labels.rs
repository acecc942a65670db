//! Writes `event_type`, `event_types`, `aliases`, `tags` and `id`.
//!
//! A method is written only if it returns or adds something for at least one case. The trait's default does nothing.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Generics, Ident, Type, WherePredicate, parse_quote};

use crate::model::{Case, Event, Field, Id, Payload};
use crate::shape::{self, Shape};

/// Writes `event_type`.
pub(crate) fn event_type(event: &Event) -> TokenStream {
    let arms = event.cases.iter().map(|case| {
        let (pattern, event_type) = (case.pattern(|_| false), case.event_type.value());
        quote!(#pattern => #event_type,)
    });
    quote! {
        fn event_type(&self) -> &'static ::core::primitive::str {
            match self { #(#arms)* }
        }
    }
}

/// Writes `aliases`.
pub(crate) fn aliases(event: &Event) -> Option<TokenStream> {
    let arms = event.cases.iter().filter(|case| !case.aliases.is_empty()).map(|case| {
        let (event_type, aliases) = (&case.event_type, &case.aliases);
        quote!(#event_type => &[#(#aliases),*],)
    });
    let arms: TokenStream = arms.collect();
    if arms.is_empty() {
        return None;
    }
    let event_type = Ident::new("event_type", Span::mixed_site());
    Some(quote! {
        fn aliases(
            #event_type: &::core::primitive::str,
        ) -> &'static [&'static ::core::primitive::str] {
            match #event_type {
                #arms
                _ => &[],
            }
        }
    })
}

/// Writes `event_types`.
pub(crate) fn event_types(event: &Event) -> TokenStream {
    let types = event.cases.iter().flat_map(Case::event_types);
    quote! {
        fn event_types() -> ::core::option::Option<&'static [&'static ::core::primitive::str]> {
            ::core::option::Option::Some(&[#(#types),*])
        }
    }
}

/// Writes `tags`.
pub(crate) fn tags(event: &Event) -> Option<TokenStream> {
    let tags = Ident::new("tags", Span::mixed_site());
    let inner =
        |binding: &Ident, ty: &Type| quote!(<#ty as ::annals::Event>::tags(#binding, #tags));
    let own = |case: &Case| {
        let all = case.fields.iter().map(|field| field_tags(field, &tags));
        quote!({ #(#all)* })
    };
    let arms = arms(event, &quote!({}), inner, |field| !field.tags.is_empty(), own)?;
    Some(quote! {
        fn tags(&self, #tags: &mut ::annals::Tags) {
            match self { #arms }
        }
    })
}

/// Writes `id`.
pub(crate) fn id(event: &Event) -> Option<TokenStream> {
    let inner = |binding: &Ident, ty: &Type| quote!(<#ty as ::annals::Event>::id(#binding));
    let own = |case: &Case| {
        let ids = case.fields.iter().filter_map(|field| Some((field, field.id.as_ref()?)));
        ids.map(|(field, id)| id_of(&field.ty, &field.binding, id)).collect()
    };
    let arms =
        arms(event, &quote!(::core::option::Option::None), inner, |field| field.id.is_some(), own)?;
    Some(quote! {
        fn id(&self) -> ::core::option::Option<::std::borrow::Cow<'_, ::core::primitive::str>> {
            match self { #arms }
        }
    })
}

/// Returns the bounds that a generic struct needs for its tags and its id.
pub(crate) fn predicates(case: &Case, generics: &Generics) -> Vec<WherePredicate> {
    let shown = case.fields.iter().filter(|field| field.id.is_some() || !field.tags.is_empty());
    let types = shown.map(|field| shape::element(&field.ty));
    let generic = types.filter(|ty| {
        generics.type_params().any(|param| mentions(ty.to_token_stream(), &param.ident))
    });
    generic.map(|ty| parse_quote!(#ty: ::core::fmt::Display)).collect()
}

/// Writes the arms of a method: `inner` for each newtype variant, `own` for each case with a `wanted` field, and
/// `nothing` for the others. Returns `None` if all arms would be `nothing`.
pub(crate) fn arms(
    event: &Event,
    nothing: &TokenStream,
    inner: impl Fn(&Ident, &Type) -> TokenStream,
    wanted: impl Fn(&Field) -> bool,
    own: impl Fn(&Case) -> TokenStream,
) -> Option<TokenStream> {
    let mut arms = TokenStream::new();
    let mut silent = Vec::new();
    for case in &event.cases {
        if let Payload::Inner { binding, ty } = &case.payload {
            let (path, body) = (&case.path, inner(binding, ty));
            arms.extend(quote!(#path(#binding) => #body,));
        } else if case.fields.iter().any(&wanted) {
            let (pattern, body) = (case.pattern(&wanted), own(case));
            arms.extend(quote!(#pattern => #body,));
        } else {
            silent.push(case.pattern(|_| false));
        }
    }
    if arms.is_empty() {
        return None;
    }
    if !silent.is_empty() {
        arms.extend(quote!(#(#silent)|* => #nothing,));
    }
    Some(arms)
}

/// Writes the code that adds the tags of a field.
fn field_tags(field: &Field, tags: &Ident) -> TokenStream {
    let Field { binding, ty, .. } = field;
    let add = field.tags.iter().map(|name| {
        each(ty, binding, &|value| {
            if let Some(name) = name {
                return quote_spanned!(value.span()=> ::annals::Tags::add(#tags, #name, #value););
            }
            quote_spanned! {value.span()=>
                ::annals::Tags::push(#tags, &::std::string::ToString::to_string(#value));
            }
        })
    });
    add.collect()
}

/// Writes `then` for each of the values in `value`, a reference to a `ty`.
fn each(ty: &Type, value: &Ident, then: &dyn Fn(&Ident) -> TokenStream) -> TokenStream {
    let element = Ident::new("element", value.span());
    match Shape::of(ty) {
        Shape::One => then(value),
        Shape::Perhaps(inner) => {
            let body = each(inner, &element, then);
            quote!(if let ::core::option::Option::Some(#element) = #value { #body })
        }
        Shape::Many(inner) => {
            let body = each(inner, &element, then);
            // In a call, a vector, an array and a box all become slices.
            quote!(for #element in <[_]>::iter(#value) { #body })
        }
    }
}

/// Writes the id of `value`, a reference to a `ty`.
fn id_of(ty: &Type, value: &Ident, id: &Id) -> TokenStream {
    match Shape::of(ty) {
        Shape::Perhaps(inner) => {
            let some = Ident::new("some", value.span());
            let id = id_of(inner, &some, id);
            quote!(::core::option::Option::and_then(::core::option::Option::as_ref(#value), |#some| #id))
        }
        // Parsing has refused an id of many values.
        Shape::One | Shape::Many(_) => {
            let text = if let Some(prefix) = &id.prefix {
                quote_spanned!(value.span()=> ::std::format!("{}:{}", #prefix, #value))
            } else {
                quote_spanned!(value.span()=> ::std::string::ToString::to_string(#value))
            };
            quote! {
                ::core::option::Option::Some(::std::borrow::Cow::Owned(#text))
            }
        }
    }
}

/// Returns whether `name` is anywhere in `tokens`.
fn mentions(tokens: TokenStream, name: &Ident) -> bool {
    tokens.into_iter().any(|token| match token {
        proc_macro2::TokenTree::Ident(ident) => ident == *name,
        proc_macro2::TokenTree::Group(group) => mentions(group.stream(), name),
        _ => false,
    })
}

//! What the macro has understood: an event as a list of cases, one for a struct, one a variant for an enum.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Generics, Ident, LitStr, Member, Meta, Path, Type};

/// A type that is to be an event.
pub(crate) struct Event {
    /// The type's name.
    pub(crate) ident: Ident,
    /// Its generics; none for an enum, and never a lifetime.
    pub(crate) generics: Generics,
    /// Attributes that allow what the user allows in it.
    pub(crate) allowances: TokenStream,
    /// The codec's type.
    pub(crate) codec: TokenStream,
    /// What can happen; at least one.
    pub(crate) cases: Vec<Case>,
}

/// A struct, or a variant of an enum.
pub(crate) struct Case {
    /// `Self`, or `Self::Variant`.
    pub(crate) path: TokenStream,
    /// The struct's or variant's name.
    pub(crate) ident: Ident,
    /// Attributes that allow what the user allows in it.
    pub(crate) allowances: TokenStream,
    /// Its event type.
    pub(crate) event_type: LitStr,
    /// Its older event types.
    pub(crate) aliases: Vec<LitStr>,
    /// The function that reads older payloads.
    pub(crate) upcast: Option<Path>,
    /// Its fields; none of a newtype variant, whose one field is its payload.
    pub(crate) fields: Vec<Field>,
    /// What it keeps.
    pub(crate) payload: Payload,
}

/// What is encoded for a case.
pub(crate) enum Payload {
    /// Nothing.
    None,
    /// The struct itself.
    Itself,
    /// The inner value of a newtype variant.
    Inner { binding: Ident, ty: Box<Type> },
    /// An object of the fields, shaped by these attributes of serde.
    Fields(Vec<Meta>),
}

/// A field of a case.
pub(crate) struct Field {
    /// Its name, or its number.
    pub(crate) member: Member,
    /// Attributes that allow what the user allows on it.
    pub(crate) allowances: TokenStream,
    /// What it is called in the code that is written.
    pub(crate) binding: Ident,
    /// Its type.
    pub(crate) ty: Type,
    /// The names of its tags; a tag without a name is the value as it is.
    pub(crate) tags: Vec<Option<LitStr>>,
    /// Whether it is the event's id.
    pub(crate) id: bool,
    /// serde's attributes of it.
    pub(crate) serde: Vec<Meta>,
}

impl Case {
    /// Its event type, and behind it the older ones.
    pub(crate) fn event_types(&self) -> impl Iterator<Item = &LitStr> {
        std::iter::once(&self.event_type).chain(&self.aliases)
    }

    /// What it is matched with: the bindings of those of its fields that are `wanted`.
    pub(crate) fn pattern(&self, wanted: impl Fn(&Field) -> bool) -> TokenStream {
        let path = &self.path;
        let fields = self.fields.iter().filter(|field| wanted(field));
        let (members, bindings) =
            fields.map(|field| (&field.member, &field.binding)).collect::<(Vec<_>, Vec<_>)>();
        quote!(#path { #(#members: #bindings,)* .. })
    }
}

//! The model of an event: a list of cases, one for a struct, or one for each variant of an enum.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Generics, Ident, LitStr, Member, Meta, Path, Type, Visibility};

/// A type that derives `Event`.
pub(crate) struct Event {
    /// The type's name.
    pub(crate) ident: Ident,
    /// The type's visibility.
    pub(crate) vis: Visibility,
    /// Whether constants and functions with the event's names are written.
    pub(crate) names: bool,
    /// The generics. An enum has none, and no type has a lifetime.
    pub(crate) generics: Generics,
    /// Attributes that allow the lints that the user allows there.
    pub(crate) allowances: TokenStream,
    /// The codec's type.
    pub(crate) codec: TokenStream,
    /// The cases, at least one.
    pub(crate) cases: Vec<Case>,
}

/// A struct, or a variant of an enum.
pub(crate) struct Case {
    /// `Self`, or `Self::Variant`.
    pub(crate) path: TokenStream,
    /// The struct's or variant's name.
    pub(crate) ident: Ident,
    /// Attributes that allow the lints that the user allows there.
    pub(crate) allowances: TokenStream,
    /// The event type.
    pub(crate) event_type: LitStr,
    /// The older event types.
    pub(crate) aliases: Vec<LitStr>,
    /// The function that reads older payloads.
    pub(crate) upcast: Option<Path>,
    /// The fields. A newtype variant has none here, because its only field is its payload.
    pub(crate) fields: Vec<Field>,
    /// The payload.
    pub(crate) payload: Payload,
}

/// The value that is encoded for a case.
pub(crate) enum Payload {
    /// Nothing.
    None,
    /// The struct itself.
    Itself,
    /// The inner value of a newtype variant.
    Inner { binding: Ident, ty: Box<Type> },
    /// An object of the fields, with these attributes of serde.
    Fields(Vec<Meta>),
}

/// A field of a case.
pub(crate) struct Field {
    /// The field's name, or its number.
    pub(crate) member: Member,
    /// Attributes that allow the lints that the user allows there.
    pub(crate) allowances: TokenStream,
    /// The field's name in the code that the macro writes.
    pub(crate) binding: Ident,
    /// The field's type.
    pub(crate) ty: Type,
    /// The names of the field's tags. A tag without a name is the value itself.
    pub(crate) tags: Vec<Option<LitStr>>,
    /// Set if the field is the event's id.
    pub(crate) id: Option<Id>,
    /// Whether the field has the event's metadata. It is not part of the payload.
    pub(crate) metadata: bool,
    /// The field's attributes for serde.
    pub(crate) serde: Vec<Meta>,
}

/// How a field is the event's id.
pub(crate) struct Id {
    /// The part of the id before the colon. Without it, the value alone is the id.
    pub(crate) prefix: Option<LitStr>,
}

impl Case {
    /// Returns the event type, followed by the older ones.
    pub(crate) fn event_types(&self) -> impl Iterator<Item = &LitStr> {
        std::iter::once(&self.event_type).chain(&self.aliases)
    }

    /// Writes a pattern for the case that binds the `wanted` fields.
    pub(crate) fn pattern(&self, wanted: impl Fn(&Field) -> bool) -> TokenStream {
        let path = &self.path;
        let fields = self.fields.iter().filter(|field| wanted(field));
        let (members, bindings) =
            fields.map(|field| (&field.member, &field.binding)).collect::<(Vec<_>, Vec<_>)>();
        quote!(#path { #(#members: #bindings,)* .. })
    }
}

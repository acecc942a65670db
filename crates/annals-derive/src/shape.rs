//! The number of values in a field, by the way its type is written: one, at most one, or any number.

use syn::{GenericArgument, PathArguments, Type};

/// The number of values in a type.
pub(crate) enum Shape<'a> {
    /// One value: the value itself.
    One,
    /// `Option<…>`: a value of the inner type, or none.
    Perhaps(&'a Type),
    /// `Vec<…>`, `[…; n]`, `Box<[…]>`, `Arc<[…]>`: any number of values of the inner type.
    Many(&'a Type),
}

impl<'a> Shape<'a> {
    /// Returns the shape of `ty`.
    pub(crate) fn of(ty: &'a Type) -> Self {
        match ty {
            // A type from a `macro_rules` macro is in a group.
            Type::Group(group) => Self::of(&group.elem),
            Type::Paren(paren) => Self::of(&paren.elem),
            Type::Array(array) => Self::Many(&array.elem),
            _ => match argument(ty) {
                Some((name, inner)) if name == "Option" => Self::Perhaps(inner),
                Some((name, inner)) if name == "Vec" => Self::Many(inner),
                Some((name, Type::Slice(slice))) if name == "Box" || name == "Arc" => {
                    Self::Many(&slice.elem)
                }
                _ => Self::One,
            },
        }
    }
}

/// Returns the type of the values in `ty`.
pub(crate) fn element(ty: &Type) -> &Type {
    match Shape::of(ty) {
        Shape::One => ty,
        Shape::Perhaps(inner) | Shape::Many(inner) => element(inner),
    }
}

/// Returns whether `ty` may have more than one value.
pub(crate) fn has_many(ty: &Type) -> bool {
    match Shape::of(ty) {
        Shape::One => false,
        Shape::Perhaps(inner) => has_many(inner),
        Shape::Many(_) => true,
    }
}

/// Returns the last name of a path, and its first type argument.
fn argument(ty: &Type) -> Option<(&syn::Ident, &Type)> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    let inner = arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })?;
    Some((&last.ident, inner))
}

#[cfg(test)]
mod tests {
    use quote::ToTokens;
    use syn::parse_quote;

    use super::*;

    fn text(ty: &Type) -> String {
        element(ty).to_token_stream().to_string()
    }

    #[test]
    fn the_element_is_found_through_what_holds_it() {
        for ty in [
            parse_quote!(Option<Seat>),
            parse_quote!(std::option::Option<Seat>),
            parse_quote!(Vec<Seat>),
            parse_quote!((Vec<Option<Seat>>)),
            parse_quote!(Option<Vec<Seat>>),
            parse_quote!([Seat; 3]),
            parse_quote!(Box<[Seat]>),
            parse_quote!(Arc<[Seat]>),
            parse_quote!(Seat),
        ] {
            assert_eq!(text(&ty), "Seat");
        }
        assert_eq!(text(&parse_quote!(Box<Seat>)), "Box < Seat >");
        assert_eq!(text(&parse_quote!(Wrapped<Option<Seat>>)), "Wrapped < Option < Seat > >");
    }

    #[test]
    fn what_may_have_several_is_seen_inside_an_option() {
        assert!(has_many(&parse_quote!(Option<Vec<Seat>>)));
        assert!(!has_many(&parse_quote!(Option<Seat>)));
        assert!(!has_many(&parse_quote!(Seat)));
    }
}

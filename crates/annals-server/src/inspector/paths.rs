//! The paths of the inspector, as the server's gate knows them.

/// Returns whether a path is one of the inspector, whose responses are pages.
pub(crate) fn is_page(path: &str) -> bool {
    path == "/ui" || path.starts_with("/ui/")
}

//! Verifying a Journal: every byte is checked, and nothing is changed.

#[expect(
    clippy::module_inception,
    reason = "the file of the function that the folder is named after"
)]
pub(crate) mod verify;

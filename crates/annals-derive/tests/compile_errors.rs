//! The macro's compile errors: one file for each, beside the tests of the code that it accepts.

#[test]
fn each_error_says_what_is_wrong_and_what_would_be_right() {
    trybuild::TestCases::new().compile_fail("../annals/tests/derive/*.rs");
}

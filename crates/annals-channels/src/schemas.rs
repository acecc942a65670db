//! Compares the JSON Schemas in `schemas/` with the Rust types.

use std::path::Path;

use crate::event::schemas;

/// Writes the files first if the environment has `UPDATE_SCHEMAS=1`.
#[test]
fn schemas_are_current() {
    let folder = Path::new("schemas");
    let update = std::env::var_os("UPDATE_SCHEMAS").is_some();
    let all = schemas();
    assert_eq!(all.len(), 24);
    for (event_type, schema) in all {
        let file = folder.join(format!("{event_type}.schema.json"));
        let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
        if update {
            std::fs::create_dir_all(folder).unwrap();
            std::fs::write(&file, &text).unwrap();
        }
        let found = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(
            found,
            text,
            "{} is out of date: UPDATE_SCHEMAS=1 cargo test -p annals-channels",
            file.display()
        );
    }
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 24, "the folder has no other file");
}

//! Tests that `openapi.json` says what the face does: its paths, parameters, bodies, limits and problems.

use std::collections::BTreeSet;

use annals::{MAX_BATCH_EVENTS, MAX_METADATA, MAX_NAME_BYTES, MAX_TAGS};
use serde::Deserialize;
use serde_json::Value;

use super::append::Body;
use super::facts;
use super::groups::admin::{MAX_PARKED, PARKED};
use super::groups::bodies::{
    AckBody, DEADLINE_MS, ExtendBody, GroupBody, MAX_EVENTS, MAX_LEASES, MAX_OFFSETS, MAX_WAIT_MS,
    MAX_WORKER_BYTES, NackBody, ParkedBody, PullBody, ResetBody,
};
use super::params::Item;
use super::read::{MAX_ARRAY, QueryBody};
use super::routes::{OPENAPI, Takes, table};
use crate::fault::{FIELDS, Kind};
use crate::gate::problem::TYPES;
use crate::query_size::{MAX_CONDITIONS, MAX_ITEMS, MAX_NAMES};

fn described() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

/// Returns a part of the description.
fn at<'v>(described: &'v Value, pointer: &str) -> &'v Value {
    described.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is not described"))
}

/// Returns the names of the fields of an object in the description.
fn properties(described: &Value, schema: &str) -> BTreeSet<String> {
    let pointer = format!("/components/schemas/{schema}/properties");
    at(described, &pointer).as_object().unwrap().keys().cloned().collect()
}

#[test]
fn the_description_has_every_path_method_and_parameter() {
    let described = described();
    let paths: BTreeSet<&str> =
        described["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(paths, table().iter().map(|(path, ..)| *path).collect());
    for (path, methods, takes) in table() {
        let code = format!("{methods:?}");
        for method in ["get", "post", "put", "delete"] {
            let operation = described["paths"][path].get(method);
            let has = !code.contains(&format!("{method}: None"));
            assert_eq!(operation.is_some(), has, "{method} {path}");
            let parameters = operation.and_then(|one| one["parameters"].as_array());
            let parameters = parameters.into_iter().flatten().map(|one| match &one["$ref"] {
                Value::String(pointer) => at(&described, pointer.trim_start_matches('#')),
                _ => one,
            });
            let in_query = parameters.filter(|one| one["in"] == "query");
            let names: Vec<&str> = in_query.map(|one| one["name"].as_str().unwrap()).collect();
            match takes {
                Takes::Parameters(expected) if method == "get" => assert_eq!(names, expected),
                _ => assert!(names.is_empty(), "{method} {path}: {names:?}"),
            }
        }
    }
    for (path, header) in
        [("/v1/subscribe", "Last-Event-ID"), ("/v1/events/{offset}/data", "Range")]
    {
        let parameters = described["paths"][path]["get"]["parameters"].as_array().unwrap();
        let is_header = |one: &&Value| one["in"] == "header" && one["name"] == header;
        assert!(parameters.iter().any(|one| is_header(&one)), "{path}");
    }
}

/// Returns the fields that a body may have: an error about an unknown one lists them.
fn fields<B: for<'de> Deserialize<'de>>() -> BTreeSet<String> {
    listed(serde_json::from_str::<B>("{\"\":0}").err())
}

fn listed(error: Option<serde_json::Error>) -> BTreeSet<String> {
    let message = error.expect("an unknown field is refused").to_string();
    let (unknown, expected) = message.split_once("expected").unwrap_or_else(|| panic!("{message}"));
    assert!(unknown.starts_with("unknown field ``"), "{message}");
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_description_has_the_fields_of_every_body() {
    let described = described();
    let batch = listed(serde_json::from_str::<Body<'_>>("{\"\":0}").err());
    for (schema, fields) in [
        ("Batch", batch),
        ("Query", fields::<QueryBody>()),
        ("Item", fields::<Item>()),
        ("GroupSettings", fields::<GroupBody>()),
        ("Pull", fields::<PullBody>()),
        ("Leases", fields::<AckBody>()),
        ("Nack", fields::<NackBody>()),
        ("Extend", fields::<ExtendBody>()),
        ("Parked", fields::<ParkedBody>()),
        ("Reset", fields::<ResetBody>()),
    ] {
        assert_eq!(properties(&described, schema), fields, "{schema}");
        let schema = at(&described, &format!("/components/schemas/{schema}"));
        assert_eq!(schema["additionalProperties"], false);
    }
}

#[test]
fn the_description_has_the_limits() {
    let described = described();
    let in_schemas = [
        ("Batch/properties/events/maxItems", MAX_BATCH_EVENTS as u64),
        ("Batch/properties/conditions/maxItems", MAX_CONDITIONS as u64),
        ("Condition/properties/fail_if/maxItems", MAX_ITEMS as u64),
        ("Query/properties/items/maxItems", MAX_ITEMS as u64),
        ("GroupSettings/properties/query/properties/items/maxItems", MAX_ITEMS as u64),
        ("Item/properties/types/maxItems", MAX_NAMES as u64),
        ("Item/properties/tags/maxItems", MAX_NAMES as u64),
        ("Event/properties/type/maxLength", MAX_NAME_BYTES as u64),
        ("Event/properties/tags/maxItems", MAX_TAGS as u64),
        ("Event/properties/metadata/maxProperties", MAX_METADATA as u64),
        ("GroupSettings/properties/deadline_ms/minimum", *DEADLINE_MS.start()),
        ("GroupSettings/properties/deadline_ms/maximum", *DEADLINE_MS.end()),
        ("Pull/properties/worker/maxLength", MAX_WORKER_BYTES as u64),
        ("Pull/properties/max/maximum", MAX_EVENTS),
        ("Pull/properties/wait_ms/maximum", MAX_WAIT_MS),
        ("Pull/properties/deadline_ms/minimum", *DEADLINE_MS.start()),
        ("Pull/properties/deadline_ms/maximum", *DEADLINE_MS.end()),
        ("Extend/properties/deadline_ms/minimum", *DEADLINE_MS.start()),
        ("Extend/properties/deadline_ms/maximum", *DEADLINE_MS.end()),
        ("Leases/properties/leases/maxItems", MAX_LEASES as u64),
        ("Nack/properties/leases/maxItems", MAX_LEASES as u64),
        ("Extend/properties/leases/maxItems", MAX_LEASES as u64),
        ("Parked/properties/offsets/maxItems", MAX_OFFSETS as u64),
    ];
    for (pointer, limit) in in_schemas {
        assert_eq!(*at(&described, &format!("/components/schemas/{pointer}")), limit, "{pointer}");
    }
    let names = at(&described, "/components/parameters/names_limit/schema");
    assert_eq!(
        (&names["default"], &names["maximum"]),
        (&facts::NAMES.into(), &facts::MAX_NAMES.into())
    );
    let parked = at(&described, "/paths/~1v1~1groups~1{name}~1parked/get/parameters");
    let parked = parked.as_array().unwrap().iter().find(|one| one["name"] == "limit").unwrap();
    let parked = &parked["schema"];
    assert_eq!((&parked["default"], &parked["maximum"]), (&PARKED.into(), &MAX_PARKED.into()));
    // Limits of a request as a whole stand in texts.
    for (pointer, limit) in [
        ("/info/description", crate::limits::MAX_REQUEST_BYTES >> 20),
        ("/components/parameters/limit/description", usize::try_from(MAX_ARRAY).unwrap()),
        (
            "/components/schemas/Query/properties/limit/description",
            usize::try_from(MAX_ARRAY).unwrap(),
        ),
        ("/components/schemas/Batch/description", annals::MAX_BATCH_BYTES >> 20),
        ("/components/schemas/Batch/properties/conditions/description", MAX_ITEMS),
        ("/components/schemas/Item/description", MAX_NAMES),
    ] {
        let text = at(&described, pointer).as_str().unwrap().replace(',', "");
        assert!(text.split(' ').any(|word| word == limit.to_string()), "{pointer}: {text}");
    }
}

#[test]
fn the_description_has_the_fields_and_the_kinds_of_problems() {
    let described = described();
    let in_each = ["type", "title", "status", "detail"];
    let fields = in_each.iter().chain(&FIELDS).map(|&field| field.to_owned()).collect();
    assert_eq!(properties(&described, "Problem"), fields);
    let kinds = at(&described, "/components/schemas/Problem/properties/type/examples");
    let kinds: BTreeSet<&str> =
        kinds.as_array().unwrap().iter().map(|kind| kind.as_str().unwrap()).collect();
    let expected: BTreeSet<String> =
        Kind::ALL.iter().map(|kind| format!("{TYPES}{}", kind.http().1)).collect();
    assert_eq!(kinds, expected.iter().map(String::as_str).collect());
    let retries = at(&described, "/components/responses/Problem/headers/Retry-After/description");
    let retries = retries.as_str().unwrap().replace(',', "");
    for kind in Kind::ALL {
        let is_named = retries.split(' ').any(|word| word == kind.http().1);
        assert_eq!(is_named, kind.retry_after().is_some(), "{kind:?}");
    }
}

//! Users with files of credentials, as clusters with several accounts have them.

use annals_nats::JetStream;
use annals_replicated::{CommitLog as _, create};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

use crate::server::{Servers, Settings};
use crate::writer::Writer;

/// Returns a token of NATS: claims that an issuer has signed.
fn token(issuer: &KeyPair, subject: &KeyPair, nats: &Value) -> String {
    let claims = json!({
        "jti": "1", "iat": 1_700_000_000, "name": "test", "nats": nats,
        "iss": issuer.public_key(), "sub": subject.public_key(),
    });
    let encode = |value: &[u8]| URL_SAFE_NO_PAD.encode(value);
    let head = encode(br#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
    let signed = format!("{head}.{}", encode(claims.to_string().as_bytes()));
    let signature = issuer.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", encode(&signature))
}

/// Makes an account, with this limit for `JetStream`: -1 for none, 0 without `JetStream`. Returns its key, its token,
/// and the text of a file with credentials of one of its users.
fn account(operator: &KeyPair, storage: i64) -> (KeyPair, String, String) {
    let (key, user) = (KeyPair::new_account(), KeyPair::new_user());
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
        "leaf": -1, "mem_storage": storage, "disk_storage": storage, "streams": storage, "consumer": storage,
    });
    let account =
        token(operator, &key, &json!({ "type": "account", "version": 2, "limits": limits }));
    let rights = json!({
        "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1, "pub": {}, "sub": {},
    });
    let login = token(&key, &user, &rights);
    let seed = user.seed().unwrap();
    let file = format!(
        "-----BEGIN NATS USER JWT-----\n{login}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    (key, account, file)
}

#[test]
fn a_file_with_credentials_signs_a_user_in() {
    let operator = KeyPair::new_operator();
    let by = token(&operator, &operator, &json!({ "type": "operator", "version": 2 }));
    let (system, system_token, system_file) = account(&operator, 0);
    let (app, app_token, app_file) = account(&operator, -1);
    let more = format!(
        "operator: \"{by}\"\nsystem_account: {system}\nresolver: MEMORY\n\
         resolver_preload: {{ {system}: \"{system_token}\", {app}: \"{app_token}\" }}",
        system = system.public_key(),
        app = app.public_key(),
    );
    let Some(servers) = Servers::start(Settings { more, ..Settings::one() }) else { return };
    let write = |name: &str, text: &str| {
        let path = servers.directory().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (system, app) = (write("system.creds", &system_file), write("app.creds", &app_file));
    // Only the system account says how the server syncs.
    let url = format!("nats://127.0.0.1:{}/shop?replicas=1&monitor=1", servers.node(0).port);
    let url = format!("{url}&creds={}&system_creds={}", app.display(), system.display());
    let record = JetStream::connect(&url).unwrap();
    create(&record).unwrap();
    Writer::new(&record).put();
    let engine = record.check().unwrap().engine;
    assert!(engine.contains("sync_interval always"), "{engine}");
    let stranger = JetStream::connect(&servers.url("shop")).unwrap();
    let text = stranger.ends().unwrap_err().to_string();
    assert!(text.contains("authorization violation"), "{text}");
    let options = JetStream::options().credentials_file(&app).system_credentials_file(&system);
    options.connect(&servers.url("shop")).unwrap().check().unwrap();
}

//! The event that is measured: `state-signed`, one tag (ten events a tag), about 500 bytes of JSON.

use annals::RawEvent;

/// The payload of event `n`: about 500 bytes of JSON, the same at every run.
pub fn payload(n: u64) -> String {
    let hex = |salt: u64, bytes: usize| -> String {
        let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt;
        (0..bytes)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                format!("{:02x}", state >> 56)
            })
            .collect()
    };
    format!(
        "{{\"event_version\":1,\"timestamp_ms\":{},\"channel_id\":\"0x{}\",\"turn_num\":{n},\"state_hash\":\"0x{}\",\
         \"signer\":\"0x{}\",\"signature\":\"0x{}\",\"is_final\":false,\"app_data_hash\":\"0x{}\"}}",
        1_790_000_000_000 + n,
        hex(1, 32),
        hex(2, 32),
        hex(3, 20),
        hex(4, 65),
        hex(5, 32),
    )
}

/// The tag of event `n` of `count`: ten events share one, spread over the log.
pub fn tag(n: u64, count: u64) -> String {
    format!("channel:0x{:064x}", (n % (count / 10).max(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Events `0..count`, made before any clock starts.
pub fn events(count: u64) -> Vec<RawEvent> {
    let event = |n| RawEvent::builder("state-signed").tag(tag(n, count)).data(payload(n)).build();
    (0..count).map(|n| event(n).expect("within the limits")).collect()
}

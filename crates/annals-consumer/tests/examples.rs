//! The example programs do what they say.

/// Runs the saga, which checks its own outcome.
#[test]
fn the_saga_sends_one_mail_for_each_order() -> Result<(), Box<dyn std::error::Error + Send + Sync>>
{
    saga::main()
}

#[path = "../examples/saga.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is a program")]
mod saga;

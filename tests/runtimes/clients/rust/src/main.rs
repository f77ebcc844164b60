// SPDX-License-Identifier: Apache-2.0
//! The function of tests/blackbox/test_interface_clients.py over AWS's own library for Rust: does what its event's "do" says.
//!
//! A binary has no module that could be missing: with BROKEN in its environment it gives up before it asks for an event.

use lambda_runtime::{run, service_fn, Diagnostic, Error, LambdaEvent};
use serde_json::{json, Value};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

static COUNT: AtomicU64 = AtomicU64::new(0);

fn fail(message: &str) -> Diagnostic {
    Diagnostic {
        error_type: "BadValue".to_string(),
        error_message: message.to_string(),
    }
}

async fn handler(event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
    let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    let context = &event.context;
    let config = &context.env_config;
    match event.payload.get("do").and_then(Value::as_str) {
        Some("fail") => return Err(fail("n\u{f6}")),
        Some("sleep") => std::thread::sleep(Duration::from_secs(60)),
        Some("exit") => std::process::exit(3),
        Some("log") => println!("written \u{e9}\u{1f600}"),
        Some("count") => {
            return Ok(json!({"count": count, "stream": config.log_stream, "pid": std::process::id()}));
        }
        Some("context") => {
            let left = context.deadline().duration_since(SystemTime::now());
            return Ok(json!({
                "id": context.request_id, "name": config.function_name, "arn": context.invoked_function_arn,
                "memory": config.memory, "group": config.log_group, "version": config.version,
                "left": left.map_or(0, |left| left.as_millis() as u64)}));
        }
        _ => {}
    }
    Ok(event.payload)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    if std::env::var_os("BROKEN").is_some() {
        return Err("nosuchmodule".into());
    }
    run(service_fn(handler)).await
}

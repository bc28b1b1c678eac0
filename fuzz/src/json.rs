//! JSON of tools: what our reader takes is what serde_json takes, and means the same.

use firstlight::json::Value;

/// Any bytes.
pub fn json(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    // serde_json refuses a number that no float holds, and gives up at another depth; both are JSON.
    let theirs = serde_json::from_str::<serde_json::Value>(&text);
    match (Value::read(&text), theirs) {
        (Some(ours), Ok(theirs)) => assert!(same(&ours, &theirs), "{text:?}"),
        (Some(_), Err(error)) => {
            let why = error.to_string();
            assert!(why.contains("out of range") || why.contains("recursion"), "{text:?} is taken: {why}");
        }
        (None, theirs) => assert!(theirs.is_err(), "{text:?} is refused"),
    }
}

fn same(ours: &Value, theirs: &serde_json::Value) -> bool {
    match (ours, theirs) {
        (Value::Null, serde_json::Value::Null) => true,
        (Value::Flag(one), serde_json::Value::Bool(other)) => one == other,
        (Value::Text(one), serde_json::Value::String(other)) => one == other,
        (Value::Number(digits), serde_json::Value::Number(number)) => {
            // Ours knows the worth of whole ones alone; serde_json rounds the others in its own way.
            digits.contains(['.', 'e', 'E', '-']) || ours.number() == number.as_u64()
        }
        (Value::List(one), serde_json::Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(_), serde_json::Value::Object(other)) => {
            let one = ours.members();
            one.len() == other.len()
                && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| same(one, other)))
        }
        _ => false,
    }
}

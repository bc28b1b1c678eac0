//! Held against serde_json: the same texts are JSON, and they say the same.

use super::*;

/// What we read, in serde_json's own terms.
fn in_their_terms(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Flag(flag) => (*flag).into(),
        Value::Number(digits) => serde_json::from_str(digits).unwrap(),
        Value::Text(text) => text.as_str().into(),
        Value::List(values) => values.iter().map(in_their_terms).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), in_their_terms(value))).collect()
        }
    }
}

fn same(text: &str) {
    let theirs = serde_json::from_str(text);
    // We keep numbers as they are written, however large.
    if theirs.as_ref().is_err_and(|error| error.to_string().starts_with("number out of range")) {
        return;
    }
    assert_eq!(Value::read(text).as_ref().map(in_their_terms), theirs.ok(), "{text:?}");
}

const TEXTS: [&str; 9] = [
    r#"{"users":{"ops@pam":{"totp":[{"id":"a-1","entry":{"totp":"otpauth://x?y=1","last-count":59}}]}}}"#,
    r#"[ {"ifindex" : 1,"addr_info":[{"local":"10.0.0.1","prefixlen":24}]} , {} , [] ]"#,
    r#"{"a":null,"b":[true,false],"a":"the last one counts","":0}"#,
    r#"["\"\\\/\b\f\n\r\t\u00e9\u20ac","\ud83d\ude00 é ✔ 😀"]"#,
    r#"[0,-0,10,-17,0.5,1.25e2,3E+1,4e-2,18446744073709551615]"#,
    "  \t\r\n {\n} \n",
    "\"\u{7f}\"",
    "7",
    "true",
];

#[test]
fn what_serde_json_takes_is_taken_and_says_the_same() {
    TEXTS.iter().for_each(|text| {
        assert!(Value::read(text).is_some(), "{text}");
        same(text);
    });
}

#[test]
fn whatever_is_torn_left_out_or_put_in_is_judged_as_serde_json_does() {
    const OTHERS: [&str; 24] = [
        "", "\"", "\\", "{", "}", "[", "]", ":", ",", " ", "\n", "\0", "0", "1", "9", "-", "+", ".", "e",
        "u", "d800", "\\u", "\\udc00", "é",
    ];
    for text in TEXTS {
        for (place, character) in text.char_indices() {
            let (before, after) = text.split_at(place);
            let rest = &after[character.len_utf8()..];
            same(before);
            for other in OTHERS {
                same(&format!("{before}{other}{after}"));
                same(&format!("{before}{other}{rest}"));
            }
        }
    }
}

#[test]
fn values_lie_in_each_other_up_to_a_limit() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(Value::read(&nested(DEEPEST)).is_some());
    for depth in [DEEPEST + 1, 1_000_000] {
        assert!(Value::read(&nested(depth)).is_none());
        assert!(Value::read(&"{\"a\":".repeat(depth)).is_none());
    }
}

#[test]
fn values_are_asked_for_what_they_are() {
    let value =
        Value::read(r#"{"text":"t","number":7,"less":-7,"list":[1,2],"more":{"b":1,"a":2}}"#).unwrap();
    let get = |name: &str| value.get(name).unwrap();
    assert_eq!((get("text").text(), get("number").text()), (Some("t"), None));
    assert_eq!((get("number").number(), get("less").number(), get("text").number()), (Some(7), None, None));
    assert_eq!((get("list").list().len(), get("text").list().len()), (2, 0));
    let names: Vec<&str> = get("more").members().iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((names.as_slice(), get("list").members().len()), (["a", "b"].as_slice(), 0));
    assert!(value.get("nothing").is_none() && get("text").get("x").is_none());
}

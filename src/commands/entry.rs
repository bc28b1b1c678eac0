//! What stands at a path, in words and for programs. Never a content.

use crate::manifest::{Entry, State};
use crate::objects::ObjectId;
use crate::report::json::Json;
use crate::report::terminal::visible;

/// `file, 120 bytes, 0440 0:0`.
pub fn words(entry: Option<&Entry>) -> String {
    let Some(entry) = entry else { return "nothing".to_owned() };
    let what = match &entry.state {
        State::File { size, .. } => format!("file, {size} bytes"),
        State::Directory => "directory".to_owned(),
        State::Link { target } => return format!("link to {}", visible(&target.to_string_lossy())),
        State::Other => "device, socket or pipe".to_owned(),
        State::Absent => return "nothing".to_owned(),
    };
    format!("{what}, {:04o} {}:{}", entry.mode, entry.uid, entry.gid)
}

/// The same for programs; `null` for nothing.
pub fn json(entry: Option<&Entry>) -> Json {
    let Some(entry) = entry else { return Json::Null };
    let (mut bytes, mut content, mut link) = (Json::Null, Json::Null, Json::Null);
    let kind = match &entry.state {
        State::File { size, content: id } => {
            bytes = Json::Number(*size);
            content = if *id == ObjectId::UNREAD { Json::Null } else { Json::text(&id.to_string()) };
            "file"
        }
        State::Directory => "directory",
        State::Link { target } => {
            link = Json::text(&target.to_string_lossy());
            "link"
        }
        State::Other => "other",
        State::Absent => return Json::Null,
    };
    Json::Object(vec![
        ("kind", Json::text(kind)),
        ("mode", Json::Text(format!("{:04o}", entry.mode))),
        ("owner", Json::Number(entry.uid.into())),
        ("group", Json::Number(entry.gid.into())),
        ("bytes", bytes),
        // The SHA-256 of a secret that can be guessed would tell it.
        ("sha256", if entry.mode & 0o004 != 0 { content } else { Json::Null }),
        ("target", link),
    ])
}

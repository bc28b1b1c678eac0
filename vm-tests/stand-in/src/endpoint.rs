//! `pvedaemon` and `pveproxy`: the API over HTTP, as far as logging in and reading need it.
//!
//! As on a node there are two processes: pvedaemon on 127.0.0.1:85 checks logins as root and writes to the journal under
//! its own name and unit; pveproxy on 8006 passes requests on, with the address they came from. Not as the real one:
//! 8006 speaks HTTP without TLS.

mod api;
mod http;
mod proxy;
mod server;

pub use api::daemon;
pub use proxy::proxy;

#[cfg(test)]
mod tests;

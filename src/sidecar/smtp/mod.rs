//! SMTP submission: how an application that speaks SMTP hands its messages over.
//!
//! [`Session`] is the protocol, without a socket and without a clock: it is fed bytes, writes replies, and asks. A
//! [`Desk`] answers the questions. [`Server`] is the sockets between the two, with a bound on everything.
//!
//! What is strict here and why: two parsers that disagree about where a message ends, or which address a text names,
//! are how a message gets past the one that judges it. So only CRLF.CRLF ends a message, only CRLF ends a command,
//! and an address has one form ([`Address`](crate::api::address::Address)), which is also the form that is sent.

mod auth;
mod command;
mod connection;
mod data;
mod desk;
mod endings;
mod fault;
mod hello;
mod limits;
mod line;
mod mail;
mod memory;
mod pace;
mod path;
mod rcpt;
mod reply;
mod server;
mod session;
#[cfg(test)]
mod test_support;
mod tls;
mod transaction;

pub use desk::{Desk, Submitted};
pub use endings::{Endings, fixed_line_endings};
pub use limits::{Limits, MESSAGE_MAX, OUR_HEADERS_MAX};
pub use memory::Memory;
pub use reply::Reply;
pub use server::Server;
pub use session::{Phase, Question, Session, Step, Tls};
pub use tls::{TlsError, self_signed};

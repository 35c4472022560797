//! An Amazon SES account in one process, for the demo, for tests and for rehearsals.
//!
//! It knows only wire formats and nothing of the rest of this crate, so that it cannot share its mistakes. The account
//! ([`state`]) is pure; [`operation`] says what is answered where; `api` reads requests and writes answers; `envelope`
//! and `mime` read what is sent, `v1` does so in SES's older protocol, `delivery` sends it and `received` keeps it; `engine`
//! decides what becomes of a request; `server` owns the sockets; [`Admin`] is what happens behind the API's back.
//!
//! ```no_run
//! # async fn demo() -> std::io::Result<()> {
//! use mail_policy_operator::simulator::{Config, Simulator};
//!
//! let simulator = Simulator::start(Config::default()).await?;
//! let endpoint = simulator.endpoint(); // for an SDK; the access key id is `simulator`
//! # Ok(())
//! # }
//! ```

mod admin;
mod answer;
mod api;
mod auth;
pub mod cli;
mod clock;
mod config;
mod delivery;
mod engine;
mod envelope;
mod faults;
mod log;
mod mime;
pub mod operation;
mod received;
mod server;
pub mod state;
mod sts;
mod throttle;
mod v1;
pub mod wire;
mod xml;

pub use admin::Admin;
pub use config::{Config, DEFAULT_ACCESS_KEY};
pub use faults::{Effect, Fault, FaultError, MAX_WAIT};
pub use log::{CallRecord, Count};
pub use operation::Operation;
pub use received::{OTHER_DOMAINS, ReceivedLimits, ReceivedMessage, Recipient};
pub use server::{Running, Simulator};
pub use throttle::Limit;
pub use wire::UnknownMembers;
